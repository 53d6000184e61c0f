"""Named experiments: what `xtec simulate PRESET` makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from xtec.core.axes import Q_NAMES, Region
from xtec.core.errors import ConfigError
from xtec.simulation.reflections import cubic_star
from xtec.simulation.spec import Detector, Grid, Sample, Scattering, SeriesSpec, Transition

SUPERLATTICE = "superlattice"
PHASE_BOUNDARY = {"t0": 138.0, "xc": 0.9, "phi": 0.5}
"""``Tc = T0 (1 - x/xc)^phi`` of the `phase-diagram` preset: T0 in K, xc, phi."""

COMPOSITIONS = (0.0, 0.2, 0.45, 0.65, 0.8, 0.95)
"""x of the `phase-diagram` preset; the last one has no transition."""


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
        Ordering wave vector; its cubic star is used.
    tc, beta : tuple of float, optional
        One value for each transition.
    seed : int, optional
    third_transition : bool
        `iuc`: also plant the third transition near 100 K.
    planar : bool, optional
        One plane at the lower end of L.
    gap : float, optional
        Width in r.l.u. of an arc of NaN.
    hot_pixels : int, optional
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


def temperature_steps(low: float, high: float, number: int) -> tuple[float, ...]:
    """Evenly spaced temperatures in whole kelvins, or in hundredths where whole ones would coincide.

    Raises
    ------
    ConfigError
        If the interval or the number makes no sense.
    """
    if number < 1 or not 0 < low <= high < np.inf or (number > 1 and low == high):
        raise ConfigError(f"cannot place {number} temperatures in {low:g}:{high:g} K")
    even = np.linspace(low, high, number)
    whole = np.rint(even)
    fine = len(np.unique(whole)) < number or whole[0] <= 0
    return tuple(float(value) for value in (np.round(even, 2) if fine else whole))


def _cdw(_: Overrides) -> list[SeriesSpec]:
    star = cubic_star((0.5, 0.5, 0.0))
    return [
        SeriesSpec(
            grid=Grid(
                ql=(0, 1), qk=(-10, 10), qh=(-15, 15), pixels=20, temperatures=temperature_steps(30, 220, 24)
            ),
            sample=Sample(name="Sr3Rh4Sn13", formula="Rh4 Sn13 Sr3", lattice_parameter=9.8),
            transitions=(Transition(name=SUPERLATTICE, tc=131.0, beta=0.35, star=star),),
            scattering=Scattering(bragg_rule="Pm-3n", sigma=1.2),
        )
    ]


def _tiny(overrides: Overrides) -> list[SeriesSpec]:
    (spec,) = _cdw(overrides)
    grid = Grid(ql=(0, 1), qk=(-2, 3), qh=(-2, 3), pixels=8, temperatures=temperature_steps(30, 220, 12))
    detector = Detector(hot_pixels=1)
    return [replace(spec, grid=grid, detector=detector, scattering=replace(spec.scattering, sigma=0.7))]


def _iuc(overrides: Overrides) -> list[SeriesSpec]:
    centre = ((0.0, 0.0, 0.0),)
    third = overrides.third_transition
    first_rule = "all even, one 4n+2, not h00" if third else "all even, one 4n+2"
    rules = ((first_rule, 200.0, 0.35), ("all even, one 4n", 113.0, 0.25), ("h00, h = 4n+2", 100.0, 0.3))
    transitions = tuple(
        Transition(name=rule, tc=tc, beta=beta, star=centre, rule=rule, heights=(20.0, 2000.0), residual=0.01)
        for rule, tc, beta in (rules if third else rules[:2])
    )
    return [
        SeriesSpec(
            grid=Grid(
                ql=(0, 2), qk=(-8, 8), qh=(-12, 12), pixels=10, temperatures=temperature_steps(30, 300, 28)
            ),
            sample=Sample(name="Cd2Re2O7", formula="Cd2 O7 Re2", lattice_parameter=10.22),
            transitions=transitions,
            scattering=Scattering(bragg_rule="Fd-3m 16c 16d", sigma=0.8, critical_width=0.35),
        )
    ]


def phase_boundary(composition: float) -> float | None:
    """Tc in K at a composition of the `phase-diagram` preset, None beyond xc."""
    t0, xc, phi = PHASE_BOUNDARY["t0"], PHASE_BOUNDARY["xc"], PHASE_BOUNDARY["phi"]
    return None if composition >= xc else float(t0 * (1.0 - composition / xc) ** phi)


def _phase_diagram(_: Overrides) -> list[SeriesSpec]:
    return [_substituted(x, run) for run, x in enumerate(COMPOSITIONS)]


def _substituted(x: float, run: int) -> SeriesSpec:
    tc = phase_boundary(x)
    order = Transition(name=SUPERLATTICE, tc=tc or 1.0, beta=0.35, star=cubic_star((0.5, 0.5, 0.0)))
    calcium, strontium = (f"{name}{3 * share:g}" for name, share in (("Ca", x), ("Sr", 1 - x)))
    formula = " ".join(part for part in (calcium, "Rh4", "Sn13", strontium) if not part.endswith("0"))
    return SeriesSpec(
        grid=Grid(
            ql=(0, 0.5), qk=(-3, 3), qh=(-5, 5), pixels=10, temperatures=temperature_steps(20, 170, 16)
        ),
        sample=Sample(
            name=f"(Ca{x:g}Sr{1 - x:g})3Rh4Sn13",
            formula=formula,
            lattice_parameter=round(9.8 - 0.1 * x, 4),
            composition=x,
        ),
        transitions=() if tc is None else (order,),
        scattering=Scattering(bragg_rule="Pm-3n", sigma=0.7),
        detector=Detector(hot_pixels=0),
        run=run,
    )


PRESETS: dict[str, Callable[[Overrides], list[SeriesSpec]]] = {
    "cdw": _cdw,
    "iuc": _iuc,
    "phase-diagram": _phase_diagram,
    "tiny": _tiny,
}
"""Makers of the series of each preset; all but `phase-diagram` make one."""


def make_specs(preset: str, overrides: Overrides | None = None) -> list[SeriesSpec]:
    """Series of a preset with some of its values replaced.

    Parameters
    ----------
    preset : str
        ``cdw``, ``iuc``, ``phase-diagram`` or ``tiny``.
    overrides : Overrides, optional

    Returns
    -------
    list of SeriesSpec
        One, or for ``phase-diagram`` one for each composition.

    Raises
    ------
    ConfigError
        If the preset is unknown or a value does not fit it.
    """
    if preset not in PRESETS:
        raise ConfigError(f"no preset named {preset!r}", hint=f"one of: {', '.join(PRESETS)}")
    overrides = overrides or Overrides()
    if overrides.third_transition and preset != "iuc":
        raise ConfigError("a third transition exists only in the preset iuc")
    return [_override(spec, overrides) for spec in PRESETS[preset](overrides)]


def _override(spec: SeriesSpec, overrides: Overrides) -> SeriesSpec:
    detector = {
        name: getattr(overrides, name)
        for name in ("counts", "gap", "hot_pixels")
        if getattr(overrides, name) is not None
    }
    return replace(
        spec,
        grid=_override_grid(spec.grid, overrides),
        transitions=_override_transitions(spec, overrides),
        detector=replace(spec.detector, **detector),
        seed=spec.seed if overrides.seed is None else overrides.seed,
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
    )


def _override_transitions(spec: SeriesSpec, overrides: Overrides) -> tuple[Transition, ...]:
    transitions = spec.transitions
    if overrides.q is not None:
        if any(transition.rule != "all" for transition in transitions):
            raise ConfigError("q cannot be set for order inside the unit cell: it is 0 by definition")
        star = cubic_star(overrides.q)
        transitions = tuple(replace(transition, star=star) for transition in transitions)
    if overrides.tc is not None and spec.sample.composition is not None:
        raise ConfigError("Tc of the phase diagram follows from the composition and cannot be set")
    if not transitions:
        return transitions
    number = len(transitions)
    if overrides.tc is not None:
        tc = _one_each("tc", overrides.tc, number)
        transitions = tuple(replace(t, tc=value) for t, value in zip(transitions, tc, strict=True))
    if overrides.beta is not None:
        beta = _one_each("beta", overrides.beta, number)
        transitions = tuple(replace(t, beta=value) for t, value in zip(transitions, beta, strict=True))
    return transitions


def _one_each(name: str, values: tuple[float, ...], number: int) -> tuple[float, ...]:
    if len(values) != number:
        raise ConfigError(f"{name}: {len(values)} values for {number} transitions")
    return values
