"""Features that do not change with what the trajectories do not care about, which is itself learned.

Trajectories are transformed at random: scaled, offset, tilted, smoothed, shifted and stretched in
temperature. How far, is learned as in Benton, Finzi, Izmailov & Wilson (NeurIPS 2020, arXiv:2010.11882):
the widths of uniform distributions grow until it hurts. What hurts here is that transformed trajectories
no longer look like other trajectories of the same data, judged by a mixture that was fitted to the other half
of them; what makes widths grow is their entropy, which knows no units. Then a small network learns features
that agree for two transformed copies of one trajectory and differ between trajectories, by the spectral
contrastive loss of HaoChen, Wei, Gaidon & Ma (NeurIPS 2021, arXiv:2106.04156). A trajectory's features are
the average over the learned transformations.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted, validate_data

from xtec.core.errors import ConfigError, InputError
from xtec.core.types import Float64Array
from xtec.learned.threads import one_torch_thread
from xtec.plugins.state import State

_FIRST = {"scale": 0.05, "offset": 0.05, "tilt": 0.05, "shift": 0.3, "stretch": 0.02, "smoothing": 0.1}
"""Transformations and widths at first: of the logarithm; of the rms of trajectories, twice; in steps; of the
logarithm; as a part of the way to a running mean."""

_MOST = {"scale": 1.0, "offset": 2.0, "tilt": 2.0, "shift": 0.25, "stretch": 0.5, "smoothing": 1.0}
"""Widths at most; that of the shift as a part of the scan."""

_SAYS = {
    "scale": "a change of strength of ±{:.0%}",
    "offset": "an offset of ±{:.2g}",
    "tilt": "a tilt of ±{:.2g} from the middle to the ends",
    "shift": "a shift of ±{:.1f} temperatures",
    "stretch": "a stretch of temperature of ±{:.1%}",
    "smoothing": "smoothing by up to {:.0%} of a running mean",
}

_COMPONENTS, _MEMBERS = 24, 30
"""Of the mixture that judges, at most; and trajectories for each, at least."""
_SAMPLE, _BATCH = 8192, 256
_WIDTH_STEPS, _WIDTH_RATE = 300, 0.03
_RATE, _DECAY = 1e-2, 1e-4
_HIDDEN, _COPIES, _BLOCK = 64, 16, 4096


@dataclass(frozen=True)
class _Transformations:
    """Random transformations of trajectories in units of their rms.

    Attributes
    ----------
    widths : tensor, shape (6,)
        In the order of `_FIRST`.
    steps : tensor, shape (T,)
        Temperatures in mean steps of the scan.
    """

    widths: Any
    steps: Any

    def apply(self, x: Any, uniform: Any) -> tuple[Any, Any]:
        """Trajectories (n, T) transformed by numbers (n, 6) from -1 to 1, and which of (n, T) were seen."""
        scale, offset, tilt, shift, stretch, smoothing = (self.widths * uniform)[:, :, None].unbind(1)
        neighbours = torch.cat([x[:, :1], x, x[:, -1:]], dim=1).unfold(1, 3, 1)
        smooth = neighbours @ torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device)
        x = x + smoothing.abs() * (smooth - x)
        middle, half = (self.steps[0] + self.steps[-1]) / 2, (self.steps[-1] - self.steps[0]) / 2
        at = middle + (self.steps - middle) * stretch.exp() + shift
        seen = (at >= self.steps[0] - 0.01) & (at <= self.steps[-1] + 0.01)
        at = at.clamp(float(self.steps[0]), float(self.steps[-1]))
        right = torch.searchsorted(self.steps, at.detach().contiguous()).clamp(1, len(self.steps) - 1)
        before, after = self.steps[right - 1], self.steps[right]
        part = (at - before) / (after - before)
        x = x.gather(1, right - 1) * (1 - part) + x.gather(1, right) * part
        return x * scale.exp() + offset + tilt * (self.steps - middle) / half, seen


class LearnedInvariance(TransformerMixin, BaseEstimator):
    """Features of trajectories that do not change with what is learned not to matter.

    Parameters
    ----------
    n_features : int
    temperatures : sequence of float, optional
        In any unit, rising or falling; equally spaced without.
    growth : float
        How much the entropy of the transformations counts: a larger one gives larger widths.
    steps : int
        Of training the network.
    random_state : int
    device : str
        As torch calls it, or "auto": CUDA where there is a card.

    Attributes
    ----------
    widths_ : dict
        "scale" and "stretch": of the logarithm; "offset" and "tilt": in the units of the trajectories;
        "shift": in steps of the scan; "smoothing": as a part of the way to a running mean.
    summary_ : str
        All of them in a sentence.

    Raises
    ------
    ConfigError
        From `fit`, where an option is out of its range, or for fewer than 8 trajectories or 4 temperatures.

    References
    ----------
    Benton, Finzi, Izmailov & Wilson, arXiv:2010.11882; HaoChen, Wei, Gaidon & Ma, arXiv:2106.04156.
    """

    def __init__(
        self,
        *,
        n_features: int = 6,
        temperatures: ArrayLike | None = None,
        growth: float = 2.0,
        steps: int = 600,
        random_state: int = 0,
        device: str = "auto",
    ) -> None:
        self.n_features = n_features
        self.temperatures = temperatures
        self.growth = growth
        self.steps = steps
        self.random_state = random_state
        self.device = device

    @one_torch_thread()
    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Learn widths, then features, from trajectories (n, T)."""
        rows = validate_data(self, X, dtype=np.float64)
        self._steps = self._check(rows)
        rng = np.random.default_rng(self.random_state)
        rows = rng.permutation(rows)[:_SAMPLE]
        self._unit = float(np.sqrt(np.mean(rows**2))) or 1.0
        rows = rows / self._unit
        # Second differences of white noise have a variance of six.
        self._noise = float(np.median(np.abs(np.diff(rows, 2, axis=1))) / 0.6745 / np.sqrt(6))
        draws = torch.Generator().manual_seed(int(rng.integers(2**31)))
        self._widths = self._learn_widths(rows, draws)
        self._layers = self._learn_features(rows, draws)
        return self

    @one_torch_thread()
    def transform(self, X: ArrayLike) -> Float64Array:
        """Features (n, n_features) of trajectories (n, T)."""
        check_is_fitted(self, "_layers")
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        same = self._transformations(self._widths)
        layers = [self._tensor(one) for one in self._layers]
        # The same transformations for every trajectory, so that blocks do not matter.
        draws = torch.Generator().manual_seed(self.random_state)
        uniform = self._tensor(2 * torch.rand(_COPIES, len(_FIRST), generator=draws) - 1)
        out = np.empty((len(rows), layers[-1].shape[0]))
        for begin in range(0, len(rows), _BLOCK):
            x = self._tensor(rows[begin : begin + _BLOCK] / self._unit)
            copies = (same.apply(x, one.expand(len(x), -1))[0] for one in uniform)
            out[begin : begin + _BLOCK] = (sum(_network(one, layers) for one in copies) / _COPIES).cpu()
        return out

    @property
    def widths_(self) -> dict[str, float]:
        """Widths of the transformations, in readable units."""
        check_is_fitted(self, "_layers")
        widths = dict(zip(_FIRST, self._widths.tolist(), strict=True))
        return widths | {name: widths[name] * self._unit for name in ("offset", "tilt")}

    @property
    def summary_(self) -> str:
        """What these data do not care about, in a sentence."""
        said = [_SAYS[name].format(width) for name, width in self.widths_.items()]
        return f"these data do not care about {', '.join(said[:-1])} or {said[-1]}"

    def get_state(self) -> State:
        """What was learned."""
        check_is_fitted(self, "_layers")
        layers = {f"layer{i}": one for i, one in enumerate(self._layers)}
        arrays: Mapping[str, Any] = {"widths": self._widths, "steps": self._steps, **layers}
        facts = {"unit": self._unit, "noise": self._noise, "random_state": self.random_state}
        return State(arrays, facts)

    def set_state(self, state: State) -> None:
        """Go on with what was learned before.

        Raises
        ------
        InputError
            If the state is of something else.
        """
        names = {"widths", "steps", *(f"layer{i}" for i in range(6))}
        facts = {"unit", "noise", "random_state"}
        if set(state.arrays) != names or not facts <= set(state.facts):
            raise InputError("this is not the state of a learned-invariance")
        held = {name: np.asarray(state.arrays[name], dtype=np.float64) for name in names}
        layers, n = [held[f"layer{i}"] for i in range(6)], held["steps"].size
        sizes = [n, *(one.size for one in layers[1::2])]
        fits = all(w.shape == (b, a) for w, (a, b) in zip(layers[::2], pairwise(sizes), strict=True)) and all(
            one.ndim == 1 for one in layers[1::2]
        )
        fits &= held["widths"].shape == (len(_FIRST),) and held["steps"].shape == (n,) and n > 1
        if not fits or not all(np.isfinite(one).all() for one in held.values()):
            raise InputError("arrays of a learned-invariance do not go together")
        self._widths, self._steps, self._layers = held["widths"], held["steps"], layers
        self._unit, self._noise = float(state.facts["unit"]), float(state.facts["noise"])
        self.random_state, self.n_features_in_ = int(state.facts["random_state"]), n
        self.n_features = sizes[-1]

    def _check(self, rows: Float64Array) -> Float64Array:
        """Temperatures in mean steps, rising."""
        n = rows.shape[1]
        if self.n_features < 1 or self.steps < 1 or not (np.isfinite(self.growth) and self.growth > 0):
            raise ConfigError("n_features, steps and growth of learned-invariance must be positive")
        if len(rows) < 8 or n < 4:
            raise ConfigError(f"{len(rows)} trajectories of {n} temperatures are too few to learn from")
        if self.temperatures is None:
            return np.arange(n, dtype=np.float64)
        at = np.asarray(self.temperatures, dtype=np.float64)
        steps = (n - 1) * (at - at[0]) / (at[-1] - at[0]) if at.shape == (n,) and at[0] != at[-1] else at[:0]
        if not steps.size or not (np.diff(steps) > 0).all():
            raise ConfigError(f"temperatures must be {n} that rise or fall throughout")
        return np.asarray(steps)

    def _learn_widths(self, rows: Float64Array, draws: Any) -> Float64Array:
        """Widths that transformed trajectories of one half bear in the eyes of a mixture of the other."""
        judged, judges = np.array_split(rows, 2)
        mixture = _judge(judges, self._noise, self.random_state)
        means, weights = self._tensor(mixture.means_), self._tensor(mixture.weights_)
        whiten = self._tensor(mixture.precisions_cholesky_)
        level = (weights.log() + torch.diagonal(whiten, dim1=-2, dim2=-1).log().sum(-1))[:, None]
        most = self._tensor(np.array(list(_MOST.values())))
        most[list(_MOST).index("shift")] *= rows.shape[1]
        first = self._tensor(np.array(list(_FIRST.values()))) / most
        free = torch.log(first / (1 - first)).requires_grad_()
        optimiser, x = torch.optim.Adam([free], lr=_WIDTH_RATE), self._tensor(judged)
        for _ in range(_WIDTH_STEPS):
            some = x[torch.randint(len(x), (min(len(x), _BATCH),), generator=draws).to(x.device)]
            widths = most * torch.sigmoid(free)
            changed, seen = self._transformations(widths).apply(some, self._uniform(len(some), draws))
            # What came from outside the scan says nothing.
            apart = torch.where(seen, changed - means[:, None], 0.0) @ whiten
            misfit = apart.square().sum(2) / seen.double().mean(1).clamp_min(0.1)
            loss = -torch.logsumexp(level - misfit / 2, dim=0).mean()
            loss = loss - self.growth * widths.log().sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return np.asarray((most * torch.sigmoid(free)).detach().cpu().numpy())

    def _learn_features(self, rows: Float64Array, draws: Any) -> list[Float64Array]:
        """Weights and offsets of the layers of a network whose outputs agree for copies of one trajectory."""
        x, same = self._tensor(rows), self._transformations(self._widths)
        sizes = [rows.shape[1], _HIDDEN, _HIDDEN, self.n_features]
        layers = []
        for fan_in, fan_out in pairwise(sizes):
            layers.append(self._normal(draws, fan_out, fan_in) * (2 / fan_in) ** 0.5)
            layers.append(torch.zeros(fan_out, dtype=x.dtype, device=x.device))
        for one in layers:
            one.requires_grad_()
        optimiser = torch.optim.AdamW(layers, lr=_RATE, weight_decay=_DECAY)
        for _ in range(self.steps):
            some = x[torch.randint(len(x), (_BATCH,), generator=draws).to(x.device)]
            one, other = (self._copy(some, same, layers, draws) for _ in range(2))
            agree = (one * other).sum(1).mean()
            apart = ((one @ other.T) ** 2).fill_diagonal_(0).sum() / (_BATCH * (_BATCH - 1))
            optimiser.zero_grad()
            (apart - 2 * agree).backward()
            optimiser.step()
        return [one.detach().cpu().numpy() for one in layers]

    def _copy(self, x: Any, same: _Transformations, layers: list[Any], draws: Any) -> Any:
        """Outputs (n, F) for trajectories transformed at random, with noise of their own."""
        changed = same.apply(x, self._uniform(len(x), draws))[0]
        return _network(changed + self._noise * self._normal(draws, *changed.shape), layers)

    def _transformations(self, widths: Any) -> _Transformations:
        return _Transformations(self._tensor(widths), self._tensor(self._steps))

    def _uniform(self, n: int, draws: Any) -> Any:
        return self._tensor(2 * torch.rand(n, len(_FIRST), generator=draws, dtype=torch.float64) - 1)

    def _normal(self, draws: Any, *shape: int) -> Any:
        return self._tensor(torch.randn(*shape, generator=draws, dtype=torch.float64))

    def _tensor(self, values: Any) -> Any:
        card = "cuda" if torch.cuda.is_available() else "cpu"
        device = card if self.device == "auto" else self.device
        return torch.as_tensor(values, device=device, dtype=torch.float64)


def _judge(rows: Float64Array, noise: float, seed: int) -> Any:
    """A mixture fine enough to tell what trajectories look like."""
    k = max(1, min(_COMPONENTS, len(rows) // _MEMBERS))
    floor = max(noise, 1e-3) ** 2
    mixture = GaussianMixture(k, covariance_type="tied", reg_covar=floor, random_state=seed, n_init=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(rows)


def _network(x: Any, layers: list[Any]) -> Any:
    *hidden, last = zip(layers[::2], layers[1::2], strict=True)
    for weight, offset in hidden:
        x = torch.nn.functional.gelu(x @ weight.T + offset)
    return x @ last[0].T + last[1]
