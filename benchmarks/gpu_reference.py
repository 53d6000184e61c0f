"""One EM pass written out in float64 NumPy, how far another may be from it, and what any pass must do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.types import CovarianceType
from xtec.mixture import MixtureParameters
from xtec.mixture.moments import ComponentMoments

Rows = NDArray[Any]
Float64 = NDArray[np.float64]

LIMITS = {
    "float32": {
        "weight": 2e-5,
        "mean": 5e-5,
        "scatter": 5e-4,
        "log_likelihood": 2e-6,
        "probability": 1e-3,
        "tie": 1e-3,
    },
    "float64": {
        "weight": 1e-10,
        "mean": 1e-10,
        "scatter": 1e-10,
        "log_likelihood": 1e-12,
        "probability": 1e-7,
        "tie": 1e-10,
    },
}
"""Largest relative errors of moments and log-likelihood, and errors of the probability of a label.

About ten times what the compiled loops on the processor show over many draws. A label is not counted wrong
where the probabilities of two clusters differ by less than `tie`; probabilities come as float32.
"""

_PRESENT = 1e-2
"""A component with less than this many trajectories says nothing about mean and scatter."""


@dataclass(frozen=True)
class Pass:
    """What one EM pass finds."""

    moments: ComponentMoments
    log_likelihood: float
    share: Float64


def reference(x: Rows, parameters: MixtureParameters) -> Pass:
    """Responsibilities, moments and mean log-likelihood of diagonal components, by the formulas."""
    rows = x.astype(np.float64)
    n, t = rows.shape
    k = parameters.n_components
    variances = parameters.variances()
    with np.errstate(divide="ignore"):
        log_weights = np.log(parameters.weights)
    joint = np.empty((n, k))
    for one in range(k):
        squares = ((rows - parameters.means[one]) ** 2 / variances[one]).sum(axis=1)
        norm = np.log(variances[one]).sum() + t * math.log(2 * math.pi)
        joint[:, one] = log_weights[one] - 0.5 * (squares + norm)
    highest = joint.max(axis=1, keepdims=True)
    likelihood = np.exp(joint - highest)
    total = likelihood.sum(axis=1, keepdims=True)
    share = likelihood / total
    weight = share.sum(axis=0)
    mean, scatter = np.zeros((k, t)), np.zeros((k, t))
    for one in np.flatnonzero(weight > 0):
        mean[one] = share[:, one] @ rows / weight[one]
        scatter[one] = share[:, one] @ (rows - mean[one]) ** 2
    return Pass(ComponentMoments(weight, mean, scatter), float((np.log(total) + highest).sum()) / n, share)


def errors_of_pass(
    found: tuple[ComponentMoments, float],
    expected: tuple[ComponentMoments, float],
    parameters: MixtureParameters,
) -> dict[str, float]:
    """Relative errors ||out - ref|| / ||ref|| of weight, mean and scatter, and that of the log-likelihood.

    Means are taken from the mean of all. Where a reference is smaller than the spread of the components is,
    for few trajectories, the error is relative to the spread.
    """
    (out, likelihood), (ref, wanted) = found, expected
    there = ref.weight > _PRESENT
    variances = parameters.variances()[there]
    centre = ref.weight @ ref.mean / ref.weight.sum()
    spread = ref.weight[there, None] * variances
    return {
        "weight": relative(out.weight, ref.weight, 0.0),
        "mean": relative(out.mean[there] - centre, ref.mean[there] - centre, np.sqrt(variances)),
        "scatter": relative(out.scatter[there], ref.scatter[there], spread),
        "log_likelihood": abs(likelihood - wanted) / max(abs(wanted), 1.0),
    }


def errors_of_labels(label: Any, probability: Any, share: Float64) -> dict[str, float]:
    """How wrong probabilities are, and the largest gap between clusters where a label differs."""
    n, k = share.shape
    top = share.max(axis=1)
    label, probability = np.asarray(label), np.asarray(probability, dtype=np.float64)
    if label.shape != (n,) or probability.shape != (n,) or np.any((label < 0) | (label >= k)):
        return {"probability": math.inf, "tie": math.inf, "n_differing": float(n)}
    gap = top - share[np.arange(n), label]
    return {
        "probability": float(np.abs(probability - top).max(initial=0.0)),
        "tie": float(gap.max(initial=0.0)),
        "n_differing": float(np.sum(label != share.argmax(axis=1))),
    }


def relative(out: Any, ref: Any, scale: Any) -> float:
    """||out - ref|| / ||ref||, or over ||scale|| where that is larger."""
    size = max(float(np.linalg.norm(ref)), float(np.linalg.norm(scale)))
    return float(np.linalg.norm(out - ref)) / size if size else float(np.linalg.norm(out - ref))


def over_limit(errors: dict[str, float], limits: dict[str, float]) -> list[str]:
    """Names of the errors above their limits; what is not a number is."""
    return [name for name, limit in limits.items() if name in errors and not errors[name] <= limit]


def draw(
    rng: np.random.Generator, n: int, t: int, k: int, dtype: str, *, empty: bool = False
) -> tuple[Rows, MixtureParameters]:
    """A mixture away from the origin, and trajectories it could have made; one in a hundred is an outlier.

    Parameters
    ----------
    rng : Generator
    n, t, k : int
    dtype : str
    empty : bool
        Whether the last component has no weight.
    """
    centre = 5.0 * rng.standard_normal(t)
    means = centre + rng.choice([0.3, 1.5]) * rng.standard_normal((k, t))
    variances = rng.uniform(0.05, 1.0, (k, t))
    weights = rng.dirichlet(np.full(k, 5.0))
    if empty and k > 1:
        weights[-1] = 0.0
        weights /= weights.sum()
    which = rng.choice(k, n, p=weights)
    wide = np.where(rng.random((n, 1)) < 0.01, 10.0, 1.0)
    rows = means[which] + wide * np.sqrt(variances[which]) * rng.standard_normal((n, t))
    given = MixtureParameters(weights, means, variances, CovarianceType.DIAG)
    return np.asfortranarray(rows.astype(dtype)), given


def bytes_of_pass(n: int, t: int, k: int, itemsize: int) -> int:
    """Memory traffic of a pass at least: every trajectory read once, the sums written once in float64."""
    return n * t * itemsize + 8 * (k * (1 + 2 * t) + 1)


def flops_of_pass(n: int, t: int, k: int) -> int:
    """Operations of a pass at least: four for each element and component to find the density, four for its
    part of the moments, and five for each responsibility, where an exponential counts as one."""
    return n * k * (8 * t + 5)


@dataclass(frozen=True)
class Ceilings:
    """What the card was measured to do: bytes read and written a second, and operations a second."""

    copy: float
    read: float
    multiply: float


@dataclass(frozen=True)
class Floor:
    """Seconds that no pass can go below on a card, and what sets them."""

    seconds: float
    set_by: str

    @classmethod
    def of(cls, n_bytes: float, n_flops: float, ceilings: Ceilings) -> Floor:
        """The larger of moving the bytes and doing the operations."""
        moving, counting = n_bytes / ceilings.copy, n_flops / ceilings.multiply
        return cls(moving, "memory") if moving >= counting else cls(counting, "arithmetic")
