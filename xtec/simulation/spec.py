"""What a simulated series is: grid, sample, scattering and detector, as plain frozen records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from xtec.core.errors import ConfigError
from xtec.simulation.grid import Grid, ScanPoint
from xtec.simulation.laws import SMEARING_CUT
from xtec.simulation.sample import Sample

TransitionKind = Literal["second-order", "first-order"]
"""Whether an order parameter grows from zero at Tc or jumps there."""


@dataclass(frozen=True, kw_only=True)
class Transition:
    """Peaks that carry one order parameter.

    Parameters
    ----------
    name : str
        Label of these voxels in the truth map.
    tc : float
        Transition temperature in K; of a cycle, on cooling.
    beta : float
        Exponent of the order parameter; intensities follow ``(1 - T/Tc)^(2 beta)``. Without effect on a
        first-order transition.
    star : sequence of (h, k, l)
        Offsets from the reciprocal lattice in r.l.u.; ``(0, 0, 0)`` for intra-unit-cell order.
    rule : str
        Reflections of the lattice that take part, see `xtec.simulation.reflections.RULES`.
    heights : tuple (low, high)
        Peak heights at T = 0 in counts, log-uniform between these.
    residual : float
        Fraction of the height that is there at every temperature.
    kind : str
        ``second-order``, or ``first-order``: intensities follow ``1 - 0.2 T/Tc`` and jump to zero at Tc, and
        there is no critical scattering.
    width : float
        Standard deviation in K of a Gaussian distribution of Tc over the sample.
    hysteresis : float
        How many K higher Tc is on the way back of a cycle.
    domains : tuple of three floats, optional
        Volumes of tetragonal domains with their 4-fold axis along a, b and c, up to a common factor: each
        has strengths of its own symmetry, 4/mmm. Equal ones look cubic. Without, strengths are cubic.

    Raises
    ------
    ConfigError
        If Tc, beta or a height is not positive, the kind is unknown, the hysteresis is negative, the
        distribution of Tc is so wide that it reaches 0 K, or the domains are not three volumes.
    """

    name: str
    tc: float
    beta: float
    star: Sequence[tuple[float, float, float]]
    rule: str = "all"
    heights: tuple[float, float] = (5.0, 600.0)
    residual: float = 0.0
    kind: TransitionKind = "second-order"
    width: float = 0.0
    hysteresis: float = 0.0
    domains: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        known = get_args(TransitionKind)
        if self.kind not in known:
            raise ConfigError(
                f"no kind of transition named {self.kind!r}", hint=f"one of: {', '.join(known)}"
            )
        if self.tc <= 0 or self.beta <= 0:
            raise ConfigError(f"Tc and beta must be positive, got {self.tc:g} and {self.beta:g}")
        if not 0 < self.heights[0] <= self.heights[1]:
            raise ConfigError(f"peak heights must be positive and rising, got {self.heights}")
        if not 0 <= self.width < self.tc / SMEARING_CUT:
            raise ConfigError(f"width must be at least 0 and below Tc/{SMEARING_CUT:g}, got {self.width:g}")
        if not 0 <= self.hysteresis < np.inf:
            raise ConfigError(f"hysteresis cannot be negative, got {self.hysteresis:g}")
        volumes = (1.0, 1.0, 1.0) if self.domains is None else self.domains
        if len(volumes) != 3 or min(volumes) < 0 or not 0 < sum(volumes) < np.inf:
            raise ConfigError(f"domains: three volumes are needed, not all zero, got {volumes}")

    def tc_on(self, point: ScanPoint) -> float:
        """Transition temperature in K that holds at a point of the scan."""
        return self.tc + self.hysteresis * point.warming


@dataclass(frozen=True, kw_only=True)
class Scattering:
    """Everything that scatters apart from the transitions; heights and background in counts.

    Line shapes are products over the axes in r.l.u., in a hexagonal crystal too.

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

    Raises
    ------
    ConfigError
        If the critical scattering is negative.
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

    def __post_init__(self) -> None:
        if not 0 <= self.critical < np.inf:
            raise ConfigError(f"critical scattering cannot be negative, got {self.critical:g}")


@dataclass(frozen=True, kw_only=True)
class Detector:
    """What the measurement does to the intensity.

    Parameters
    ----------
    counts : float
        Exposure: values are ``Poisson(counts * I) / counts``. 0 means no noise.
    beam_stop : float
        Radius in units of a* around the origin that reads 0.
    wedge : float
        Half-angle in degrees of a missing wedge (reads 0); 0 for none.
    gap : float
        Width in units of a* of an arc of NaN left by a detector gap; 0 for none.
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
        If the seed or the run is negative, or a crystal that is not cubic has tetragonal domains.
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
        if self.sample.lattice != "cubic" and any(each.domains is not None for each in self.transitions):
            raise ConfigError("tetragonal domains are those of a cubic crystal")
