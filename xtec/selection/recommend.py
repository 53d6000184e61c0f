"""One clustering among many, with its reason, and what would change it."""

from __future__ import annotations

from dataclasses import dataclass

from xtec.core.types import Float64Array
from xtec.selection.frontier import Clustering, Joint, Partition, join, most_alike

DISTINCT = 0.2
"""Lowest exchange rate at which two clusters are called different."""


@dataclass(frozen=True)
class Choice:
    """What is recommended.

    Attributes
    ----------
    clustering : Clustering
    reason, sensitivity : str
        Why, and what would change it; a sentence each.
    """

    clustering: Clustering
    reason: str
    sensitivity: str


@dataclass(frozen=True)
class Rule:
    """What is asked of a clustering.

    Attributes
    ----------
    lowest, highest : int
        Numbers of clusters that may be recommended.
    fewest : float
        Trajectories, of components that are not mixed of several shapes, that a cluster needs: mixed ones lie
        between clusters, and very few trajectories are outliers.
    distinct : float
        Exchange rate from which on two clusters are different.
    """

    lowest: int
    highest: int
    fewest: float = 0.0
    distinct: float = DISTINCT


def recommend(joint: Joint, trajectories: Float64Array, rule: Rule) -> Choice:
    """Join components, always the most alike, until any two clusters differ in shape.

    Parameters
    ----------
    joint : Joint
        p(x, y) of M components.
    trajectories : array, shape (M,)
        How many of each a cluster may rest on: none of a component that is mixed.
    rule : Rule
    """
    partition: Partition = tuple((k,) for k in range(len(trajectories)))
    finer = None
    while len(partition) > rule.lowest:
        some, other = most_alike(joint, partition)
        if len(partition) <= rule.highest and joint.exchange_rate(some, other) >= rule.distinct:
            weak = [group for group in partition if trajectories[list(group)].sum() < rule.fewest]
            if not weak:
                break
            lone = min(weak, key=lambda group: (trajectories[list(group)].sum(), group))
            rest = [group for group in partition if group != lone]
            some, other = lone, min(rest, key=lambda group: (joint.exchange_rate(lone, group), group))
        else:
            finer = joint.exchange_rate(some, other)
        partition = join(partition, some, other)
    chosen = joint.evaluate(partition)
    return Choice(chosen, _reason(chosen, rule), _sensitivity(chosen, finer, rule))


def _reason(chosen: Clustering, rule: Rule) -> str:
    m, k = sum(len(group) for group in chosen.partition), chosen.n_clusters
    joined = f"of {m} components, those whose curves have the same shape at any strength were joined"
    if chosen.distinctness >= rule.distinct:
        return f"{k} clusters: {joined}, until any two clusters differed"
    return f"{k} clusters, as few as allowed, though not all of them differ in shape: {joined}"


def _sensitivity(chosen: Clustering, finer: float | None, rule: Rule) -> str:
    parts = [f"clusters count as different from an exchange rate of {rule.distinct:.2f} on"]
    if finer is not None:
        parts.append(f"more of them below {finer:.2f}")
    if chosen.n_clusters > 1:
        parts.append(f"fewer above {chosen.distinctness:.2f}")
    return "; ".join(parts)
