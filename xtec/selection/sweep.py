"""From trajectories to a number of clusters: shapes are found, and the usual criteria swept beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import home
from xtec.core.device import Device, Host
from xtec.core.errors import ConfigError
from xtec.core.results import Selection
from xtec.core.shards import Shards
from xtec.core.types import CovarianceType, Float64Array, FloatArray
from xtec.mixture import GaussianMixture, MixtureConfig, Trajectories
from xtec.mixture.parameters import free_parameters
from xtec.selection.criteria import agreement, bic, icl, silhouette
from xtec.selection.discover import GAIN, Found, discover
from xtec.selection.frontier import Clustering, Joint, clusterings, pareto
from xtec.selection.shapes import Shaped, Shapes, View

_SAMPLE = 30_000
"""Trajectories that shapes are found on, about."""

_SWEPT = 8_000
"""Trajectories that the criteria are taken on."""

_STARTS = 4
_GAIN = 1e-5


@dataclass(frozen=True, kw_only=True)
class SelectorConfig:
    """Which numbers of clusters to consider.

    Attributes
    ----------
    lowest, highest : int
        Both included.
    seed : int
        The same seed gives the same answer.
    """

    lowest: int = 1
    highest: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.lowest <= self.highest:
            raise ConfigError(f"no number of clusters from {self.lowest} to {self.highest}", hint="-k 2:8")


@dataclass(frozen=True)
class Selected:
    """What was selected.

    Attributes
    ----------
    shapes : Shapes
        Of K clusters.
    selection : Selection
        Curves, recommendation and reason.
    """

    shapes: Shapes
    selection: Selection


class Selector:
    """Finds the number of clusters of trajectories.

    Shapes are found one after the other, on a sample; each must explain its trajectories much better than
    those before. The usual criteria are swept over plain mixtures for comparison.

    Parameters
    ----------
    config : SelectorConfig
    """

    def __init__(self, config: SelectorConfig) -> None:
        self.config = config

    def select(
        self,
        shaped: Shards[Shaped],
        after_each: Callable[[], None] = lambda: None,
        device: Device | None = None,
    ) -> Selected:
        """Sweep and choose.

        Parameters
        ----------
        shaped : Shards of Shaped
        after_each : callable
            Called after each number of clusters that was tried.
        device : Device, optional
            What fits the mixtures of the sweep; the processor by default. Shapes are found on the processor:
            one after the other, on a sample.

        Raises
        ------
        ConfigError
            If there are fewer trajectories than the lowest number of clusters.
        DegenerateMixtureError
            If all trajectories are the same.
        """
        config = self.config
        sample = _sample(shaped, config.seed)
        n = len(sample.rows)
        if n < config.lowest:
            raise ConfigError(
                f"{config.lowest} clusters of {n} trajectories cannot be found",
                hint="a lower range, or a lower threshold",
            )
        data = Trajectories(np.asfortranarray(sample.rows))
        data.require_spread()
        numbers = np.arange(config.lowest, min(config.highest, n) + 1)
        swept = data.sample(np.random.default_rng(config.seed), _SWEPT).rows().astype(data.dtype)
        criteria = np.empty((4, numbers.size))
        for column, k in enumerate(numbers):
            criteria[:, column] = _criteria(swept, int(k), config.seed, device or Host())
            after_each()
        view = View.of(sample)
        rng = np.random.default_rng(config.seed)
        found = discover(view, rng, int(numbers[0]), int(numbers[-1]))
        share = found.shapes.responsibilities(view)
        return Selected(found.shapes, _describe(found, share, numbers, criteria))


def _sample(shaped: Shards[Shaped], seed: int) -> Shaped:
    """About so many trajectories, the same ones however they are split into shards."""
    n = sum(shaped.map(_size))
    few = list(shaped.map(_Some(min(1.0, _SAMPLE / max(n, 1)), seed)))
    index = np.concatenate([one.index for one in few])
    order = np.argsort(index, kind="stable")
    columns = (
        np.concatenate([getattr(one, name) for one in few])[order]
        for name in ("rows", "noise", "excess", "chance")
    )
    return Shaped(0, index[order], *columns)


def _size(block: Shaped) -> int:
    return int(block.rows.shape[0])


@dataclass(frozen=True)
class _Some:
    """Trajectories whose index is drawn, by a number that looks random (splitmix64)."""

    share: float
    seed: int

    def __call__(self, block: Shaped) -> Shaped:
        with np.errstate(over="ignore"):
            z = (home(block.index).astype(np.uint64) + np.uint64(self.seed + 1)) * np.uint64(
                0x9E3779B97F4A7C15
            )
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
        return block.chosen(z <= np.uint64(min(int(self.share * 2**64), 2**64 - 1)))


def _describe(
    found: Found, share: Float64Array, numbers: NDArray[np.intp], criteria: Float64Array
) -> Selection:
    """Curves and words: the criteria, what each shape gained, and fidelity against size of what they make."""
    k = len(found.shapes.weights)
    joint = Joint(share.T @ share / len(share))
    met = clusterings(joint)
    curves = np.array([_point(met, int(number)) for number in numbers])
    gain = np.array([found.gains[n - 2] if 2 <= n < 2 + len(found.gains) else np.nan for n in numbers])
    names = ("bic", "icl", "silhouette", "stability", "size", "fidelity")
    return Selection(
        n_clusters=numbers,
        **dict(zip(names, [*criteria, *curves.T], strict=True)),
        gain=gain,
        frontier=np.array([(c.n_clusters, c.size, c.fidelity) for c in pareto(met)]),
        recommended=k,
        reason=_reason(found, k, int(numbers[0])),
        sensitivity=_sensitivity(found, k),
    )


def _reason(found: Found, k: int, lowest: int) -> str:
    what = f"{k} clusters: what does not vary beyond noise, and {k - 1} shapes"
    if k == lowest and found.gains[: k - 1] and min(found.gains[: k - 1]) < GAIN:
        return f"{what}, as few as allowed, though not all of them are needed"
    return f"{what}, each of which explains its trajectories better by {GAIN:g} nats or more"


def _sensitivity(found: Found, k: int) -> str:
    parts = [f"a shape counts from {GAIN:g} nats a trajectory on"]
    if len(found.gains) >= k:
        parts.append(f"one more below {found.gains[k - 1]:.1f}")
    if k > 1:
        parts.append(f"one fewer above {min(found.gains[: k - 1]):.1f}")
    return "; ".join(parts)


def _point(met: list[Clustering], k: int) -> tuple[float, float]:
    """Size and fidelity of the most faithful of k clusters; NaN if there are none."""
    mine = [one for one in met if one.n_clusters == k]
    if not mine:
        return np.nan, np.nan
    best = max(mine, key=lambda one: one.fidelity)
    return best.size, best.fidelity


def _fit(data: Trajectories, k: int, n_init: int, seed: int) -> GaussianMixture:
    """A plain mixture; of few trajectories one with a common width, as in the search for starts."""
    few = data.n < free_parameters(k, data.n_features, CovarianceType.DIAG)
    kind = CovarianceType.SHARED if few else CovarianceType.DIAG
    return GaussianMixture(
        MixtureConfig(n_components=k, covariance_type=kind, n_init=n_init, tol=_GAIN, seed=seed)
    ).fit(data)


def _criteria(swept: FloatArray, k: int, seed: int, device: Device) -> tuple[float, float, float, float]:
    """BIC, ICL, silhouette and stability of K plain components."""

    def trajectories(chosen: FloatArray) -> Trajectories:
        return Trajectories(device.upload(np.asfortranarray(chosen)))

    rows = swept.astype(np.float64)
    model = _fit(trajectories(swept), k, _STARTS, seed)
    share = model.responsibilities(rows)
    label = share.argmax(axis=1)
    rng = np.random.default_rng((seed, k))
    drawn = trajectories(swept[np.sort(rng.integers(len(rows), size=len(rows)))])
    again = _fit(drawn, k, _STARTS, seed + 1).predict(rows)[0]
    information = bic(model.log_likelihood, len(rows), model.parameters.n_free)
    return (
        information,
        icl(information, share),
        silhouette(rows, label, rng),
        agreement(label, again),
    )
