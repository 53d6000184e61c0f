"""What may be changed in a preset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from xtec.core.axes import Q_NAMES, Region
from xtec.core.errors import ConfigError
from xtec.simulation.grid import Grid, temperature_steps
from xtec.simulation.reflections import star
from xtec.simulation.sample import LatticeSystem
from xtec.simulation.spec import SeriesSpec, Transition, TransitionKind

_IDEAL_C_OVER_A = 1.633
"""Of close-packed spheres."""


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What may be changed in a preset; None keeps its own value.

    Parameters
    ----------
    region : mapping, optional
        Intervals of Qh, Qk, Ql in r.l.u.; axes left out keep theirs.
    pixels : int, optional
        Grid steps per r.l.u.
    temperatures : tuple (low, high), optional
        In K.
    n_temperatures : int, optional
    counts : float, optional
        Exposure, 0 for no noise.
    q : tuple (h, k, l), optional
        Ordering wave vector; the star that the lattice makes of it is used.
    tc, beta : tuple of float, optional
        One value for each transition.
    seed : int, optional
    third_transition : bool
        `iuc`: also plant the third transition near 100 K.
    planar : bool, optional
        One plane at the lower end of L.
    gap : float, optional
        Width in units of a* of an arc of NaN.
    hot_pixels : int, optional
    lattice : str, optional
        `cdw`, `tiny`: ``hexagonal`` for a made-up crystal of the same a with c/a = 1.633, all reflections
        allowed; ``cubic`` as it is.
    kind : str, optional
        ``second-order`` or ``first-order``, for all transitions.
    width : float, optional
        Standard deviation in K of a Gaussian distribution of Tc over the sample, for all transitions.
    no_transition : bool
        Leave all transitions out.
    cycle : float, optional
        Cool from the highest temperature to the lowest, then warm; transitions are so many K higher then.
    heights : tuple (low, high), optional
        Heights at T = 0 of the peaks of all transitions.
    critical : float, optional
        Strength of critical scattering, 0 for none.
    domains : tuple of three floats, optional
        Volumes of tetragonal domains along a, b and c below all transitions of a cubic crystal.
    """

    region: Region | None = None
    pixels: int | None = None
    temperatures: tuple[float, float] | None = None
    n_temperatures: int | None = None
    counts: float | None = None
    q: tuple[float, float, float] | None = None
    tc: tuple[float, ...] | None = None
    beta: tuple[float, ...] | None = None
    seed: int | None = None
    third_transition: bool = False
    planar: bool | None = None
    gap: float | None = None
    hot_pixels: int | None = None
    lattice: LatticeSystem | None = None
    kind: TransitionKind | None = None
    width: float | None = None
    no_transition: bool = False
    cycle: float | None = None
    heights: tuple[float, float] | None = None
    critical: float | None = None
    domains: tuple[float, float, float] | None = None


def override(spec: SeriesSpec, overrides: Overrides) -> SeriesSpec:
    """A series with some of its values replaced.

    Raises
    ------
    ConfigError
        If a value makes no sense, or does not fit the series.
    """
    spec = _override_lattice(spec, overrides.lattice)
    return replace(
        spec,
        grid=_override_grid(spec.grid, overrides),
        transitions=_override_transitions(spec, overrides),
        scattering=replace(spec.scattering, **_given(overrides, "critical")),
        detector=replace(spec.detector, **_given(overrides, "counts", "gap", "hot_pixels")),
        seed=spec.seed if overrides.seed is None else overrides.seed,
    )


def _given(overrides: Overrides, *names: str) -> dict[str, Any]:
    """Those of the named values that are not None."""
    return {name: getattr(overrides, name) for name in names if getattr(overrides, name) is not None}


def _override_lattice(spec: SeriesSpec, lattice: LatticeSystem | None) -> SeriesSpec:
    sample = spec.sample
    if lattice is None or lattice == sample.lattice:
        return spec
    c = round(_IDEAL_C_OVER_A * sample.lattice_parameter, 4)
    return replace(
        spec,
        sample=replace(sample, name=f"{lattice} {sample.name}", lattice=lattice, c=c),
        transitions=tuple(replace(each, star=star(each.star[0], lattice)) for each in spec.transitions),
        scattering=replace(spec.scattering, bragg_rule="all"),
    )


def _override_grid(grid: Grid, overrides: Overrides) -> Grid:
    region = dict(overrides.region or {})
    ranges = {name.lower(): region.pop(name, getattr(grid, name.lower())) for name in Q_NAMES}
    if region:
        raise ConfigError(f"region: no axis named {', '.join(region)}", hint="the axes are Qh, Qk, Ql")
    low, high = overrides.temperatures or (grid.temperatures[0], grid.temperatures[-1])
    number = overrides.n_temperatures or len(grid.temperatures)
    keep = overrides.temperatures is None and overrides.n_temperatures is None
    return replace(
        grid,
        **ranges,
        pixels=grid.pixels if overrides.pixels is None else overrides.pixels,
        temperatures=grid.temperatures if keep else temperature_steps(low, high, number),
        planar=grid.planar if overrides.planar is None else overrides.planar,
        cycle=overrides.cycle is not None,
    )


def _override_transitions(spec: SeriesSpec, overrides: Overrides) -> tuple[Transition, ...]:
    transitions = spec.transitions
    if overrides.no_transition:
        if set_too := ", ".join(_given(overrides, "q", "tc", "beta", "kind", "width", "heights", "domains")):
            raise ConfigError(f"{set_too}: there is no transition to have it")
        return ()
    if overrides.q is not None and any(transition.rule != "all" for transition in transitions):
        raise ConfigError("q cannot be set for order inside the unit cell: it is 0 by definition")
    if overrides.tc is not None and spec.sample.composition is not None:
        raise ConfigError("Tc of the phase diagram follows from the composition and cannot be set")
    if overrides.beta is not None and overrides.kind == "first-order":
        raise ConfigError("beta cannot be set for a first-order transition: it has none")
    common = _given(overrides, "kind", "width", "heights", "domains")
    if overrides.q is not None:
        common["star"] = star(overrides.q, spec.sample.lattice)
    if overrides.cycle is not None:
        common["hysteresis"] = overrides.cycle
    if not transitions:
        return transitions
    each: dict[str, Any] = {
        name: _one_each(name, values, len(transitions))
        for name, values in _given(overrides, "tc", "beta").items()
    }
    return tuple(
        replace(transition, **common, **{name: values[i] for name, values in each.items()})
        for i, transition in enumerate(transitions)
    )


def _one_each(name: str, values: tuple[float, ...], number: int) -> tuple[float, ...]:
    if len(values) != number:
        raise ConfigError(f"{name}: {len(values)} values for {number} transitions")
    return values
