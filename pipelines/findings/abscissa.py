"""What the samples of a phase diagram differ in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from xtec.core.errors import ConfigError
from xtec.core.results import ClusteredRun

_VARIABLES = ("composition", "magnetic_field", "pressure", "stress_field", "strain", "doping")
"""Conditions that are taken first where samples differ in several."""


def abscissa(
    runs: Mapping[str, ClusteredRun],
    values: Mapping[str, float],
    against: str | None = None,
    units: str | None = None,
) -> tuple[dict[str, float], str, str]:
    """x of every sample, the variable and its units.

    Parameters
    ----------
    runs : mapping
        By input.
    values : mapping
        x by the name of an input, a run or a sample, where it is not taken from the files.
    against : str, optional
        Condition to take; else the one in which the samples differ.
    units : str, optional
        Else those of the condition.

    Raises
    ------
    ConfigError
        If a value names no sample, or the x of a sample is not known.
    """
    for name in values:
        owners = [item for item, run in runs.items() if name in _names(item, run)]
        if len(owners) > 1:
            raise ConfigError(f"{name} names several samples: {', '.join(owners)}", hint="name the input")
    x = {item: _given(values, item, run) for item, run in runs.items()}
    used = {name for item, run in runs.items() for name in _names(item, run)}
    unknown = sorted(set(values) - used)
    if unknown:
        raise ConfigError(f"no sample named {', '.join(unknown)}", hint=f"one of: {', '.join(sorted(used))}")
    missing = {item: run for item, run in runs.items() if x[item] is None}
    variable, units = against or "x", units or ""
    if missing:
        variable = against or _varying(missing)
        for item, run in missing.items():
            condition = run.sample.conditions.get(variable)
            if condition is None:
                known = ", ".join(run.sample.conditions) or "nothing"
                raise ConfigError(
                    f"the file of {item} does not say its {variable}; it says {known}",
                    hint=f"--value {item}=NUMBER, or --against with another name",
                )
            units = units or condition.units
            if condition.units and condition.units != units:
                raise ConfigError(
                    f"{variable} is in {units} and in {condition.units} ({item})",
                    hint=f"--value {item}=NUMBER, in {units}",
                )
            x[item] = condition.value
    return {item: float(value) for item, value in x.items() if value is not None}, variable, units


def _given(values: Mapping[str, float], item: str, run: ClusteredRun) -> float | None:
    return next((values[name] for name in _names(item, run) if name in values), None)


def _names(item: str, run: ClusteredRun) -> tuple[str, ...]:
    """What a sample may be called in `values`."""
    path = Path(item)
    return item, path.name, path.name.removesuffix(".nxs"), run.name, run.sample.name


def _varying(runs: Mapping[str, ClusteredRun]) -> str:
    """The condition that samples differ in."""
    every = [run.sample.conditions for run in runs.values()]
    shared = set(every[0]).intersection(*every[1:])
    differing = [name for name in shared if len({conditions[name].value for conditions in every}) > 1]
    ranked = sorted(differing, key=lambda name: (name not in _VARIABLES, name))
    known = [name for name in ranked if name in _VARIABLES]
    if len(known) == 1 or (not known and len(ranked) == 1):
        return ranked[0]
    if not ranked and len(runs) == 1 and every[0]:
        return next((name for name in _VARIABLES if name in every[0]), next(iter(every[0])))
    what = f"they differ in {', '.join(ranked)}" if ranked else "the files do not say what they differ in"
    raise ConfigError(f"against what? {what}", hint="--against NAME, or --value RUN=NUMBER for each")
