"""From what the user names to a series, and its blocks."""
