"""The parts of the scattering, each a set of Gaussians on a lattice of peaks whose weights depend on T."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xtec.core.types import Float64Array
from xtec.simulation import laws
from xtec.simulation.basis import GaussianBasis
from xtec.simulation.reflections import log_uniform, reflection_mask, reflection_uniform
from xtec.simulation.spec import SeriesSpec, Transition

BACKGROUND, THERMAL_DIFFUSE, BRAGG = "background", "thermal diffuse", "Bragg"
_BRAGG_STREAM = 11
_TRANSITION_STREAM = 100
_DIFFUSE_REFERENCE = (300.0, 2 * np.pi)
"""Temperature in K and |Q| in 1/angstrom at which `Scattering.diffuse` is stated."""


@dataclass(frozen=True)
class PeakLattice:
    """All peaks ``G + offset`` that reach into the grid.

    Attributes
    ----------
    offset : tuple (h, k, l)
    ql, qk, qh : array
        Peak positions along each axis, in r.l.u.
    reciprocal_length : float
        a* in 1/angstrom.
    """

    offset: tuple[float, float, float]
    ql: Float64Array
    qk: Float64Array
    qh: Float64Array
    reciprocal_length: float

    @classmethod
    def within(cls, spec: SeriesSpec, offset: tuple[float, float, float], margin: float) -> PeakLattice:
        """Peaks inside the grid or within `margin` r.l.u. of it."""
        shifts = offset[2], offset[1], offset[0]
        ql, qk, qh = (
            np.arange(np.ceil(q[0] - margin - shift), np.floor(q[-1] + margin - shift) + 1) + shift
            for q, shift in zip(spec.grid.q, shifts, strict=True)
        )
        return cls(offset, ql, qk, qh, spec.sample.reciprocal_length)

    @cached_property
    def hkl(self) -> Float64Array:
        """Peak positions, shape (nL, nK, nH, 3), in the order h, k, l."""
        ql, qk, qh = np.meshgrid(self.ql, self.qk, self.qh, indexing="ij")
        return np.stack([qh, qk, ql], axis=-1)

    @cached_property
    def q_length(self) -> Float64Array:
        """|Q| of the peaks in 1/angstrom, shape (nL, nK, nH)."""
        return np.asarray(self.reciprocal_length * np.sqrt(np.sum(self.hkl**2, axis=-1)))

    def mask(self, rule: str) -> Float64Array:
        """1 where a reflection rule lets the lattice point through, shape (nL, nK, nH)."""
        nodes = np.rint(self.hkl - np.asarray(self.offset)).astype(np.int64)
        return np.asarray(reflection_mask(rule, nodes).astype(np.float64))


@dataclass(frozen=True)
class BraggPeaks:
    """Allowed reflections: Debye-Waller fall and nothing else."""

    spec: SeriesSpec
    lattice: PeakLattice
    basis: GaussianBasis
    label: str = BRAGG

    @cached_property
    def heights(self) -> Float64Array:
        """Peak heights at T = 0, shape (nL, nK, nH)."""
        scattering = self.spec.scattering
        draw = reflection_uniform(self.lattice.hkl, seed=self.spec.seed, stream=_BRAGG_STREAM)
        fall = laws.debye_waller(self.lattice.q_length, scattering.form_factor)
        heights = log_uniform(draw, scattering.bragg_heights) * fall
        # 000 is the direct beam, not a reflection.
        return heights * self.lattice.mask(scattering.bragg_rule) * (self.lattice.q_length > 0)

    def at(self, temperature: float) -> Float64Array:
        """Heights at `temperature` (K)."""
        factor = self.spec.scattering.debye_waller * temperature
        return self.heights * laws.debye_waller(self.lattice.q_length, factor)

    def weights(self, temperature: float) -> Float64Array:
        """Weights (J, nL, nK, nH) of the basis at `temperature` (K)."""
        return _outer(self.basis.pseudo_voigt(self.spec.scattering.tail), self.at(temperature))


@dataclass(frozen=True)
class ThermalDiffuse:
    """Halos around the Bragg peaks: ``T |Q|^2`` times the Bragg height, falling as 1/dq^2, rounded."""

    spec: SeriesSpec
    bragg: BraggPeaks
    label: str = THERMAL_DIFFUSE

    @property
    def lattice(self) -> PeakLattice:
        """The Bragg peaks' own."""
        return self.bragg.lattice

    def weights(self, temperature: float) -> Float64Array:
        """Weights (J, nL, nK, nH) of the basis at `temperature` (K)."""
        scattering = self.spec.scattering
        reference_temperature, reference_q = _DIFFUSE_REFERENCE
        phonons = temperature / reference_temperature * (self.lattice.q_length / reference_q) ** 2
        heights = scattering.diffuse * phonons * self.bragg.at(temperature)
        return _outer(self.bragg.basis.lorentzian(scattering.diffuse_width), heights)


@dataclass(frozen=True)
class OrderPeaks:
    """Peaks of one transition at one member of its star: long-range order and critical scattering."""

    spec: SeriesSpec
    transition: Transition
    lattice: PeakLattice
    basis: GaussianBasis

    @property
    def label(self) -> str:
        """The transition's name."""
        return self.transition.name

    @cached_property
    def heights(self) -> Float64Array:
        """Peak heights at T = 0, shape (nL, nK, nH)."""
        stream = _TRANSITION_STREAM + self.spec.transitions.index(self.transition)
        draw = reflection_uniform(self.lattice.hkl, seed=self.spec.seed, stream=stream)
        return log_uniform(draw, self.transition.heights) * self.lattice.mask(self.transition.rule)

    def weights(self, temperature: float) -> Float64Array:
        """Weights (J, nL, nK, nH) of the basis at `temperature` (K)."""
        scattering, transition = self.spec.scattering, self.transition
        ordered = laws.order_intensity(temperature, transition.tc, transition.beta)
        shape = (transition.residual + (1 - transition.residual) * ordered) * self.basis.pseudo_voigt(
            scattering.tail
        )
        if scattering.critical > 0:
            width = laws.critical_width(temperature, transition.tc, scattering.critical_width)
            height = laws.critical_height(temperature, transition.tc, scattering.critical)
            shape = shape + height * self.basis.lorentzian(width)
        heights = self.heights
        if scattering.order_debye_waller:
            heights = heights * laws.debye_waller(
                self.lattice.q_length, scattering.debye_waller * temperature
            )
        return _outer(shape, heights)


Component = BraggPeaks | ThermalDiffuse | OrderPeaks


def _outer(shape: Float64Array, heights: Float64Array) -> Float64Array:
    return np.asarray(shape[:, None, None, None] * heights[None])


def build_components(spec: SeriesSpec, basis: GaussianBasis) -> list[Component]:
    """Every part of the scattering but the background, lattices shared where offsets agree."""
    margin = 4.0 * float(basis.widths[-1])
    lattices: dict[tuple[float, float, float], PeakLattice] = {}

    def lattice(offset: tuple[float, float, float]) -> PeakLattice:
        if offset not in lattices:
            lattices[offset] = PeakLattice.within(spec, offset, margin)
        return lattices[offset]

    bragg = BraggPeaks(spec, lattice((0.0, 0.0, 0.0)), basis)
    orders = [
        OrderPeaks(spec, transition, lattice(offset), basis)
        for transition in spec.transitions
        for offset in transition.star
    ]
    return [bragg, ThermalDiffuse(spec, bragg), *orders]
