"""Which operations of a group hold in a pattern of reflections: relaxed weights, one an operation.

A group convolution averages over copies of a pattern with equal weights; relaxed, each operation g has a
weight of its own, and weights that move apart tell which operation is broken (Wang et al. 2023). Here a
pattern that holds a part w_e of itself and w_g of its copy by g differs from that copy by
``(w_e - w_g) / (w_e + w_g) = A``, so the weight of g beside that of the identity is ``(1 - A) / (1 + A)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.errors import ConfigError
from xtec.core.reflections import BrokenSymmetry
from xtec.core.types import Float64Array
from xtec.learned.symmetry_evidence import Evidence, Pattern, equivalents, extinctions, plain
from xtec.learned.symmetry_operations import OperationGroup

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class MeasuredPeaks:
    """Peaks at Bragg positions.

    Attributes
    ----------
    hkl : array, shape (N, 3)
    height, height_variance : array, shape (N, T)
        Of the strongest voxel: that of a peak cut by the edge of the region is right, its sum is not.
    intensity, intensity_variance : array, shape (N, T)
        Sum over the peak: that of a weak one stands out more.
    voxels : array, shape (N,)
    """

    hkl: NDArray[np.int64]
    height: Float64Array
    height_variance: Float64Array
    intensity: Float64Array
    intensity_variance: Float64Array
    voxels: Float64Array


@dataclass(frozen=True, kw_only=True)
class BreakingOptions:
    """What decides which operations are called broken.

    Parameters
    ----------
    n_reference : int
        So many highest temperatures are the symmetric phase.
    n_bootstrap : int
        Draws of peaks for the intervals.
    margin : float
        Share of its largest change up to which a reflection counts as not changed: critical scattering
        is not told from order there.
    random_state : int

    Raises
    ------
    ConfigError
        If a number makes no sense.
    """

    n_reference: int = 3
    n_bootstrap: int = 400
    margin: float = 0.05
    random_state: int = 0

    def __post_init__(self) -> None:
        if self.n_reference < 1 or self.n_bootstrap < 50 or not 0 <= self.margin < 1:
            raise ConfigError(
                f"cannot use n_reference = {self.n_reference}, n_bootstrap = {self.n_bootstrap}, "
                f"margin = {self.margin:g}",
                hint="at least 1, at least 50, and a share from 0 to below 1",
            )


def find_broken_operations(
    peaks: MeasuredPeaks,
    scan: Axis,
    group: OperationGroup,
    region: tuple[NDArray[np.int64], NDArray[np.int64]],
    options: BreakingOptions | None = None,
) -> BrokenSymmetry:
    """Weights of the operations of the high-temperature group at each temperature, and which are broken.

    Two kinds of evidence are put on one scale. Equivalent reflections h and hR must go together: how the
    changes of their heights since the symmetric phase part shows the rotation. Reflections with hR = h that
    ``(R|t)`` forbids must stay absent: the growth of their sums shows the translation. The one that shows
    more is an operation's weight. An interval is the wider one of the bootstrap over peaks (95 %) and that
    of counting noise (95 % for all operations and temperatures together); an operation is broken where it
    excludes 1.

    Parameters
    ----------
    peaks : MeasuredPeaks
    scan : Axis
        T values.
    group : OperationGroup
        Of the high-temperature phase.
    region : pair of arrays, shape (3,)
        Least and largest h, k, l that were measured.
    options : BreakingOptions, optional

    Raises
    ------
    ConfigError
        If there are no temperatures beside the reference.

    References
    ----------
    Wang, Hofgard, Gao, Walters & Smidt, arXiv:2310.02299 (2023).
    """
    options = options or BreakingOptions()
    if len(scan.values) <= options.n_reference:
        raise ConfigError(
            f"{len(scan.values)} temperatures, {options.n_reference} of them the symmetric phase",
            hint="at least one more temperature than n_reference",
        )
    reference = np.zeros(len(scan.values), bool)
    reference[np.argsort(-scan.values, kind="stable")[: options.n_reference]] = True
    heights, both = _evidence(peaks, reference, group, region, options)
    tests = max(1, sum(int(each.tested.sum()) for each in both)) * int((~reference).sum())
    weights, low, high, broken = _joined(both, tests)
    broken[reference] = False
    names = {row.tobytes(): _subgroup(row, both, group) for row in np.unique(broken, axis=0)}
    return BrokenSymmetry(
        group=group.symbol,
        triplets=group.triplets,
        names=group.names,
        scan=scan,
        reference=reference,
        weights=weights,
        low=low,
        high=high,
        broken=broken,
        tested=(both[0].tested & ~_untold(both, group)) | both[1].tested | broken.any(axis=0),
        pairs=both[0].found,
        forbidden=both[1].found,
        positions=both[1].positions,
        **plain(heights, group),
        subgroup=tuple(names[row.tobytes()] for row in broken),
        unseen=_unseen(both, group),
    )


def symmetrise(
    hkl: NDArray[np.int64], intensity: Float64Array, group: OperationGroup, holds: Mask | None = None
) -> Float64Array:
    """Mean of each reflection and its equivalents by the operations that hold.

    Parameters
    ----------
    hkl : array, shape (N, 3)
        Each reflection once.
    intensity : array, shape (N, T)
        Measured; NaN does not count.
    group : OperationGroup
    holds : array, shape (G,), bool, optional
        Operations to average over: a subgroup. All without it.

    Returns
    -------
    array, shape (N, T)
        Inversion does not count among the operations unless it is in the group; reflections that were not
        measured do not count. NaN where none was.

    Raises
    ------
    ConfigError
        If the operations are no subgroup: the mean would depend on the reflection it starts from.

    References
    ----------
    Averaging over a group or a frame: Puny et al., arXiv:2110.03336 (2022).
    """
    members = np.ones(len(group), bool) if holds is None else np.asarray(holds, bool)
    if not members[0] or not any((members == found).all() for found in group.largest_subgroups(~members)):
        raise ConfigError("the operations to average over are no subgroup", hint="add their products")
    place = {tuple(index): i for i, index in enumerate(hkl.tolist())}
    images = group.images(hkl)[members]
    found = np.array([[place.get(tuple(one), -1) for one in copy] for copy in images.tolist()])
    total = np.zeros(intensity.shape)
    count = np.zeros(intensity.shape)
    for row in found:
        values = np.where((row >= 0)[:, None], intensity[row], np.nan)
        total += np.nan_to_num(values)
        count += np.isfinite(values)
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def _evidence(
    peaks: MeasuredPeaks,
    reference: Mask,
    group: OperationGroup,
    region: tuple[NDArray[np.int64], NDArray[np.int64]],
    options: BreakingOptions,
) -> tuple[Pattern, tuple[Evidence, Evidence]]:
    """The pattern of heights, and what equivalent and forbidden reflections tell."""
    ones = np.ones(len(peaks.hkl))
    heights = Pattern.of(peaks.hkl, peaks.height, peaks.height_variance, ones, reference, group)
    sums = Pattern.of(peaks.hkl, peaks.intensity, peaks.intensity_variance, peaks.voxels, reference, group)
    draws = np.random.default_rng(options.random_state)
    margin, n = options.margin, options.n_bootstrap
    return heights, (
        equivalents(heights, group, margin, n, draws),
        extinctions(sums, group, region, margin, n, draws),
    )


def _joined(
    both: tuple[Evidence, Evidence], tests: int
) -> tuple[Float64Array, Float64Array, Float64Array, Mask]:
    """Weights, their intervals and what is broken: of both kinds of evidence what shows more."""
    weights, broken = [], []
    for evidence in both:
        low, high = evidence.interval(tests)
        broken.append((low > 0) & evidence.tested)
        told = (evidence.squared, high, low)
        weights.append([_weight(np.where(evidence.tested, each, np.nan)) for each in told])
    first, second = weights
    chosen = np.isnan(first[0]) | (np.nan_to_num(second[0], nan=2.0) < first[0])
    chosen = np.where(broken[0] != broken[1], broken[1], chosen)
    weight, low, high = (np.where(chosen, b, a) for a, b in zip(first, second, strict=True))
    return weight, low, high, np.asarray(broken[0] | broken[1])


def _weight(squared: Float64Array) -> Float64Array:
    """Weight beside the identity's from the square of A; 1 where noise makes it negative."""
    amplitude = np.sqrt(np.clip(squared, 0.0, 1.0))
    return np.asarray((1.0 - amplitude) / (1.0 + amplitude))


def _subgroup(broken: Mask, both: tuple[Evidence, Evidence], group: OperationGroup) -> str:
    """Largest subgroup without a broken operation; of equals those with most operations seen to hold."""
    candidates = group.largest_subgroups(broken)
    # A glide plane or screw axis that still forbids its reflections is seen to hold.
    seen = [int((both[1].tested & ~broken & members).sum()) for members in candidates]
    best = [members for members, number in zip(candidates, seen, strict=True) if number == max(seen)]
    return " or ".join(sorted({group.name_of(members) for members in best}))


def _unseen(both: tuple[Evidence, Evidence], group: OperationGroup) -> tuple[str, ...]:
    """What intensities leave open."""
    said = [
        "equivalent reflections tell an operation from its product with inversion nowhere (Friedel's law)",
        "domains of equal volume look like the group that permutes them: a lower symmetry within each is not "
        "excluded, and an operation broken in one domain only counts as broken",
    ]
    if not group.translations_known:
        said.append("without a space group, glide planes and screw axes are not looked at")
    open_ones = ~(both[0].tested | both[1].tested) | _untold(both, group)
    open_ones[0] = False
    names = [group.names[i] for i in np.flatnonzero(open_ones) if group.names[i] != "inversion"]
    names = [name for name in names if not name.endswith("reversed")]
    if names:
        said.append("too few reflections in this region tell of: " + ", ".join(names))
    return tuple(said)


def _untold(both: tuple[Evidence, Evidence], group: OperationGroup) -> Mask:
    """Glide planes and screw axes of which too few forbidden reflections are in the region, shape (G,)."""
    shifted = np.array(["screw" in name or "glide" in name for name in group.names])
    return np.asarray(shifted & ~both[1].tested)
