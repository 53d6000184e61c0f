"""`FlowNovelty`: trajectories that the reference series does not have."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from xtec.core.errors import ConfigError, InputError, NothingToClusterError
from xtec.core.types import Float64Array, FloatArray
from xtec.learned.flow.coupling import LARGEST, CouplingFlow, Design
from xtec.learned.flow.judging import Judge
from xtec.learned.flow.learned import Learned, likelihoods, plain
from xtec.learned.flow.training import train
from xtec.learned.flow.whitening import Noise, Whitening
from xtec.plugins.state import State

_FEWEST_ROWS, _FEWEST_TEMPERATURES = 100, 4

_TRAINED, _HELD_OUT = 0.55, 0.15
"""Shares of the reference that are learned from, and that stop the training and say what is usual. The rest
calibrates."""

_MOST_TRAINED, _MOST_HELD_OUT = 16_000, 4_000
"""Trajectories; what is more calibrates too."""


class FlowNovelty(OutlierMixin, BaseEstimator):
    """Novel trajectories, by a normalizing flow of a reference series.

    The density of the reference trajectories given their noise is learned by a neural spline coupling flow
    whose networks see little of the neighbours of what they predict and have a narrow bottleneck (Kirichenko,
    Izmailov & Wilson, NeurIPS 2020, arXiv:2006.08545). A trajectory is novel if it is too unlikely or too
    likely among reference trajectories as noisy, at a rate of false alarms that is calibrated on reference
    trajectories kept apart.

    Parameters
    ----------
    rate : float
        False alarms, as a share of trajectories that are not novel.
    n_transforms : int
        Couplings of the flow.
    n_classes : int
        Classes of reference trajectories that are whitened each for itself, at most.
    hidden, bottleneck : int
        Width of the networks' layers, and of the narrow one in the middle.
    max_epochs : int
        Passes through the trajectories that are learned from, at most.
    typicality : bool
        Whether trajectories may also be too likely, or have too little noise.
    random_state : int
    device : str
        As torch names it; ``auto`` is CUDA where there is one, else the CPU.

    Attributes
    ----------
    offset_ : float
        Scores below it are novel.
    calibration_ : array, shape (m,)
        Scores of the reference trajectories kept apart, sorted.
    n_features_in_ : int
        Temperatures.
    log_likelihoods_ : list of float
        Of what was held out, after each epoch. Empty in one that was not fitted here.
    """

    def __init__(
        self,
        *,
        rate: float = 0.01,
        n_transforms: int = 6,
        n_classes: int = 8,
        hidden: int = 64,
        bottleneck: int = 8,
        max_epochs: int = 16,
        typicality: bool = True,
        random_state: int = 0,
        device: str = "auto",
    ) -> None:
        self.rate = rate
        self.n_transforms = n_transforms
        self.n_classes = n_classes
        self.hidden = hidden
        self.bottleneck = bottleneck
        self.max_epochs = max_epochs
        self.typicality = typicality
        self.random_state = random_state
        self.device = device

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn the trajectories of the reference.

        Parameters
        ----------
        X : array, shape (n, T)
            Rescaled like those that will be judged. Rows that are not finite are left out.
        y : ignored

        Raises
        ------
        ConfigError
            If an option is impossible, or there are too few temperatures, or trajectories for this rate.
        NothingToClusterError
            If there are fewer than 100 trajectories.
        """
        self._check_options()
        x = _rows(X)
        x = x[np.isfinite(x).all(axis=1)]
        _check_enough(x)
        rng = np.random.default_rng(self.random_state)
        learned, held_out, apart = _split(x, rng)
        self._allowed(len(apart))
        whitening, noise = Whitening.of(learned, self.n_classes, self.random_state), Noise.of(learned)
        n_classes = len(whitening.means)
        design = Design(x.shape[1], self.n_transforms, n_classes, self.hidden, self.bottleneck)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            flow = CouplingFlow(design, whitening.back, self._device())
        self.log_likelihoods_ = train(
            flow,
            whitening,
            noise,
            learned,
            held_out,
            max_epochs=self.max_epochs,
            random_state=self.random_state,
        )
        judge = Judge.of(*likelihoods(whitening, noise, flow, held_out))
        self._learned = Learned(whitening, noise, flow, judge, self.typicality)
        self.n_features_in_ = x.shape[1]
        self._calibrate(np.sort(self._learned.scores(apart)))
        return self

    def score_samples(self, X: ArrayLike) -> Float64Array:
        """How much trajectories (n, T) are like the reference: array (n,), higher is more; NaN if not finite.

        About the logarithm of the share of reference trajectories that are as strange.
        """
        check_is_fitted(self, "calibration_")
        x = _rows(X)
        if x.shape[1] != self.n_features_in_:
            what = (
                f"trajectories have {x.shape[1]} temperatures, those of the reference {self.n_features_in_}"
            )
            raise InputError(what, hint="both series must be of the same temperatures")
        finite = np.isfinite(x).all(axis=1)
        scores = np.full(len(x), np.nan)
        scores[finite] = self._learned.scores(x[finite])
        return scores

    def p_values(self, X: ArrayLike) -> Float64Array:
        """Conformal p-values of trajectories (n, T): array (n,); NaN if not finite.

        A trajectory of the reference has one of `p` or less with a probability of at most `p`, over what may
        have been drawn to calibrate (Bates et al., Ann. Statist. 51, 149 (2023)).
        """
        scores = self.score_samples(X)
        below = np.searchsorted(self.calibration_, scores, side="right")
        return np.where(np.isnan(scores), np.nan, (1 + below) / (1 + len(self.calibration_)))

    def decision_function(self, X: ArrayLike) -> Float64Array:
        """Scores of trajectories (n, T) above `offset_`: array (n,), negative if novel."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Array (n,): -1 for novel trajectories, 1 for others and for those that are not finite."""
        return np.where(self.score_samples(X) < self.offset_, -1, 1)

    def get_state(self) -> State:
        """All that was learned."""
        check_is_fitted(self, "calibration_")
        state = self._learned.state()
        return State({**state.arrays, "calibration": self.calibration_}, state.facts)

    def set_state(self, state: State) -> None:
        """Go on with what was learned before.

        The flow and whether it is of two sides are those of the state, whatever the options say; the rate is
        the option's.

        Raises
        ------
        InputError
            If the state is of something else.
        ConfigError
            If too few trajectories were kept apart for this rate.
        """
        self._check_options()
        arrays = dict(state.arrays)
        try:
            calibration = plain(arrays.pop("calibration"))
            learned = Learned.from_state(State(arrays, state.facts), self._device())
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise InputError(f"this is no state of a flow of trajectories ({error})") from error
        self._calibrate(np.sort(calibration))
        self._learned, self.log_likelihoods_ = learned, []
        self.n_features_in_ = learned.flow.design.n_temperatures

    def _check_options(self) -> None:
        if not 0 < self.rate < 1:
            raise ConfigError(f"rate must be between 0 and 1, got {self.rate}")
        for name in ("n_transforms", "n_classes", "hidden", "bottleneck", "max_epochs"):
            if not 1 <= getattr(self, name) <= LARGEST:
                raise ConfigError(f"{name} must be from 1 to {LARGEST}, got {getattr(self, name)}")

    def _device(self) -> str:
        if self.device != "auto":
            return self.device
        return "cuda" if torch.cuda.is_available() else "cpu"

    def _allowed(self, n_apart: int) -> int:
        """Number of false alarms among those kept apart and one more.

        Raises
        ------
        ConfigError
            If it is less than one.
        """
        allowed = int(np.floor(self.rate * (n_apart + 1) + 1e-9))
        if allowed < 1:
            what = f"{n_apart} reference trajectories kept apart cannot show a rate of {self.rate:g}"
            raise ConfigError(what, hint=f"give more of them, or a rate of {1 / (n_apart + 1):.2g} or more")
        return allowed

    def _calibrate(self, scores: Float64Array) -> None:
        self.offset_ = float(scores[self._allowed(len(scores)) - 1])
        self.calibration_ = scores


def _rows(X: ArrayLike) -> FloatArray:
    x = np.asarray(X)
    if x.ndim != 2:
        raise InputError(f"trajectories are an array (n, T), not one of shape {x.shape}")
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)


def _check_enough(x: FloatArray) -> None:
    n, n_temperatures = x.shape
    if n_temperatures < _FEWEST_TEMPERATURES:
        raise ConfigError(f"{n_temperatures} temperatures are too few for a flow", hint="four at least")
    if n < _FEWEST_ROWS:
        what = f"{n} finite reference trajectories are too few to learn a flow from"
        raise NothingToClusterError(what, hint=f"{_FEWEST_ROWS} at least; cluster voxels, not peaks")


def _split(x: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What is learned from, what is held out, and what is kept apart to calibrate."""
    order = rng.permutation(len(x))
    first = min(int(_TRAINED * len(x)), _MOST_TRAINED)
    second = first + min(int(_HELD_OUT * len(x)), _MOST_HELD_OUT)
    return x[order[:first]], x[order[first:second]], x[order[second:]]
