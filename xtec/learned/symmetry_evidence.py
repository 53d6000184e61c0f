"""What reflections tell of operations: equivalent ones that part, forbidden ones that appear."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import ConfigError
from xtec.core.types import Float64Array
from xtec.learned.symmetry_operations import OperationGroup

Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]

_LEVEL = 0.05
_LEAST_PAIRS = 6
"""Pairs of equivalent reflections from which on these tell of an operation: one or two may be cut peaks."""

_LEAST_POSITIONS = 2
"""Forbidden positions in the region: one alone may be multiple scattering."""

_SIGNIFICANT = 5.0
"""Standard deviations by which the mean of a pair must stand out to count."""

_SHARED = 1.5
"""Variance of squared differences round a ring of reflections, a - b, b - c, ..., over that of pairs."""

_MEDIAN_CHI2 = 0.4549
"""Median of chi-square with one degree of freedom."""


@dataclass(frozen=True)
class Evidence:
    """Squared breaking of every operation by one kind of evidence.

    Attributes
    ----------
    squared : array, shape (T, G)
        A squared, noise taken off: negative by chance where nothing is broken.
    noise : array, shape (T, G)
        Its standard deviation where nothing is broken.
    freedom : array, shape (T, G)
        Degrees of freedom of the chi-square that noise is like; infinite where it is Gaussian.
    drawn : array, shape (2, T, G)
        Ends of the bootstrap's 95 % interval.
    found, positions : array, shape (G,), int
        Pairs or reflections, and those that the region has.
    tested : array, shape (G,), bool
    """

    squared: Float64Array
    noise: Float64Array
    freedom: Float64Array
    drawn: Float64Array
    found: Integers
    positions: Integers
    tested: Mask

    def interval(self, tests: int) -> tuple[Float64Array, Float64Array]:
        """The wider one of the bootstrap and of counting noise, 95 % for so many tests together."""
        from scipy.stats import chi2, norm

        tail = 0.5 * _LEVEL / tests
        reach = np.full(self.noise.shape, float(norm.isf(tail)))
        skew = np.isfinite(self.freedom)
        n = self.freedom[skew]
        reach[skew] = (chi2.isf(tail, n) - n) / np.sqrt(2 * n)
        low = np.minimum(self.drawn[0], self.squared - reach * self.noise)
        return low, np.maximum(self.drawn[1], self.squared + reach * self.noise)


@dataclass(frozen=True)
class Pattern:
    """Reflections with their Friedel mates joined, as change against the symmetric phase.

    Attributes
    ----------
    hkl : array, shape (M, 3)
    intensity, variance : array, shape (M, T)
        As measured.
    signal : array, shape (M, T)
        Above the level of positions without a reflection.
    change, change_variance : array, shape (M, T)
        Signal less that of the symmetric phase, which is scaled as the strong reflections go.
    systematic : float
        Relative disagreement of equivalents in the symmetric phase beyond counting.
    strong : array, shape (M,), bool
        Reflections the group allows that stand out in the symmetric phase.
    """

    hkl: Integers
    intensity: Float64Array
    variance: Float64Array
    signal: Float64Array
    change: Float64Array
    change_variance: Float64Array
    systematic: float
    strong: Mask

    @classmethod
    def of(
        cls,
        hkl: Integers,
        intensity: Float64Array,
        variance: Float64Array,
        voxels: Float64Array,
        reference: Mask,
        group: OperationGroup,
    ) -> Pattern:
        """Join Friedel mates and take off the background, `voxels` times one level, and the symmetric phase.

        Raises
        ------
        ConfigError
            If no reflection that the group allows stands out.
        """
        lattice = group.allowed_by_centring(hkl)
        wide = np.broadcast_to(voxels[:, None], intensity.shape)
        hkl, (intensity, wide), (variance,) = _friedel(
            hkl[lattice], (intensity[lattice], wide[lattice]), (variance[lattice],)
        )
        before = intensity[:, reference].mean(axis=1)
        before_variance = variance[:, reference].mean(axis=1) / int(reference.sum())
        level = wide[:, 0] * (np.percentile(before / wide[:, 0], 10) if len(before) else 0.0)
        ruled_out = group.forbids(hkl).any(axis=0)
        standing_out = ~ruled_out & (before - level > 10 * np.sqrt(before_variance))
        if not standing_out.any():
            raise ConfigError(
                "no allowed reflection stands out at the highest temperatures", hint="a larger --region"
            )
        strong = standing_out & (before >= np.median(before[standing_out]))
        signal = intensity - level[:, None]
        scale = np.median(signal[strong] / signal[strong][:, reference].mean(axis=1)[:, None], axis=0)
        change = signal - scale * (before - level)[:, None]
        change_variance = variance + scale**2 * before_variance[:, None]
        relative = before_variance / np.where(strong, before - level, 1.0) ** 2
        systematic = _systematic(hkl, np.where(strong, before - level, np.nan), relative, group)
        return cls(hkl, intensity, variance, signal, change, change_variance, systematic, strong)


def equivalents(
    pattern: Pattern, group: OperationGroup, margin: float, n_bootstrap: int, draws: np.random.Generator
) -> Evidence:
    """How far the changes of equivalent reflections part.

    For a pair with changes d, d' and mean signal m, ``((d - d')^2 - v) / (2 m)^2`` is the square of A but
    for noise, v being the variance expected of the difference. Pairs count by ``(m^2 / (m^2 + v))^2``:
    those lost in noise do not count, and strong ones count alike. A pair is taken not to part while its
    change is below `margin` of its largest. Drawn are pairs.
    """
    shape = (pattern.signal.shape[1], len(group))
    squared, noise, freedom = (np.full(shape, np.nan) for _ in range(3))
    drawn = np.full((2, *shape), np.nan)
    found = np.zeros(len(group), np.int64)
    for number in range(int(group.laue_class.max()) + 1):
        members = np.flatnonzero(group.laue_class == number)
        one, other = _pairs(pattern.hkl, group.rotations[members[0]])
        top, weight, spread = _parted(pattern, one, other, margin)
        used = weight.any(axis=1)
        top, weight, spread = top[used], weight[used], spread[used]
        found[members] = n_pairs = len(top)
        if n_pairs < _LEAST_PAIRS:
            continue
        total = np.maximum(weight.sum(axis=0), 1e-12)
        squared[:, members] = (top.sum(axis=0) / total)[:, None]
        power = np.maximum((spread**2).sum(axis=0), 1e-300)
        # Rotations of order 3 and more have every reflection in two pairs: differences go together.
        shared = 1.0 if _is_involution(group.rotations[members[0]]) else _SHARED
        noise[:, members] = (np.sqrt(shared * power) / total)[:, None]
        freedom[:, members] = np.maximum(spread.sum(axis=0) ** 2 / (shared * power), 1.0)[:, None]
        times = draws.multinomial(n_pairs, np.full(n_pairs, 1 / n_pairs), size=n_bootstrap)
        ratios = (times @ top) / np.maximum(times @ weight, 1e-12)
        ends = np.percentile(ratios, [100 * _LEVEL / 2, 100 - 100 * _LEVEL / 2], axis=0)
        drawn[:, :, members] = ends[:, :, None]
    return Evidence(squared, noise, freedom, drawn, found, found, found >= _LEAST_PAIRS)


def _parted(pattern: Pattern, one: Integers, other: Integers, margin: float) -> tuple[Float64Array, ...]:
    """Weighted squares of A, their weights and their noise, each (pairs, T)."""
    mean = np.maximum((pattern.signal[one] + pattern.signal[other]) / 2, 0.0)
    grown = np.maximum((pattern.change[one] + pattern.change[other]) / 2, 0.0)
    variance = pattern.change_variance[one] + pattern.change_variance[other]
    variance = variance + 2 * (pattern.systematic * grown) ** 2
    # Whether a pair counts rests on its sum, which does not depend on its difference.
    power = np.where(mean**2 > _SIGNIFICANT**2 * variance / 4, mean**2 - variance / 4, 0.0)
    share = power / (power + variance)
    factor = share / (4 * (power + variance))
    difference = (pattern.change[one] - pattern.change[other]) ** 2
    top = np.where(_grown(grown, margin), factor * (difference - variance), 0.0)
    return top, share**2, factor * np.sqrt(2.0) * variance


def _is_involution(rotation: Integers) -> bool:
    """Whether twice the rotation is none, Friedel mates being one."""
    return bool((np.abs(rotation @ rotation) == np.eye(3)).all())


def _grown(change: Float64Array, margin: float) -> Mask:
    """Where a change has reached a share of the largest of its row."""
    return np.asarray(change >= margin * change.max(axis=1, initial=0.0, keepdims=True))


def extinctions(
    pattern: Pattern,
    group: OperationGroup,
    region: tuple[Integers, Integers],
    margin: float,
    n_bootstrap: int,
    draws: np.random.Generator,
) -> Evidence:
    """How much of reflections that operations forbid is there, beside the strong reflections.

    A structure factor is the sum of its copies times their phases, equal weights of which cancel where the
    reflection is forbidden: the square of A is the intensity over that of reflections nothing forbids.
    Growth below `margin` of a reflection's largest is taken for none. Drawn are reflections.
    """
    change = np.where(_grown(pattern.change, margin), pattern.change, np.minimum(pattern.change, 0.0))
    masks = group.forbids(pattern.hkl)
    available = group.forbids(_one_of_mates(_nodes(region))).sum(axis=1)
    usual = pattern.signal[pattern.strong].mean(axis=0)
    shape = (pattern.signal.shape[1], len(group))
    squared, noise = np.zeros(shape), np.zeros(shape)
    drawn = np.zeros((2, *shape))
    tested = available >= _LEAST_POSITIONS
    for number in np.flatnonzero(tested):
        rows = np.flatnonzero(masks[number])
        if not len(rows):
            continue  # all of them are absent: equal weights
        squared[:, number] = change[rows].mean(axis=0) / usual
        noise[:, number] = np.sqrt(pattern.change_variance[rows].sum(axis=0)) / (len(rows) * usual)
        counts = draws.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=n_bootstrap)
        means = counts @ change[rows] / (len(rows) * usual)
        drawn[:, :, number] = np.percentile(means, [100 * _LEVEL / 2, 100 - 100 * _LEVEL / 2], axis=0)
    return Evidence(squared, noise, np.full(shape, np.inf), drawn, masks.sum(axis=1), available, tested)


def plain(pattern: Pattern, group: OperationGroup) -> dict[str, Float64Array]:
    """Correlation and disagreement of equivalents, and I/sigma of forbidden reflections, as measured."""
    shape = (pattern.intensity.shape[1], len(group))
    correlation, disagreement = np.full(shape, np.nan), np.full(shape, np.nan)
    over_sigma = np.full(shape, np.nan)
    masks = group.forbids(pattern.hkl)
    for number, rotation in enumerate(group.rotations):
        one, other = _pairs(pattern.hkl, rotation)
        if len(one) > 1:
            # Either order of a pair is as good: both are taken.
            x = np.concatenate([pattern.intensity[one], pattern.intensity[other]])
            y = np.concatenate([pattern.intensity[other], pattern.intensity[one]])
            x0, y0 = x - x.mean(axis=0), y - y.mean(axis=0)
            size = np.sqrt((x0**2).sum(axis=0) * (y0**2).sum(axis=0))
            correlation[:, number] = (x0 * y0).sum(axis=0) / np.maximum(size, 1e-300)
            disagreement[:, number] = np.abs(x - y).sum(axis=0) / np.maximum((x + y).sum(axis=0), 1e-300)
        if masks[number].any():
            error = np.sqrt(np.maximum(pattern.variance[masks[number]], 1e-300))
            over_sigma[:, number] = (pattern.intensity[masks[number]] / error).mean(axis=0)
    return {
        "correlation": correlation,
        "disagreement": disagreement,
        "forbidden_over_sigma": over_sigma,
    }


def _friedel(
    hkl: Integers, means: tuple[Float64Array, ...], variances: tuple[Float64Array, ...]
) -> tuple[Integers, tuple[Float64Array, ...], tuple[Float64Array, ...]]:
    """Mean of each reflection and its Friedel mate, and the variance of such a mean."""
    different, number = np.unique(_canonical(hkl), axis=0, return_inverse=True)
    count = np.bincount(number.ravel(), minlength=len(different))[:, None].astype(np.float64)

    def total(values: Float64Array) -> Float64Array:
        out = np.zeros((len(different), values.shape[1]))
        np.add.at(out, number.ravel(), values)
        return out

    return (
        different,
        tuple(total(values) / count for values in means),
        tuple(total(values) / count**2 for values in variances),
    )


def _canonical(hkl: Integers) -> Integers:
    """Of h and -h the one whose last index that is not zero is positive."""
    last = np.where(hkl[:, 2] != 0, hkl[:, 2], np.where(hkl[:, 1] != 0, hkl[:, 1], hkl[:, 0]))
    return np.asarray(hkl * np.where(last < 0, -1, 1)[:, None], dtype=np.int64)


def _one_of_mates(hkl: Integers) -> Integers:
    return np.unique(_canonical(hkl), axis=0)


def _nodes(region: tuple[Integers, Integers]) -> Integers:
    low, high = region
    nodes = np.array(list(product(*(range(int(a), int(b) + 1) for a, b in zip(low, high, strict=True)))))
    return np.asarray(nodes.reshape(-1, 3), dtype=np.int64)


def _pairs(hkl: Integers, rotation: Integers) -> tuple[Integers, Integers]:
    """Each pair of different reflections that a rotation maps on one another, once."""
    place = {tuple(index): i for i, index in enumerate(hkl.tolist())}
    other = np.array([place.get(tuple(index), -1) for index in _canonical(hkl @ rotation).tolist()], np.int64)
    one = np.arange(len(hkl))
    there = (other >= 0) & (other != one)
    pairs = np.unique(np.sort(np.stack([one, other])[:, there], axis=0), axis=1)
    return pairs[0], pairs[1]


def _systematic(
    hkl: Integers, intensity: Float64Array, relative_variance: Float64Array, group: OperationGroup
) -> float:
    """Relative error of one reflection beyond counting, from equivalents in the symmetric phase."""
    excess = []
    for rotation in group.rotations:
        one, other = _pairs(hkl, rotation)
        with np.errstate(invalid="ignore"):
            ratio = np.log(intensity[one] / intensity[other])
        expected = relative_variance[one] + relative_variance[other]
        excess.append((ratio**2 / _MEDIAN_CHI2 - expected)[np.isfinite(ratio)])
    pooled = np.concatenate(excess)
    return float(np.sqrt(max(np.median(pooled), 0.0) / 2)) if len(pooled) else 0.0
