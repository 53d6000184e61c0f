"""Runs as pages of HTML."""

from xtec.report.live import live_page

__all__ = ["live_page"]
