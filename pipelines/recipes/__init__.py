"""Recipes: reading them, checking them, running them for many samples."""
