"""Learned components, each a plugin; those that need torch import it when they are asked for."""
