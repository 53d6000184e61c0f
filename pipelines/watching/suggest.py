"""Which temperatures to measure next, from a run that is still growing."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xtec.core.errors import BackendUnavailableError
from xtec.core.results import ClusterRun
from xtec.plugins import create, parse_plugin
from xtec.plugins.protocols import TemperatureSampler
from xtec_pipelines.watching.config import WatchConfig

logger = logging.getLogger(__name__)

_TEMPERATURES = 12
"""Of the whole experiment, where neither a budget nor an end is given."""


def open_sampler(config: WatchConfig) -> TemperatureSampler:
    """The sampler that is asked for, told nothing yet.

    Raises
    ------
    BackendUnavailableError
        If there is no such plugin.
    ConfigError
        If it does not take its options.
    """
    sampler: TemperatureSampler = create(
        "samplers",
        parse_plugin(config.sampler),
        *config.span,
        step=config.suggest_step,
        direction=str(config.suggest_direction),
        budget=config.suggest_budget or config.until or _TEMPERATURES,
    )
    return sampler


def suggest(config: WatchConfig, run: ClusterRun, measured: Sequence[float]) -> list[dict[str, Any]]:
    """The next temperatures, each with its units and the reason for it.

    Parameters
    ----------
    config : WatchConfig
    run : ClusterRun
    measured : sequence of float
        Temperatures in the order in which they were measured.

    Raises
    ------
    BackendUnavailableError
        If the sampler fails.
    """
    scan = run.curves.scan
    numbers = [one.number for one in run.clusters if one.order_parameter] or [run.clusters[0].number]
    curves = run.curves.intensity_mean[np.array(numbers) - 1]
    if not run.clusters[numbers[0] - 1].order_parameter:
        curves = np.full_like(curves, np.nan)  # clusters of few points are of noise
    row_of = {float(value): row for row, value in enumerate(scan.values)}
    try:
        sampler = open_sampler(config)
        for value in measured:
            sampler.tell(value, curves[:, row_of[value]])
        suggested = _ask(sampler, config.suggest, numbers)
    except Exception as error:  # a plugin is anybody's code, and watching goes on without it
        raise BackendUnavailableError(f"the sampler {config.sampler} has failed: {error!r}") from error
    return [{"units": scan.units, **one} for one in _within(config, suggested)]


def _ask(sampler: Any, n: int, numbers: Sequence[int]) -> list[dict[str, Any]]:
    if hasattr(sampler, "suggest"):
        return [
            {"value": float(one.temperature), "reason": _named(one, numbers)} for one in sampler.suggest(n)
        ]
    return [{"value": float(value), "reason": ""} for value in sampler.ask(n)]


def _named(suggestion: Any, numbers: Sequence[int]) -> str:
    """The reason, with the number of the cluster it speaks of."""
    curve = getattr(suggestion, "curve", None)
    return str(suggestion.reason) if curve is None else f"cluster {numbers[curve]}: {suggestion.reason}"


def _within(config: WatchConfig, suggested: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What lies within the bounds, whatever a plugin says."""
    low, high = config.span
    inside = [one for one in suggested if np.isfinite(one["value"]) and low <= one["value"] <= high]
    if len(inside) < len(suggested):
        logger.warning("the sampler %s suggests what is out of bounds; left out", config.sampler)
    return inside
