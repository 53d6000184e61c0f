"""Simulated series that arrive as an experiment's would."""
