"""Errors, types and axes: what every other part of xtec may rely on."""
