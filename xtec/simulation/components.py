"""The parts of the scattering, each a set of Gaussians on a lattice of peaks whose weights depend on T."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from xtec.core.types import Float64Array
from xtec.simulation import laws
from xtec.simulation.basis import GaussianBasis
from xtec.simulation.grid import ScanPoint
from xtec.simulation.reflections import log_uniform, reflection_mask, reflection_uniform
from xtec.simulation.sample import Sample
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
    sample : Sample
        Whose reciprocal lattice it is.
    """

    offset: tuple[float, float, float]
    ql: Float64Array
    qk: Float64Array
    qh: Float64Array
    sample: Sample

    @classmethod
    def within(cls, spec: SeriesSpec, offset: tuple[float, float, float], margin: float) -> PeakLattice:
        """Peaks inside the grid or within `margin` r.l.u. of it."""
        shifts = offset[2], offset[1], offset[0]
        ql, qk, qh = (
            np.arange(np.ceil(q[0] - margin - shift), np.floor(q[-1] + margin - shift) + 1) + shift
            for q, shift in zip(spec.grid.q, shifts, strict=True)
        )
        return cls(offset, ql, qk, qh, spec.sample)

    @cached_property
    def hkl(self) -> Float64Array:
        """Peak positions, shape (nL, nK, nH, 3), in the order h, k, l."""
        ql, qk, qh = np.meshgrid(self.ql, self.qk, self.qh, indexing="ij")
        return np.stack([qh, qk, ql], axis=-1)

    @cached_property
    def q_length(self) -> Float64Array:
        """|Q| of the peaks in 1/angstrom, shape (nL, nK, nH)."""
        x, y, z = self.sample.cartesian(*np.moveaxis(self.hkl, -1, 0))
        return np.asarray(self.sample.reciprocal_lengths[0] * np.sqrt(x**2 + y**2 + z**2))

    def uniform(self, seed: int, stream: int, unique: int | None = None) -> Float64Array:
        """Numbers in [0, 1), the same for equivalent peaks, of 4/mmm if `unique`; shape (nL, nK, nH)."""
        return reflection_uniform(
            self.hkl, seed=seed, stream=stream, lattice=self.sample.lattice, unique=unique
        )

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
        draw = self.lattice.uniform(self.spec.seed, _BRAGG_STREAM)
        fall = laws.debye_waller(self.lattice.q_length, scattering.form_factor)
        heights = log_uniform(draw, scattering.bragg_heights) * fall
        # 000 is the direct beam, not a reflection.
        return heights * self.lattice.mask(scattering.bragg_rule) * (self.lattice.q_length > 0)

    def at(self, temperature: float) -> Float64Array:
        """Heights at `temperature` (K)."""
        factor = self.spec.scattering.debye_waller * temperature
        return self.heights * laws.debye_waller(self.lattice.q_length, factor)

    def weights(self, point: ScanPoint) -> Float64Array:
        """Weights (J, nL, nK, nH) of the basis at a point of the scan."""
        return _outer(self.basis.pseudo_voigt(self.spec.scattering.tail), self.at(point.temperature))


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

    def weights(self, point: ScanPoint) -> Float64Array:
        """Weights (J, nL, nK, nH) of the basis at a point of the scan."""
        scattering = self.spec.scattering
        reference_temperature, reference_q = _DIFFUSE_REFERENCE
        phonons = point.temperature / reference_temperature * (self.lattice.q_length / reference_q) ** 2
        heights = scattering.diffuse * phonons * self.bragg.at(point.temperature)
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
        mask = self.lattice.mask(self.transition.rule)
        if self.transition.domains is None:
            return log_uniform(self.lattice.uniform(self.spec.seed, stream), self.transition.heights) * mask
        total = np.zeros(mask.shape)
        for unique, volume in enumerate(self.transition.domains):
            draw = self.lattice.uniform(self.spec.seed, stream, unique)
            total += volume / sum(self.transition.domains) * log_uniform(draw, self.transition.heights)
        return total * mask

    def weights(self, point: ScanPoint) -> Float64Array:
        """Weights (J, nL, nK, nH) of the basis at a point of the scan."""
        scattering, transition, temperature = self.spec.scattering, self.transition, point.temperature
        shape = laws.smeared(
            partial(self._shape, temperature), transition.tc_on(point), transition.width, temperature
        )
        heights = self.heights
        if scattering.order_debye_waller:
            heights = heights * laws.debye_waller(
                self.lattice.q_length, scattering.debye_waller * temperature
            )
        return _outer(shape, heights)

    def _shape(self, temperature: float, tc: float) -> Float64Array:
        """Weights (J,) of a peak of height 1 at T = 0 where the transition is at `tc` (K)."""
        scattering, transition = self.spec.scattering, self.transition
        first_order = transition.kind == "first-order"
        if first_order:
            ordered = laws.jump_intensity(temperature, tc)
        else:
            ordered = laws.order_intensity(temperature, tc, transition.beta)
        shape = (transition.residual + (1 - transition.residual) * ordered) * self.basis.pseudo_voigt(
            scattering.tail
        )
        if scattering.critical > 0 and not first_order:
            width = laws.critical_width(temperature, tc, scattering.critical_width)
            height = laws.critical_height(temperature, tc, scattering.critical)
            shape = shape + height * self.basis.lorentzian(width)
        return shape


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
