"""A small denoising autoencoder: trajectories as a few numbers that a mixture can separate.

Training needs torch; what is kept of it, two layers of weights, does not.

References
----------
Vincent et al., J. Mach. Learn. Res. 11, 3371 (2010).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xtec.core.errors import BackendUnavailableError
from xtec.core.types import Float64Array, FloatArray
from xtec.learned.threads import one_torch_thread

HIDDEN, CODE = 32, 4
"""Numbers in the layer between, and in the code."""

_NOISE = 0.5
"""Standard deviation of what is added to trajectories and has to be taken away again, in units of theirs."""

_BATCH = 128
_FEWEST_STEPS, _MOST_STEPS, _STEPS_A_ROW = 600, 2400, 4
_RATE = 3e-3

LAYERS = ("hidden", "hidden_bias", "code", "code_bias")
"""Arrays of an encoder, shapes (H, T), (H,), (C, H), (C,)."""


def encode(rows: FloatArray, layers: dict[str, Float64Array]) -> Float64Array:
    """Codes of trajectories (n, T), shape (n, C)."""
    between = np.tanh(np.asarray(rows, np.float64) @ layers["hidden"].T + layers["hidden_bias"])
    return np.asarray(between @ layers["code"].T + layers["code_bias"])


def train_encoder(rows: FloatArray, seed: int) -> dict[str, Float64Array]:
    """Learn an encoder from trajectories.

    Parameters
    ----------
    rows : array, shape (n, T)
    seed : int

    Returns
    -------
    mapping of str to array
        `LAYERS`.

    Raises
    ------
    BackendUnavailableError
        If torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        hint = "pip install 'xtec-pipeline[learned]', or kind=mixture"
        raise BackendUnavailableError(f"encoders need torch: {error}", hint=hint) from error
    x = torch.as_tensor(np.ascontiguousarray(rows, dtype=np.float32))
    steps = int(np.clip(_STEPS_A_ROW * len(x), _FEWEST_STEPS, _MOST_STEPS))
    with one_torch_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder, decoder = (_network(torch, *sizes) for sizes in ((x.shape[1], CODE), (CODE, x.shape[1])))
        optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], _RATE)
        for _ in range(steps):
            clean = x[torch.randint(len(x), (min(_BATCH, len(x)),))]
            noisy = clean + _NOISE * x.std() * torch.randn_like(clean)
            loss = (decoder(encoder(noisy)) - clean).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    learned = [one.detach().numpy().astype(np.float64) for one in encoder.parameters()]
    return dict(zip(LAYERS, learned, strict=True))


def _network(torch: Any, n_in: int, n_out: int) -> Any:
    layers = torch.nn.Linear(n_in, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, n_out)
    return torch.nn.Sequential(*layers)
