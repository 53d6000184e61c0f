"""What a simulated series is: grid, sample, scattering and detector, as plain frozen records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from xtec.core.axes import Axis
from xtec.core.errors import ConfigError
from xtec.core.types import Float64Array


def axis_values(low: float, high: float, pixels: int) -> Float64Array:
    """Coordinates from `low` to `high` in r.l.u. with `pixels` steps per r.l.u., both ends included.

    Raises
    ------
    ConfigError
        If the interval is empty or infinite, or `pixels` is below one.
    """
    if pixels < 1:
        raise ConfigError(f"pixels per r.l.u. must be at least 1, got {pixels}")
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ConfigError(
            f"the grid needs finite ends, got {low:g}:{high:g}", hint="write LOW:HIGH, LOW <= HIGH"
        )
    steps = np.arange(round(low * pixels), round(high * pixels) + 1, dtype=np.float64)
    return np.asarray(steps / pixels)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Regular grid in r.l.u. of a cubic crystal, and the temperatures.

    Parameters
    ----------
    ql, qk, qh : tuple (low, high)
        Closed intervals in r.l.u.
    pixels : int
        Grid steps per r.l.u., the same along every axis.
    temperatures : tuple of float
        In K, rising, all positive.
    planar : bool
        One plane at the lower end of `ql`; files then have no Ql axis.

    Raises
    ------
    ConfigError
        If an interval, the step or a temperature makes no sense.
    """

    ql: tuple[float, float]
    qk: tuple[float, float]
    qh: tuple[float, float]
    pixels: int
    temperatures: tuple[float, ...]
    planar: bool = False

    def __post_init__(self) -> None:
        for low, high in (self.ql, self.qk, self.qh):
            axis_values(low, high, self.pixels)
        rising = all(b > a for a, b in zip(self.temperatures, self.temperatures[1:], strict=False))
        if not self.temperatures or min(self.temperatures) <= 0 or not rising:
            raise ConfigError("temperatures must be positive and rising, one at least")

    @property
    def q(self) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Coordinates along L, K and H in r.l.u."""
        plane_or_slab = (self.ql[0], self.ql[0]) if self.planar else self.ql
        ql, qk, qh = (axis_values(low, high, self.pixels) for low, high in (plane_or_slab, self.qk, self.qh))
        return ql, qk, qh

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(T, L, K, H)``."""
        ql, qk, qh = self.q
        return len(self.temperatures), len(ql), len(qk), len(qh)

    def axes(self, reciprocal_length: float) -> tuple[Axis, Axis, Axis]:
        """Axes Ql, Qk, Qh with the attributes NXRefine gives them; `reciprocal_length` in 1/angstrom."""
        ql, qk, qh = (
            Axis(name, values, "r.l.u.", _q_attributes(name, reciprocal_length))
            for name, values in zip(("Ql", "Qk", "Qh"), self.q, strict=True)
        )
        return ql, qk, qh


def _q_attributes(name: str, reciprocal_length: float) -> dict[str, str | float]:
    return {"long_name": f"{name[1].upper()} (r.l.u.)", "scaling_factor": reciprocal_length}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A cubic crystal.

    Parameters
    ----------
    name, formula : str
    lattice_parameter : float
        a, in angstrom.
    composition : float, optional
        x of a substitution series.
    """

    name: str
    formula: str
    lattice_parameter: float
    composition: float | None = None

    @property
    def reciprocal_length(self) -> float:
        """``a* = 2 pi / a`` in 1/angstrom."""
        return float(2 * np.pi / self.lattice_parameter)

    @property
    def cell(self) -> tuple[float, float, float, float, float, float]:
        """``(a, b, c, alpha, beta, gamma)`` in angstrom and degrees."""
        a = self.lattice_parameter
        return a, a, a, 90.0, 90.0, 90.0


@dataclass(frozen=True, kw_only=True)
class Transition:
    """Peaks that carry one order parameter.

    Parameters
    ----------
    name : str
        Label of these voxels in the truth map.
    tc : float
        Transition temperature in K.
    beta : float
        Exponent of the order parameter; intensities follow ``(1 - T/Tc)^(2 beta)``.
    star : sequence of (h, k, l)
        Offsets from the reciprocal lattice in r.l.u.; ``(0, 0, 0)`` for intra-unit-cell order.
    rule : str
        Reflections of the lattice that take part, see `xtec.simulation.reflections.RULES`.
    heights : tuple (low, high)
        Peak heights at T = 0 in counts, log-uniform between these.
    residual : float
        Fraction of the height that is there at every temperature.

    Raises
    ------
    ConfigError
        If Tc or beta is not positive, or heights are not.
    """

    name: str
    tc: float
    beta: float
    star: Sequence[tuple[float, float, float]]
    rule: str = "all"
    heights: tuple[float, float] = (5.0, 600.0)
    residual: float = 0.0

    def __post_init__(self) -> None:
        if self.tc <= 0 or self.beta <= 0:
            raise ConfigError(f"Tc and beta must be positive, got {self.tc:g} and {self.beta:g}")
        if not 0 < self.heights[0] <= self.heights[1]:
            raise ConfigError(f"peak heights must be positive and rising, got {self.heights}")


@dataclass(frozen=True, kw_only=True)
class Scattering:
    """Everything that scatters apart from the transitions; heights and background in counts.

    Parameters
    ----------
    bragg_rule : str
        Allowed reflections.
    bragg_heights : tuple (low, high)
        Heights at T = 0 and Q = 0, log-uniform between these.
    sigma : float
        Resolution, standard deviation in pixels.
    tail : float
        Share of the peak height that is Lorentzian (pseudo-Voigt).
    form_factor : float
        B of a temperature-independent fall ``exp(-2 B (Q / 4 pi)^2)``, square angstrom.
    debye_waller : float
        dB/dT in square angstrom per K; intensity falls as ``exp(-2 B(T) (Q / 4 pi)^2)``.
    order_debye_waller : bool
        Whether the peaks of the transitions have the Debye-Waller fall too. Off, the planted exponent is
        the one their intensity shows.
    diffuse : float
        Thermal diffuse height at a peak's centre, as a fraction of the Bragg height, at 300 K and
        ``Q = 2 pi / angstrom``.
    diffuse_width : float
        Rounding of its ``1/dq^2``, in r.l.u.
    critical : float
        Critical scattering: height ``critical / (|t| + 0.01)`` of the height at T = 0, half of it below Tc;
        ``t = T/Tc - 1``. 0 switches it off.
    critical_width : float
        Inverse correlation length at t = 1, in r.l.u.; grows as the root of |t|.
    background : float
        Level at Q -> infinity and T = 0.
    """

    bragg_rule: str = "all"
    bragg_heights: tuple[float, float] = (1e2, 1e5)
    sigma: float = 1.0
    tail: float = 1e-4
    form_factor: float = 0.6
    debye_waller: float = 0.45 / 300.0
    order_debye_waller: bool = False
    diffuse: float = 0.018
    diffuse_width: float = 0.06
    critical: float = 0.001
    critical_width: float = 0.25
    background: float = 8.0


@dataclass(frozen=True, kw_only=True)
class Detector:
    """What the measurement does to the intensity.

    Parameters
    ----------
    counts : float
        Exposure: values are ``Poisson(counts * I) / counts``. 0 means no noise.
    beam_stop : float
        Radius in r.l.u. around the origin that reads 0.
    wedge : float
        Half-angle in degrees of a missing wedge (reads 0); 0 for none.
    gap : float
        Width in r.l.u. of an arc of NaN left by a detector gap; 0 for none.
    hot_pixels : int
        Voxels that read a constant far too high.

    Raises
    ------
    ConfigError
        If any is negative.
    """

    counts: float = 1.0
    beam_stop: float = 0.4
    wedge: float = 4.0
    gap: float = 0.0
    hot_pixels: int = 4

    def __post_init__(self) -> None:
        if min(self.counts, self.beam_stop, self.wedge, self.gap, self.hot_pixels) < 0:
            raise ConfigError("counts, beam stop, wedge, gap and hot pixels cannot be negative")


@dataclass(frozen=True, kw_only=True)
class SeriesSpec:
    """A simulated series in full; the same record and seed give the same numbers.

    Parameters
    ----------
    grid, sample, scattering, detector
        See there.
    transitions : tuple of Transition
        May be empty: nothing orders.
    seed : int
        Of the strengths of the reflections and of the noise; not negative.
    run : int
        Other runs of the same crystal differ in their noise only; not negative.

    Raises
    ------
    ConfigError
        If the seed or the run is negative.
    """

    grid: Grid
    sample: Sample
    transitions: tuple[Transition, ...] = ()
    scattering: Scattering = field(default_factory=Scattering)
    detector: Detector = field(default_factory=Detector)
    seed: int = 0
    run: int = 0

    def __post_init__(self) -> None:
        if min(self.seed, self.run) < 0:
            raise ConfigError(f"seed and run cannot be negative, got {self.seed} and {self.run}")
