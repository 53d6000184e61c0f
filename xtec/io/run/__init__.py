"""The folder that a run leaves behind: results, findings, tables, and opening it again."""
