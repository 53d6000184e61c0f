"""What a measurement does to intensities: counting noise, shadows, gaps and hot pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xtec.core.types import Float64Array
from xtec.simulation.spec import SeriesSpec

_NOISE_STREAM, _HOT_STREAM = 1, 2
_WEDGE_AZIMUTH = np.deg2rad(250.0)
_GAP_AZIMUTHS = np.deg2rad((20.0, 75.0))
_HOT_COUNTS = (2e3, 5e4)


def plane_generator(spec: SeriesSpec, temperature_index: int, plane_index: int) -> np.random.Generator:
    """The random stream of one plane at one temperature, whoever asks for it and in whatever order."""
    entropy = np.random.SeedSequence((spec.seed, _NOISE_STREAM, spec.run, temperature_index, plane_index))
    return np.random.Generator(np.random.Philox(entropy))


def count(intensity: Float64Array, counts: float, generator: np.random.Generator) -> Float64Array:
    """``Poisson(counts * I) / counts``; the intensity itself where `counts` is 0."""
    if counts == 0:
        return intensity
    return np.asarray(generator.poisson(counts * intensity) / counts)


@dataclass(frozen=True)
class Shadows:
    """Where one plane of the detector is blind.

    Attributes
    ----------
    zero, nan : array, shape (K, H), bool
        Voxels that read 0 (beam stop, missing wedge) and NaN (gap).
    """

    zero: NDArray[np.bool_]
    nan: NDArray[np.bool_]

    @property
    def blind(self) -> NDArray[np.bool_]:
        """Either."""
        return np.asarray(self.zero | self.nan)


def shadows(spec: SeriesSpec, plane_index: int) -> Shadows:
    """Blind voxels of one L plane; the same at every temperature."""
    ql, qk, qh = spec.grid.q
    detector = spec.detector
    x, y, z = spec.sample.cartesian(qh[None, :], qk[:, None], ql[plane_index])
    radius = np.hypot(y, x)
    azimuth = np.arctan2(y, x) % (2 * np.pi)
    zero = np.hypot(radius, z) < detector.beam_stop
    if detector.wedge > 0:
        zero |= (np.abs(azimuth - _WEDGE_AZIMUTH) < np.deg2rad(detector.wedge)) & (radius > 1.0)
    nan = np.zeros_like(zero)
    if detector.gap > 0:
        # A straight gap on a detector sweeps an arc through reciprocal space while the sample turns.
        middle = 0.62 * min(abs(qk).max(), abs(qh).max()) + 0.5 * ql[plane_index]
        low, high = _GAP_AZIMUTHS
        nan = (np.abs(radius - middle) < detector.gap / 2) & (azimuth > low) & (azimuth < high) & ~zero
    return Shadows(zero, nan)


def hot_pixels(spec: SeriesSpec) -> tuple[NDArray[np.int64], Float64Array]:
    """Flat indices into (L, K, H) of the hot voxels and the constants they read."""
    size = int(np.prod(spec.grid.shape[1:], dtype=np.int64))
    entropy = np.random.SeedSequence((spec.seed, _HOT_STREAM))
    generator = np.random.Generator(np.random.Philox(entropy))
    index = generator.choice(size, size=min(spec.detector.hot_pixels, size), replace=False, shuffle=False)
    low, high = _HOT_COUNTS
    return np.sort(index.astype(np.int64)), np.rint(low * (high / low) ** generator.random(len(index)))
