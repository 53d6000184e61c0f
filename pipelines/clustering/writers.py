"""Files that plugins write beside a run's own."""

from __future__ import annotations

from pathlib import Path

from xtec.io import open_run
from xtec.plugins import Plugin, open_plugin, parse_plugin
from xtec_pipelines.clustering.plugged import failing
from xtec_pipelines.config import ClusterConfig


def check_writers(config: ClusterConfig) -> None:
    """Refuse a writer that is not there, before any work is done.

    Raises
    ------
    BackendUnavailableError
        If one cannot be used.
    """
    _writers(config)


def write_more(folder: Path, config: ClusterConfig) -> None:
    """Have them write into the folder of a run that is whole.

    Raises
    ------
    BackendUnavailableError
        If one fails.
    """
    for plugin in _writers(config):
        with failing(plugin):
            plugin.object.write(folder, open_run(folder))


def _writers(config: ClusterConfig) -> list[Plugin]:
    return [open_plugin("writers", parse_plugin(text)) for text in config.writer]
