"""Simulated series that come with the project; see README.md beside this file."""
