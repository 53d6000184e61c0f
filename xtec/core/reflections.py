"""What is found of order inside the unit cell: reflections, classes, rules, halos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.order import WaveVector
from xtec.core.quantities import Quantity, SampleInfo
from xtec.core.types import Float64Array


@dataclass(frozen=True)
class Reflections:
    """Bragg positions of a run and what was found there.

    Attributes
    ----------
    hkl : array, shape (N, 3)
    label : array, shape (N,)
        Cluster 1..K.
    intensity : array, shape (N, T)
        Of the peak there.
    """

    hkl: NDArray[np.int64]
    label: NDArray[np.int16]
    intensity: Float64Array


@dataclass(frozen=True)
class Contingency:
    """Classes of reflections against clusters.

    Attributes
    ----------
    classes : tuple of str
        C classes that share no reflection, and hold all.
    clusters : tuple of int
    counts : array, shape (C, K)
    p_value : float
        Of classes and clusters having nothing to do with each other.
    cramers_v : float
        Strength of the association, 0 to 1.
    """

    classes: tuple[str, ...]
    clusters: tuple[int, ...]
    counts: NDArray[np.int64]
    p_value: float
    cramers_v: float

    @property
    def information(self) -> float:
        """What the class of a reflection tells about its cluster, in bits (mutual information)."""
        joint = self.counts / max(self.counts.sum(), 1)
        alone = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
        seen = joint > 0
        return float(np.sum(joint[seen] * np.log2(joint[seen] / alone[seen])))


@dataclass(frozen=True)
class SelectionRule:
    """The smallest set of conditions on H, K, L that tells a cluster's reflections from the others.

    Attributes
    ----------
    cluster : int
    rule : str
        In words; empty where none explains the cluster.
    reflections : int
        Reflections of the cluster.
    matched : int
        Those of them that obey the rule.
    purity : float
        Share of the cluster among the reflections that obey it.
    exceptions : array, shape (m, 3)
        Reflections of the cluster that break the rule, and of others that obey it.
    significance : float
        p-value of rule and cluster having nothing to do with each other (Fisher's exact test).
    """

    cluster: int
    rule: str
    reflections: int
    matched: int
    purity: float
    exceptions: NDArray[np.int64]
    significance: float


@dataclass(frozen=True)
class Halo:
    """Labels of voxels around the Bragg positions of one class.

    Attributes
    ----------
    name : str
        Class.
    reflections : int
    distance : array, shape (S,)
        Middle of each shell, in r.l.u.
    share : array, shape (S, K+1)
        Share of the shell's voxels with each label; label 0 is not clustered.
    """

    name: str
    reflections: int
    distance: Float64Array
    share: Float64Array


@dataclass(frozen=True)
class ReflectionGroup:
    """Reflections that go together with temperature: one order parameter, or a cluster that does not order.

    Attributes
    ----------
    number : int
        1..G; `Reflections.label` and `SelectionRule.cluster` are these.
    clusters : tuple of int
    tc : Quantity or None
        Where it orders.
    intensity, error : array, shape (T,)
        Mean over its voxels.
    """

    number: int
    clusters: tuple[int, ...]
    tc: Quantity | None
    intensity: Float64Array
    error: Float64Array

    @property
    def text(self) -> str:
        """``cluster 2, Tc = 200 K``."""
        word = "clusters" if len(self.clusters) > 1 else "cluster"
        numbers = ", ".join(map(str, self.clusters))
        return f"{word} {numbers}" + ("" if self.tc is None else f", {self.tc.value:.0f} {self.tc.units}")


@dataclass(frozen=True)
class BrokenSymmetry:
    """Which operations of the high-temperature group intensities show to be broken, at each temperature.

    G operations, T temperatures.

    Attributes
    ----------
    group : str
        The high-temperature group.
    triplets, names : tuple of str
        Operations as ``-y+1/4,x+1/4,z+1/4`` and as ``4-fold screw axis along c``.
    scan : Axis
    reference : array, shape (T,), bool
        Temperatures taken as the symmetric phase.
    weights, low, high : array, shape (T, G)
        Weight of the pattern's copy by each operation, that of the pattern itself being 1, and its interval:
        1 where the operation holds, 0 where nothing is left of it. NaN where no reflection tells.
    broken : array, shape (T, G), bool
    tested : array, shape (G,), bool
        Whether enough reflections tell of the operation.
    pairs, forbidden, positions : array, shape (G,), int
        Pairs of equivalent reflections measured, reflections found that it forbids, and how many the region
        has of these.
    correlation, disagreement : array, shape (T, G)
        Of the intensities of equivalent reflections, nothing taken off: Pearson's r, and the sum of
        differences over the sum of sums as in R_merge.
    forbidden_over_sigma : array, shape (T, G)
        Mean of intensity over its error of the forbidden reflections found, nothing taken off.
    subgroup : tuple of str
        At each temperature: symbol of the largest subgroup none of whose operations is broken; joined by
        " or " where there are several.
    unseen : tuple of str
        What these intensities cannot tell, in sentences.
    """

    group: str
    triplets: tuple[str, ...]
    names: tuple[str, ...]
    scan: Axis
    reference: NDArray[np.bool_]
    weights: Float64Array
    low: Float64Array
    high: Float64Array
    broken: NDArray[np.bool_]
    tested: NDArray[np.bool_]
    pairs: NDArray[np.int64]
    forbidden: NDArray[np.int64]
    positions: NDArray[np.int64]
    correlation: Float64Array
    disagreement: Float64Array
    forbidden_over_sigma: Float64Array
    subgroup: tuple[str, ...]
    unseen: tuple[str, ...]

    @property
    def changes(self) -> list[tuple[float, float, str, str]]:
        """Where the subgroup changes, on the way down: values below and above, subgroup below and above."""
        order = np.argsort(self.scan.values, kind="stable")[::-1]
        x = self.scan.values
        return [
            (float(x[after]), float(x[before]), self.subgroup[after], self.subgroup[before])
            for before, after in pairwise(order)
            if self.subgroup[after] != self.subgroup[before]
        ]

    def onset(self, operation: int) -> float:
        """Highest scan value at which an operation is broken; NaN if it never is."""
        at = self.scan.values[self.broken[:, operation]]
        return float(at.max()) if len(at) else float("nan")


@dataclass(frozen=True)
class UnitCellFindings:
    """What `xtec unit-cell` finds out.

    Attributes
    ----------
    run : str
    sample : SampleInfo
    scan : Axis
    symmetry : str
        Laue group, and where it comes from.
    space_group : str
        The high-temperature one, where it is known; else empty.
    reflections : Reflections
        Labelled by group.
    groups : sequence of ReflectionGroup
    tables : mapping
        Contingency of classes and groups, by scheme.
    rules : sequence of SelectionRule
    forbidden : Reflections
        Those that the space group forbids.
    halos : sequence of Halo
        Labelled by cluster; empty where peaks were clustered as a whole.
    transitions : sequence of Quantity
        Of order inside the unit cell.
    superlattice : sequence of WaveVector
        Wave vectors that are no reciprocal lattice vectors.
    warnings : sequence of str
    broken_symmetry : BrokenSymmetry or None
        Where it was asked for.
    """

    run: str
    sample: SampleInfo
    scan: Axis
    symmetry: str
    space_group: str
    reflections: Reflections
    groups: Sequence[ReflectionGroup]
    tables: Mapping[str, Contingency]
    rules: Sequence[SelectionRule]
    forbidden: Reflections
    halos: Sequence[Halo]
    transitions: Sequence[Quantity]
    superlattice: Sequence[WaveVector]
    warnings: Sequence[str] = ()
    broken_symmetry: BrokenSymmetry | None = None
