"""Other programs' EM on the same trajectories; one that is missing or refuses says so."""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gpu_device import Card

from xtec.mixture import MixtureParameters

SKLEARN, SKLEARN_ON_CARD, TORCHGMM = "scikit-learn on the CPU", "scikit-learn on the card", "torchgmm"

_ITERATIONS = 20
_TWO_PASSES = "max_iter=1: two E steps, one M step and checks of the input"


@dataclass(frozen=True)
class Peer:
    """Another program.

    Attributes
    ----------
    name : str
    call : callable, optional
        None where it is not available.
    note : str
        What else is in its time, or why it is not available.
    per : int
        Iterations in a call.
    """

    name: str
    call: Callable[[], object] | None
    note: str
    per: int = 1


def sklearn_on_cpu(x: np.ndarray, given: MixtureParameters) -> Peer:
    """One iteration of scikit-learn's mixture from given parameters."""
    if importlib.util.find_spec("sklearn") is None:
        return Peer(SKLEARN, None, "not installed")
    rows = np.ascontiguousarray(x)
    return Peer(SKLEARN, lambda: _sklearn(given, np.asarray).fit(rows), _TWO_PASSES)


def sklearn_on(card: Card, x: Any, given: MixtureParameters) -> Peer:
    """The same on arrays of the card, as the array API lets it."""
    if importlib.util.find_spec("sklearn") is None:
        return Peer(SKLEARN_ON_CARD, None, "not installed")
    if os.environ.get("SCIPY_ARRAY_API") != "1":
        return Peer(SKLEARN_ON_CARD, None, "not available: SCIPY_ARRAY_API=1 was not set")
    needed = 3 * x.nbytes + 8 * x.shape[0] * given.n_components
    if needed > card.device.free_bytes():
        return Peer(SKLEARN_ON_CARD, None, "not available: too little memory")
    sklearn = importlib.import_module("sklearn")

    def call() -> object:
        with sklearn.config_context(array_api_dispatch=True):
            return _sklearn(given, card.xp.asarray).fit(x)

    return Peer(SKLEARN_ON_CARD, call, _TWO_PASSES)


def _sklearn(given: MixtureParameters, make: Callable[[Any], Any]) -> Any:
    """scikit-learn's estimator; given parameters are in the library of the trajectories."""
    mixture = importlib.import_module("sklearn.mixture")
    warnings.filterwarnings("ignore", message=".*did not converge.*")
    weights, means, precisions = (
        make(values.astype(np.float32)) for values in (given.weights, given.means, 1 / given.variances())
    )
    return mixture.GaussianMixture(
        given.n_components,
        covariance_type="diag",
        tol=0.0,
        max_iter=1,
        init_params="random",  # not used, for all is given; others are refused on the card
        weights_init=weights,
        means_init=means,
        precisions_init=precisions,
    )


def torchgmm_on(x: Any, given: MixtureParameters) -> Peer:
    """Iterations of torchgmm from given means, its start included; time is divided by their number."""
    missing = [name for name in ("torch", "torchgmm") if importlib.util.find_spec(name) is None]
    if missing:
        return Peer(TORCHGMM, None, f"not installed: {', '.join(missing)}")
    try:
        torch, bayes = (importlib.import_module(name) for name in ("torch", "torchgmm.bayes"))
        rows = torch.as_tensor(x, device="cuda").contiguous()
        means = torch.as_tensor(given.means.astype(np.float32))
    except (ImportError, RuntimeError, TypeError, ValueError, OSError) as error:
        return Peer(TORCHGMM, None, f"not available: {type(error).__name__}: {error}")

    def call() -> object:
        return bayes.GaussianMixture(
            given.n_components,
            covariance_type="diag",
            init_means=means,
            convergence_tolerance=0.0,
            trainer_params={
                "max_epochs": _ITERATIONS,
                "accelerator": "gpu",
                "devices": 1,
                "enable_progress_bar": False,
            },
        ).fit(rows)

    return Peer(TORCHGMM, call, f"a fit of {_ITERATIONS} iterations, its start included", _ITERATIONS)
