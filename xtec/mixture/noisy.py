"""E and M sums of diagonal components whose trajectories carry noise of their own.

A trajectory x is z + e: z of a component k, N(m_k, S_k), and e its noise, N(0, v f_k), with a level v of its
own and the component's course f_k over temperature. The M step takes m_k, for the given S_k, straight from x
weighted by certainty: by way of the mean of z it would hardly move where S_k is small beside the noise. Then
S_k comes from the mean square of z given x. Moments of z so take the place of those of x, and the rest of EM
stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from xtec.core.arrays import home, is_host, namespace
from xtec.core.backend import device_of
from xtec.core.device import halving
from xtec.core.types import Float64Array, FloatArray, Rescale
from xtec.mixture import noisy_kernels, plain_noise
from xtec.mixture.fused import LEAST, Frame, FusedModel, layout_of, padded_shape
from xtec.mixture.moments import ComponentMoments
from xtec.mixture.noise import Noisy, shape_of_noise
from xtec.mixture.parameters import MixtureParameters
from xtec.mixture.passes import most_probable

Outcome = TypeVar("Outcome")

_FARTHEST = 1e6
"""Means are brought as near as this, in standard deviations of all; four squares are multiplied."""

_NOISIEST = 1e8
"""Noise is bounded by this, in variances of all; four variances are multiplied."""

_ELSEWHERE_BYTES = 2**26
"""Of an array of a value for each component and temperature, where rows are not worked on in tiles."""


class NoisyModel(FusedModel):
    """A mixture of diagonal components behind noise, rounded to the precision of the data.

    Parameters
    ----------
    parameters : MixtureParameters
        Of what is behind the noise; of a type that is diagonal.
    frame : Frame
    dtype : dtype
        float32 or float64, the precision of the data.
    how : Rescale
        How trajectories were rescaled, which decides how noise goes with temperature.

    References
    ----------
    Bovy, Hogg & Roweis, Ann. Appl. Stat. 5, 1657 (2011), with diagonal covariances; Liu & Rubin, Biometrika
    81, 633 (1994), for means that are not taken by way of what is missing.
    """

    def __init__(self, parameters: MixtureParameters, frame: Frame, dtype: Any, how: Rescale) -> None:
        k, t = parameters.means.shape
        square = frame.unit**2
        self.frame = np.stack([frame.centre, frame.unit]).astype(dtype)
        mean = (parameters.means - self.frame[0].astype(np.float64)) * frame.unit
        shape = shape_of_noise(parameters.means, how)
        self.model = np.zeros((3, *padded_shape(k, t)), dtype)
        self.model[0] = 1.0
        self.model[:, :k, :t] = (
            parameters.variances() * square,
            shape * square,
            np.clip(mean, -_FARTHEST, _FARTHEST),
        )
        self.noisiest = _NOISIEST / max(float(self.model[1].max()), 1 / _NOISIEST)
        with np.errstate(divide="ignore"):
            log_weights = np.log(parameters.weights)
        log_norm = float(np.log(frame.unit).sum()) - 0.5 * t * math.log(2 * math.pi)
        self._set_constants(np.maximum(log_weights + log_norm, LEAST))
        self._shape = (k, t)

    def sums(self, block: Noisy) -> Float64Array:  # type: ignore[override]
        """What a block adds to all sums; those of blocks add up to those of all.

        Returns
        -------
        array, shape (K'+1, 5T'+1)
            Of each component its weight and five sums for each temperature, as `noisy_kernels` has them; in
            the last row the sum of ln densities.
        """
        _, k, t = self.model.shape
        sums = np.zeros((k + 1, 5 * t + 1))
        if not is_host(block.rows):
            self._add_plainly(block, sums)
        elif len(block):
            noisy_kernels.sum_tiles(*self._trajectories(block), self.frame, self.model, self.constant, sums)
        return sums

    def _add_plainly(self, block: Noisy, sums: Float64Array) -> None:
        k, t = self._shape
        for weight, five, logs in self._in_parts(block, plain_noise.sums):
            sums[:k, 0] += weight
            sums[-1, 0] += logs
            for into, one in zip(np.split(sums[:k, 1:], 5, axis=1), five, strict=True):
                into[:, :t] += one

    def expectation(self, sums: Float64Array, n: int) -> tuple[ComponentMoments, float]:
        """Moments behind the noise, and the mean of ln densities, from the sums over n trajectories."""
        k, t = self._shape
        weight = sums[:k, 0]
        kept, first, *squares = (part[:, :t] for part in np.split(sums[:k, 1:], 5, axis=1))
        step = first / np.where(kept > np.finfo(np.float64).tiny, kept, 1.0)
        centre, unit = self.frame.astype(np.float64)
        mean = centre + (self.model[2, :k, :t] + step) / unit
        scatter = np.maximum(squares[2] - 2 * step * squares[1] + step * step * squares[0], 0.0)
        log_likelihood = self.highest + float(sums[-1, 0] - weight @ self.rounding) / n
        return ComponentMoments(weight, mean, scatter / (unit * unit)), log_likelihood

    def shares(self, block: Noisy) -> tuple[Any, Any]:
        """Responsibilities, shape (n, K), and ln of the mixture's density, shape (n,)."""
        if not is_host(block.rows):
            return self._shared_plainly(block)
        share = np.empty((len(self.constant), len(block)))
        density = np.empty(len(block))
        if len(block):
            noisy_kernels.share_tiles(
                *self._trajectories(block), self.frame, self.model, self.constant, share, density
            )
        return share[: self._shape[0]].T, density + self.highest

    def _shared_plainly(self, block: Noisy) -> tuple[Any, Any]:
        xp, k, n = namespace(block.rows), self._shape[0], len(block)
        share, density = (
            xp.empty(shape, dtype=xp.float64, device=block.rows.device) for shape in ((k, n), (n,))
        )
        stop = 0
        for some, their_density in self._in_parts(block, plain_noise.shares):
            part = slice(stop, stop := stop + some.shape[1])
            share[:, part], density[part] = some, their_density
        return share.T, density + self.highest

    def predict(self, block: Noisy) -> tuple[Any, Any]:  # type: ignore[override]
        """Most probable component (0..K-1) of each trajectory, and its probability; both of shape (n,)."""
        return most_probable(self.shares(block)[0])

    def least_likely(self, block: Noisy) -> tuple[float, Float64Array]:
        """Lowest ln density in a block, and the trajectory that has it."""
        if not len(block):
            return np.inf, self.frame[0].astype(np.float64)
        _, density = self.shares(block)
        row = int(namespace(density).argmin(density))
        return float(density[row]), np.asarray(home(block.rows[row, :]), np.float64)

    def _in_parts(self, block: Noisy, work: Callable[..., Outcome]) -> Iterator[Outcome]:
        """Work of `plain_noise` on so many rows at a time as memory may hold."""
        k, t = self._shape
        xp = namespace(block.rows)
        frame, model, constant = (
            one.astype(np.float64) for one in (self.frame, self.model[:, :k, :t], self.constant[:k])
        )

        def on_part(part: slice) -> Outcome:
            some = block[part]
            noise = xp.minimum(xp.astype(some.noise, xp.float64), self.noisiest)
            return work(some.rows, noise, frame, model, constant)

        return halving(device_of(block.rows), len(block), on_part, max(_ELSEWHERE_BYTES // (8 * k * t), 1))

    def _trajectories(self, block: Noisy) -> tuple[FloatArray, int, int, int, FloatArray]:
        noise = np.minimum(block.noise, self.noisiest).astype(self.model.dtype)
        return *layout_of(block.rows, self.model.dtype), noise
