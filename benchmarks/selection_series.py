"""Twenty simulated series of three to seven classes, and what each trajectory of them truly is.

Classes are background, Bragg peaks, thermal diffuse scattering and up to four orders of different Tc, beta
and wave vector. Four series have no order at all, three no diffuse scattering. Exposure goes from 1 to 10
counts a unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xtec.core.types import Float64Array
from xtec.simulation import (
    LABEL_FRACTION,
    Detector,
    Grid,
    Sample,
    Scattering,
    SeriesSpec,
    SimulatedSeries,
    Transition,
)
from xtec.simulation.presets import temperature_steps
from xtec.simulation.reflections import star

MIXED, FAINT, EITHER = -1, -2, -3
"""Not counted: no class has two thirds of what depends on temperature; too faint for anyone to tell. From
EITHER down, right in two places: as background, and as class ``EITHER - value``."""

_SHARE = 2 / 3
_INVISIBLE, _VISIBLE = 2.0, 4.0
"""Variation over noise (root of chi square): at 4 the best test takes one trajectory in 40 for flat."""

_ORDERS = (
    ("A", (0.5, 0.5, 0.0)),
    ("B", (0.5, 0.5, 0.5)),
    ("C", (0.5, 0.0, 0.0)),
    ("D", (1 / 3, 1 / 3, 1 / 3)),
)


@dataclass(frozen=True)
class Content:
    """What one series has in it.

    Attributes
    ----------
    tc : tuple of float
        Of each order, in K.
    beta : tuple of float
    diffuse : float
        See `Scattering`.
    counts : float
    heights : tuple of float
        Of the orders' peaks.
    """

    tc: tuple[float, ...]
    beta: tuple[float, ...]
    diffuse: float = 0.018
    counts: float = 3.0
    heights: tuple[float, float] = (20.0, 600.0)

    @property
    def n_classes(self) -> int:
        """Classes planted, background and Bragg peaks among them."""
        return 2 + (self.diffuse > 0) + len(self.tc)


CONTENTS = (
    Content((), ()),
    Content((), (), counts=1.0),
    Content((), (), counts=10.0),
    Content((), (), diffuse=0.04),
    Content((130.0,), (0.35,)),
    Content((90.0,), (0.5,), counts=1.0),
    Content((170.0,), (0.25,), diffuse=0.0),
    Content((131.0,), (0.35,), heights=(5.0, 600.0)),
    Content((150.0,), (0.5,), counts=10.0, diffuse=0.04),
    Content((90.0, 170.0), (0.35, 0.35)),
    Content((70.0, 140.0), (0.5, 0.25), counts=1.0),
    Content((110.0, 180.0), (0.35, 0.5), diffuse=0.0),
    Content((80.0, 190.0), (0.25, 0.35), counts=10.0),
    Content((100.0, 160.0), (0.35, 0.35), heights=(5.0, 600.0)),
    Content((70.0, 120.0, 180.0), (0.35, 0.35, 0.35)),
    Content((80.0, 130.0, 190.0), (0.5, 0.35, 0.25), counts=1.0),
    Content((60.0, 110.0, 170.0), (0.35, 0.5, 0.35), diffuse=0.0),
    Content((75.0, 125.0, 185.0), (0.25, 0.35, 0.5), counts=10.0),
    Content((60.0, 100.0, 145.0, 190.0), (0.35, 0.35, 0.35, 0.35)),
    Content((65.0, 105.0, 150.0, 195.0), (0.5, 0.35, 0.35, 0.25), counts=10.0),
)


def make_spec(number: int, offset: int = 0) -> SeriesSpec:
    """Series number 0..19: 24 temperatures, 15 x 113 x 113 voxels."""
    content = CONTENTS[number]
    orders = tuple(
        Transition(name=name, tc=tc, beta=beta, star=star(q), heights=content.heights)
        for (name, q), tc, beta in zip(_ORDERS, content.tc, content.beta, strict=False)
    )
    return SeriesSpec(
        grid=Grid(ql=(0, 1), qk=(2, 10), qh=(3, 11), pixels=14, temperatures=temperature_steps(30, 220, 24)),
        sample=Sample(name=f"series {number}", formula="Rh4 Sn13 Sr3", lattice_parameter=9.8),
        transitions=orders,
        scattering=Scattering(bragg_rule="Pm-3n", sigma=0.8, diffuse=content.diffuse),
        detector=Detector(counts=content.counts, hot_pixels=2),
        seed=number + offset,
    )


@dataclass(frozen=True)
class Origins:
    """Noise-free parts of some voxels' intensities.

    Attributes
    ----------
    names : tuple of str
        C classes.
    parts : array, shape (C, n, T)
    counts : float
    """

    names: tuple[str, ...]
    parts: Float64Array
    counts: float

    @classmethod
    def of(cls, spec: SeriesSpec, index: NDArray[np.int64]) -> Origins:
        """Of the voxels with these flat indices."""
        series = SimulatedSeries(spec)
        n_temperatures, n_planes, *plane = series.shape
        size = int(np.prod(plane))
        names = tuple(name for name in series.label_names if name != "superlattice")
        parts = np.zeros((len(names), index.size, n_temperatures))
        for number in range(n_planes):
            mine = np.flatnonzero(index // size == number)
            at = index[mine] % size
            for t in range(n_temperatures):
                rest = series.expected(t, number).reshape(-1)[at].copy()
                for c, name in enumerate(names[1:], start=1):
                    parts[c, mine, t] = series.component(name, t, number).reshape(-1)[at]
                    rest -= parts[c, mine, t]
                parts[0, mine, t] = rest
        return cls(names, parts, spec.detector.counts)

    def pooled(self, peak: NDArray[np.int32], n_peaks: int) -> Origins:
        """Sums over the voxels of each peak."""
        parts = np.zeros((len(self.names), n_peaks, self.parts.shape[2]))
        for mine, given in zip(parts, self.parts, strict=True):
            np.add.at(mine, peak, given)
        return Origins(self.names, parts, self.counts)

    def truth(self) -> NDArray[np.int64]:
        """Class of each trajectory, shape (n,): position in `names`, `MIXED` or `FAINT`.

        As in the truth of a simulated series, it is the strongest part where that exceeds a quarter of the
        background, and background elsewhere. Where background is most of the intensity and nothing varies
        visibly it is `EITHER`.
        """
        level = self.parts.mean(axis=2)
        label = np.where(level[1:].max(axis=0) > LABEL_FRACTION * level[0], 1 + level[1:].argmax(axis=0), 0)
        varying = self.parts.std(axis=2)
        own = np.take_along_axis(varying, label[None], axis=0)[0]
        total = self.parts.sum(axis=0)
        mean = total.mean(axis=1, keepdims=True)
        visible = np.sqrt(np.sum((total - mean) ** 2 / (mean / self.counts), axis=1))
        invisible = (visible < _INVISIBLE) & (level[0] > level.sum(axis=0) / 2) & (label > 0)
        faint = (visible < _VISIBLE) & (label > 0)
        mixed = own < _SHARE * varying.sum(axis=0)
        return np.select([invisible, mixed, faint], [EITHER - label, MIXED, FAINT], label)


def counts_by_class(
    cluster: NDArray[np.integer], truth: NDArray[np.int64], k: int, c: int
) -> NDArray[np.int64]:
    """How many of each cluster are right in each class; in the last column how many count, (K, C + 1)."""
    table = np.zeros((k, c + 1), dtype=np.int64)
    for number in range(c):
        right = (truth == number) | (truth == EITHER - number) | ((truth <= EITHER) & (number == 0))
        table[:, number] = np.bincount(cluster[right], minlength=k)
    table[:, c] = np.bincount(cluster[(truth >= 0) | (truth <= EITHER)], minlength=k)
    return table
