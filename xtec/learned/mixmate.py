"""Clusters whose members are mixtures of a few shapes, instead of copies of one mean.

Every cluster is a dictionary of shapes of unit length. A trajectory is a sum of few of them, none of them
with a negative strength (as intensities add), and noise. After Lin, Song & Ba (ICASSP 2022,
arXiv:2110.04683), the strengths come from a fixed number of steps of FISTA (Beck & Teboulle, SIAM J. Imaging
Sci. 2, 183 (2009)) and the dictionaries are trained through them. Here, each shape has a scale of its own in
the prior of its strengths, and the room that the strengths of a cluster have is counted: without these, loud
classes are cut in pieces to save penalty and quiet ones are joined.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted, validate_data

from xtec.core.errors import ConfigError, InputError
from xtec.core.types import Float64Array
from xtec.learned.threads import one_torch_thread
from xtec.plugins.state import State

_RATE = 0.02
"""Learning rate of Adam at first; it falls to a tenth."""

_BATCH, _EPOCH = 64, 8192
"""Trajectories in a step (more where an epoch has many), and in an epoch: of more, as many are drawn."""
_STEPS_EACH = 16
"""Steps in an epoch, at most."""

_TRIAL = 0.25
"""Of the epochs, what each start gets before the best of them is trained on."""
_BLOCK = 16_384

_NAMES = ("dictionaries", "strengths", "weights", "noise")


@dataclass(frozen=True)
class _Model:
    """K dictionaries, as tensors.

    Attributes
    ----------
    dictionaries : tensor, shape (K, T, p)
        Columns of unit length.
    strengths : tensor, shape (K, p)
        Mean strength of each shape among the members, in units of the noise.
    weights : tensor, shape (K,)
    noise : tensor, scalar
        Standard deviation.
    sparsity : float
    steps : int
    """

    dictionaries: Any
    strengths: Any
    weights: Any
    noise: Any
    sparsity: float
    steps: int

    def energies(self, x: Any) -> tuple[Any, Any, Any]:
        """Energies (n, K) in nats, squared misfits (n, K) and strengths (n, K, p) of trajectories (n, T)."""
        gram = self.dictionaries.mT @ self.dictionaries
        z, misfit = _codes(x, self.dictionaries, gram, self._rates * self.noise, self.steps)
        penalty = (z * (self._rates / self.noise)[:, None]).sum(2)
        scaled = self.strengths[:, :, None] * gram * self.strengths[:, None, :]
        room = torch.logdet(torch.eye(z.shape[2], dtype=x.dtype, device=x.device) + scaled) / 2
        constant = room - self.weights.log() + x.shape[1] * self.noise.log()
        return (misfit / (2 * self.noise**2) + penalty + constant[:, None]).T, misfit.T, z.transpose(0, 1)

    def settled(self, x: Any) -> tuple[_Model, float]:
        """The same with weights, strengths and noise that follow from trajectories, and its mean energy."""
        with torch.no_grad():
            energies, misfit, z = self.energies(x)
            own = torch.softmax(-energies, dim=1)
            members = own.sum(0)
            strengths = (own[:, :, None] * z).sum(0) / (members[:, None] + 1) / self.noise
            floor = 1e-6 * x.square().mean().sqrt() + torch.finfo(x.dtype).tiny ** 0.5
            noise = torch.maximum(((own * misfit).sum() / x.numel()).sqrt(), floor)
            weights = (members + 1) / (members + 1).sum()
        free = float(-torch.logsumexp(-energies, dim=1).mean())
        return replace(self, strengths=strengths, noise=noise, weights=weights), free

    @property
    def _rates(self) -> Any:
        """Of the exponential prior of strengths in units of the noise, which itself is the shortest scale."""
        return self.sparsity / (1 + self.strengths)


def _codes(x: Any, dictionaries: Any, gram: Any, threshold: Any, steps: int) -> tuple[Any, Any]:
    """Sparse strengths (K, n, p) by unrolled FISTA, and what they leave of |x|^2 (K, n)."""
    overlap = torch.einsum("nt,ktp->knp", x, dictionaries)
    curvature = torch.linalg.eigvalsh(gram.detach())[:, -1, None, None]
    z = ahead = torch.zeros_like(overlap)
    momentum = 1.0
    for _ in range(steps):
        gradient = torch.bmm(ahead, gram) - overlap
        stepped = torch.relu(ahead - (gradient + threshold[:, None]) / curvature)
        faster = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = stepped + (momentum - 1) / faster * (stepped - z)
        z, momentum = stepped, faster
    left = x.square().sum(1) + ((torch.bmm(z, gram) - 2 * overlap) * z).sum(2)
    return z, left.clamp_min(0)


class MixMate(ClusterMixin, BaseEstimator):
    """Cluster trajectories by the shapes they are made of.

    Parameters
    ----------
    n_clusters : int
    atoms : int
        Shapes in each cluster's dictionary, p.
    sparsity : float
        How much strengths are penalised: 1 is the prior with the mean strength found, 0 no penalty.
    steps : int
        Of FISTA.
    max_epochs : int
    n_init : int
        Plain mixtures to start from.
    random_state : int
    device : str
        As torch calls it, or "auto": CUDA where there is a card.

    Attributes
    ----------
    dictionaries_ : array, shape (K, T, p)
        Columns of unit length.
    strengths_ : array, shape (K, p)
        Mean strength of each shape among its cluster's members, in units of the noise.
    weights_ : array, shape (K,)
    noise_ : float
        Standard deviation, in units of the trajectories.
    labels_ : array, shape (n,)
    energy_ : float
        Mean free energy of a trajectory in nats; a lower one is a better fit.

    Raises
    ------
    ConfigError
        From `fit`, where an option is out of its range or there are fewer trajectories than clusters.

    References
    ----------
    Lin, Song & Ba, "Mixture model auto-encoders: deep clustering through dictionary learning",
    arXiv:2110.04683.
    """

    def __init__(
        self,
        n_clusters: int = 4,
        *,
        atoms: int = 3,
        sparsity: float = 1.0,
        steps: int = 15,
        max_epochs: int = 60,
        n_init: int = 8,
        random_state: int = 0,
        device: str = "auto",
    ) -> None:
        self.n_clusters = n_clusters
        self.atoms = atoms
        self.sparsity = sparsity
        self.steps = steps
        self.max_epochs = max_epochs
        self.n_init = n_init
        self.random_state = random_state
        self.device = device

    @one_torch_thread()
    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Learn dictionaries from trajectories (n, T)."""
        rows = validate_data(self, X, dtype=np.float64)
        self._check_options(rows)
        rng = np.random.default_rng(self.random_state)
        some = _drawn(rows, _EPOCH, rng)
        trial = max(1, round(_TRIAL * self.max_epochs))
        with warnings.catch_warnings():
            # A start need not have converged, nor have members that differ.
            warnings.simplefilter("ignore", ConvergenceWarning)
            starts = [self._start(some, rng) for _ in range(self.n_init)]
        tried = [self._trained(start, some, rng, range(trial)) for start in starts]
        best = min(tried, key=lambda one: one[1])[0]
        model, self.energy_ = self._trained(best, rows, rng, range(trial, self.max_epochs))
        for name in _NAMES:
            setattr(self, f"{name}_", np.ascontiguousarray(getattr(model, name).cpu()))
        self.noise_ = float(model.noise)
        self.labels_ = self.predict(rows)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """Clusters of trajectories (n, T)."""
        return np.concatenate([block.argmin(axis=1) for block in self._energies(X)])

    def predict_proba(self, X: ArrayLike) -> Float64Array:
        """Responsibilities (n, K) of the clusters for trajectories (n, T)."""
        blocks = (torch.softmax(-torch.from_numpy(block), dim=1).numpy() for block in self._energies(X))
        return np.concatenate(list(blocks))

    def get_state(self) -> State:
        """What was learned."""
        check_is_fitted(self)
        arrays = {name: np.asarray(getattr(self, f"{name}_")) for name in _NAMES}
        return State(arrays, {"sparsity": self.sparsity, "steps": self.steps})

    def set_state(self, state: State) -> None:
        """Go on with what was learned before.

        Raises
        ------
        InputError
            If the state is of something else.
        """
        if set(state.arrays) != set(_NAMES) or not {"sparsity", "steps"} <= set(state.facts):
            raise InputError("this is not the state of a mixmate")
        held = {name: np.asarray(state.arrays[name], dtype=np.float64) for name in _NAMES}
        shape = held["dictionaries"].shape
        wanted = {"strengths": (*shape[:1], *shape[2:]), "weights": shape[:1], "noise": ()}
        fits = len(shape) == 3 and all(held[name].shape == one for name, one in wanted.items())
        if not fits or not all(np.isfinite(one).all() for one in held.values()):
            raise InputError(f"arrays of a mixmate do not go together, with dictionaries of shape {shape}")
        for name, one in held.items():
            setattr(self, f"{name}_", one)
        self.noise_ = float(held["noise"])
        self.n_clusters, self.n_features_in_, self.atoms = shape
        self.sparsity, self.steps = float(state.facts["sparsity"]), int(state.facts["steps"])

    def _check_options(self, rows: Float64Array) -> None:
        for name in ("n_clusters", "atoms", "steps", "max_epochs", "n_init"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be one or more, got {getattr(self, name)}")
        if not (np.isfinite(self.sparsity) and self.sparsity >= 0):
            raise ConfigError(f"sparsity must not be negative, got {self.sparsity}")
        if len(rows) < self.n_clusters:
            raise ConfigError(f"{len(rows)} trajectories cannot make {self.n_clusters} clusters")
        if self.atoms > rows.shape[1]:
            hint = "choose fewer atoms"
            raise ConfigError(f"{self.atoms} shapes at {rows.shape[1]} temperatures", hint=hint)

    def _start(self, rows: Float64Array, rng: np.random.Generator) -> _Model:
        """Dictionaries of parts of a plain mixture's clusters."""
        k, seed = self.n_clusters, int(rng.integers(2**31))
        tiny = 1e-6 * rows.var() + np.finfo(np.float64).tiny
        plain = GaussianMixture(k, covariance_type="diag", reg_covar=tiny, random_state=seed, tol=1e-2)
        plain.set_params(init_params="k-means++", max_iter=50)
        labels = plain.fit(rows).predict(rows)
        shapes = np.stack([_parts(rows[labels == j], rows, self.atoms, rng) for j in range(k)])
        x, own = self._tensor(rows), np.bincount(labels, minlength=k) + 1
        dictionaries, weights = self._tensor(shapes), self._tensor(own / own.sum())
        z, left = _codes(x, dictionaries, dictionaries.mT @ dictionaries, 0 * dictionaries[:, 0], self.steps)
        noise = (left.min(0).values.mean() / x.shape[1]).sqrt().clamp_min(np.sqrt(tiny))
        return _Model(dictionaries, z.mean(1) / noise, weights, noise, float(self.sparsity), int(self.steps))

    def _trained(
        self, model: _Model, rows: Float64Array, rng: np.random.Generator, epochs: range
    ) -> tuple[_Model, float]:
        """Descend on the free energy: its gradient is that of the energy that responsibilities expect."""
        shapes = model.dictionaries.clone().requires_grad_()
        optimiser = torch.optim.Adam([shapes], lr=_RATE)
        for epoch in epochs:
            optimiser.param_groups[0]["lr"] = _RATE * (1 - 0.9 * epoch / self.max_epochs)
            drawn = self._tensor(_drawn(rows, _EPOCH, rng))
            for batch in drawn.split(max(_BATCH, -(-len(drawn) // _STEPS_EACH))):
                energies = replace(model, dictionaries=shapes).energies(batch)[0]
                optimiser.zero_grad()
                (-torch.logsumexp(-energies, dim=1).mean()).backward()
                optimiser.step()
                with torch.no_grad():
                    shapes /= shapes.norm(dim=1, keepdim=True)
            model, _ = replace(model, dictionaries=shapes.detach().clone()).settled(drawn)
        return model, model.settled(self._tensor(_drawn(rows, _EPOCH, rng)))[1]

    def _energies(self, X: ArrayLike) -> Iterator[Float64Array]:
        check_is_fitted(self, "dictionaries_")
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        arrays = {name: self._tensor(np.asarray(getattr(self, f"{name}_"))) for name in _NAMES}
        model = _Model(**arrays, sparsity=float(self.sparsity), steps=int(self.steps))
        with torch.no_grad():
            for begin in range(0, len(rows), _BLOCK):
                yield model.energies(self._tensor(rows[begin : begin + _BLOCK]))[0].cpu().numpy()

    def _tensor(self, values: Float64Array) -> Any:
        card = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.as_tensor(values, device=card if self.device == "auto" else self.device)


def _drawn(rows: Float64Array, most: int, rng: np.random.Generator) -> Float64Array:
    """The trajectories in another order; so many at most."""
    return np.asarray(rng.permutation(rows)) if len(rows) <= most else rng.choice(rows, most, replace=False)


def _parts(own: Float64Array, rows: Float64Array, n: int, rng: np.random.Generator) -> Float64Array:
    """Shapes (T, n) of unit length: means of parts of a cluster, a little off so that no two are the same."""
    if len(own) < n:
        own = np.concatenate([own, rng.choice(rows, n)])
    means = KMeans(n, n_init=1, random_state=int(rng.integers(2**31))).fit(own).cluster_centers_
    size = np.linalg.norm(means, axis=1, keepdims=True).max() / np.sqrt(rows.shape[1]) or 1.0
    shapes = means + 1e-3 * size * rng.standard_normal(means.shape)
    return np.asarray(shapes / np.linalg.norm(shapes, axis=1, keepdims=True)).T
