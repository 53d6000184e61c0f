"""The forward model: intensity on the grid, made plane by plane, and its noise-free truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.types import Float64Array
from xtec.simulation import laws
from xtec.simulation.basis import GaussianBasis
from xtec.simulation.components import (
    BACKGROUND,
    BRAGG,
    THERMAL_DIFFUSE,
    Component,
    PeakLattice,
    build_components,
)
from xtec.simulation.detector import count, hot_pixels, plane_generator, shadows
from xtec.simulation.sample import Sample
from xtec.simulation.spec import SeriesSpec

LABEL_FRACTION = 0.25
"""A voxel gets a label where its strongest component, averaged over T, exceeds this share of background."""

_WIDEST = 0.3
"""Largest Gaussian in the line shapes, r.l.u.: where the tails of halos end."""

_NEGLIGIBLE = 1e-9
"""Lattice planes that would add less than this many counts anywhere are left out."""


class SimulatedSeries:
    """A temperature series computed where it is asked for; nothing larger than a block is ever held.

    Values do not depend on the blocks asked for: one plane at one temperature is the unit of work and has
    its own random stream.

    Parameters
    ----------
    spec : SeriesSpec
        Grid, sample, scattering, detector and seed.
    """

    def __init__(self, spec: SeriesSpec) -> None:
        self.spec = spec
        self._basis = GaussianBasis.spanning(spec.scattering.sigma / spec.grid.pixels, _WIDEST)
        self._components = build_components(spec, self._basis)
        self._profiles: dict[tuple[float, float, float], tuple[Float64Array, Float64Array, Float64Array]] = {}
        self._cached: tuple[int, dict[tuple[float, float, float], _Weights]] | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(T, L, K, H)``."""
        return self.spec.grid.shape

    @property
    def planar(self) -> bool:
        """Whether the L axis is one plane that files leave out."""
        return self.spec.grid.planar

    @property
    def sample(self) -> Sample:
        """Name, formula, cell and composition."""
        return self.spec.sample

    @property
    def scan(self) -> Axis:
        """Temperatures in K, in the order of measurement."""
        values = np.asarray([point.temperature for point in self.spec.grid.scan], dtype=np.float64)
        return Axis("temperature", values, "K", {"long_name": "Temperature (K)"})

    @property
    def q_axes(self) -> tuple[Axis, Axis, Axis]:
        """Ql, Qk, Qh in r.l.u."""
        return self.spec.grid.axes(self.spec.sample.reciprocal_lengths)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Meaning of the labels 0, 1, 2, ...: background, the transitions, Bragg, thermal diffuse."""
        orders = dict.fromkeys(transition.name for transition in self.spec.transitions)
        return (BACKGROUND, *(orders or {"superlattice": None}), BRAGG, THERMAL_DIFFUSE)

    @property
    def label_rule(self) -> str:
        """How labels were given, in a sentence."""
        return (
            "0 background; else the component whose noise-free intensity, averaged over temperature, is the "
            f"largest, where it exceeds {LABEL_FRACTION:g} of the background; 0 where the detector is blind"
        )

    @property
    def transitions(self) -> list[tuple[str, float, float, Float64Array]]:
        """Name, Tc in K, beta (NaN for first order) and star (m, 3) of every transition.

        One with hysteresis in a cycle stands there twice: on cooling, and on warming.
        """
        scan = self.spec.grid.scan
        return [
            (t.name, tc, np.nan if t.kind == "first-order" else t.beta, np.asarray(t.star, dtype=np.float64))
            for t in self.spec.transitions
            for tc in dict.fromkeys(t.tc_on(point) for point in scan)
        ]

    def expected(self, temperature_index: int, plane_index: int) -> Float64Array:
        """Noise-free intensity of one plane before any shadow, shape (K, H), in counts."""
        temperature = self.spec.grid.scan[temperature_index].temperature
        background = laws.background(
            self._q_length(plane_index), temperature, self.spec.scattering.background
        )
        return background + self._peaks(self._weights_at(temperature_index), plane_index)

    def plane(self, temperature_index: int, plane_index: int) -> NDArray[np.float32]:
        """One plane as measured, shape (K, H): counted, shadowed, with hot pixels and gaps."""
        spec = self.spec
        generator = plane_generator(spec, temperature_index, plane_index)
        expected = self.expected(temperature_index, plane_index)
        measured = count(expected, spec.detector.counts, generator)
        size = measured.size
        index, values = self._hot
        first, last = np.searchsorted(index, [plane_index * size, (plane_index + 1) * size])
        measured.reshape(-1)[index[first:last] - plane_index * size] = values[first:last]
        blind = shadows(spec, plane_index)
        measured[blind.zero] = 0.0
        measured[blind.nan] = np.nan
        return measured.astype(np.float32)

    def block(self, temperatures: slice, planes: slice) -> NDArray[np.float32]:
        """Measured intensities of some temperatures and L planes, shape (t, l, K, H)."""
        n_temperatures, n_planes, n_k, n_h = self.shape
        rows = range(*temperatures.indices(n_temperatures))
        columns = range(*planes.indices(n_planes))
        out = np.empty((len(rows), len(columns), n_k, n_h), dtype=np.float32)
        for i, t in enumerate(rows):
            for j, plane in enumerate(columns):
                out[i, j] = self.plane(t, plane)
        return out

    def labels(self, planes: slice) -> NDArray[np.int8]:
        """True label of the voxels of some L planes, shape (l, K, H)."""
        _, n_planes, n_k, n_h = self.shape
        columns = range(*planes.indices(n_planes))
        out = np.empty((len(columns), n_k, n_h), dtype=np.int8)
        for j, plane in enumerate(columns):
            out[j] = self._plane_labels(plane)
        return out

    def component(self, label: str, temperature_index: int, plane_index: int) -> Float64Array:
        """Noise-free intensity of the components of one label in one plane, shape (K, H), in counts.

        `label` is a transition's name, ``Bragg`` or ``thermal diffuse``.
        """
        point = self.spec.grid.scan[temperature_index]
        chosen = [part for part in self._components if part.label == label]
        return self._peaks(_gather(chosen, lambda part: part.weights(point)), plane_index)

    def _plane_labels(self, plane_index: int) -> NDArray[np.int8]:
        q_length = self._q_length(plane_index)
        level = self.spec.scattering.background
        best = LABEL_FRACTION * np.mean(
            [laws.background(q_length, point.temperature, level) for point in self.spec.grid.scan], axis=0
        )
        labels = np.zeros(best.shape, dtype=np.int8)
        for name, weights in self._mean_weights.items():
            intensity = self._peaks(weights, plane_index)
            higher = intensity > best
            labels[higher] = self._label_numbers[name]
            best = np.where(higher, intensity, best)
        labels[shadows(self.spec, plane_index).blind] = 0
        index, _ = self._hot
        here = index[index // labels.size == plane_index] % labels.size
        labels.reshape(-1)[here] = 0
        return labels

    @property
    def _label_numbers(self) -> dict[str, int]:
        names = self.label_names
        numbers = {transition.name: names.index(transition.name) for transition in self.spec.transitions}
        return {**numbers, BRAGG: len(names) - 2, THERMAL_DIFFUSE: len(names) - 1}

    @cached_property
    def _mean_weights(self) -> dict[str, dict[tuple[float, float, float], _Weights]]:
        """Weights averaged over temperature, by label: the model is linear in them."""
        scan = self.spec.grid.scan

        def mean(part: Component) -> Float64Array:
            total = np.zeros_like(part.weights(scan[0]))
            for point in scan:
                total += part.weights(point)
            return total / len(scan)

        names = dict.fromkeys(part.label for part in self._components)
        return {
            name: _gather((part for part in self._components if part.label == name), mean) for name in names
        }

    @cached_property
    def _hot(self) -> tuple[NDArray[np.int64], Float64Array]:
        return hot_pixels(self.spec)

    def _weights_at(self, temperature_index: int) -> dict[tuple[float, float, float], _Weights]:
        if self._cached is None or self._cached[0] != temperature_index:
            point = self.spec.grid.scan[temperature_index]
            gathered = _gather(self._components, lambda part: part.weights(point))
            self._cached = temperature_index, gathered
        return self._cached[1]

    def _q_length(self, plane_index: int) -> Float64Array:
        ql, qk, qh = self.spec.grid.q
        sample = self.spec.sample
        x, y, z = sample.cartesian(qh[None, :], qk[:, None], ql[plane_index])
        return np.asarray(sample.reciprocal_lengths[0] * np.sqrt(z**2 + y**2 + x**2))

    def _profiles_of(self, lattice: PeakLattice) -> tuple[Float64Array, Float64Array, Float64Array]:
        if lattice.offset not in self._profiles:
            ql, qk, qh = self.spec.grid.q
            self._profiles[lattice.offset] = (
                self._basis.profiles(ql, lattice.ql),
                self._basis.profiles(qk, lattice.qk),
                self._basis.profiles(qh, lattice.qh),
            )
        return self._profiles[lattice.offset]

    def _peaks(self, weights: dict[tuple[float, float, float], _Weights], plane_index: int) -> Float64Array:
        """Sum over all peaks in one plane: a pair of matrix products for each width and lattice."""
        _, _, n_k, n_h = self.shape
        left, right = [], []
        for lattice, values in weights.values():
            along_l, along_k, along_h = self._profiles_of(lattice)
            for j in range(len(self._basis)):
                heights = np.tensordot(along_l[j, plane_index], values[j], axes=1)
                if heights.max(initial=0.0) > _NEGLIGIBLE:
                    left.append(along_k[j] @ heights)
                    right.append(along_h[j])
        if not left:
            return np.zeros((n_k, n_h))
        return np.asarray(np.concatenate(left, axis=1) @ np.concatenate(right, axis=1).T)


_Weights = tuple[PeakLattice, Float64Array]


def _gather(
    parts: Iterable[Component], weights_of: Callable[[Component], Float64Array]
) -> dict[tuple[float, float, float], _Weights]:
    """Add up the weights (J, nL, nK, nH) of components that share a lattice."""
    gathered: dict[tuple[float, float, float], _Weights] = {}
    for part in parts:
        weights = weights_of(part)
        if part.lattice.offset in gathered:
            weights = weights + gathered[part.lattice.offset][1]
        gathered[part.lattice.offset] = (part.lattice, weights)
    return gathered
