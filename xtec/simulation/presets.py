"""Named experiments: what `xtec simulate PRESET` makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from xtec.core.errors import ConfigError
from xtec.simulation.grid import Grid, temperature_steps
from xtec.simulation.overrides import Overrides, override
from xtec.simulation.reflections import star
from xtec.simulation.sample import Sample
from xtec.simulation.spec import Detector, Scattering, SeriesSpec, Transition

SUPERLATTICE = "superlattice"
_HALF_HALF_0 = (0.5, 0.5, 0.0)
PHASE_BOUNDARY = {"t0": 138.0, "xc": 0.9, "phi": 0.5}
"""``Tc = T0 (1 - x/xc)^phi`` of the `phase-diagram` preset: T0 in K, xc, phi."""

COMPOSITIONS = (0.0, 0.2, 0.45, 0.65, 0.8, 0.95)
"""x of the `phase-diagram` preset; the last one has no transition."""

_ANY_LATTICE = ("cdw", "tiny")
"""Presets that may be made hexagonal: the others have reflection rules of cubic space groups."""


def _cdw(_: Overrides) -> list[SeriesSpec]:
    return [
        SeriesSpec(
            grid=Grid(
                ql=(0, 1), qk=(-10, 10), qh=(-15, 15), pixels=20, temperatures=temperature_steps(30, 220, 24)
            ),
            sample=Sample(name="Sr3Rh4Sn13", formula="Rh4 Sn13 Sr3", lattice_parameter=9.8),
            transitions=(Transition(name=SUPERLATTICE, tc=131.0, beta=0.35, star=star(_HALF_HALF_0)),),
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
    order = Transition(name=SUPERLATTICE, tc=tc or 1.0, beta=0.35, star=star(_HALF_HALF_0))
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
    if overrides.lattice == "hexagonal" and preset not in _ANY_LATTICE:
        raise ConfigError(f"the preset {preset} is cubic", hint=f"hexagonal: {', '.join(_ANY_LATTICE)}")
    return [override(spec, overrides) for spec in PRESETS[preset](overrides)]
