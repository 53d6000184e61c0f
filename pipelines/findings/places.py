"""Where in reciprocal space the peaks of a run are, in the order H, K, L."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Q_NAMES
from xtec.core.order import WaveVector
from xtec.core.results import ClusteredRun
from xtec.core.types import Float64Array
from xtec.reciprocal import PeakPositions, find_wave_vectors, make_lattice

_LEAST_PEAKS = 5
"""Peaks at a wave vector from which on it is one."""


def in_reciprocal_space(run: ClusteredRun) -> bool:
    """Whether the axes are H, K or L in r.l.u."""
    return all(axis.name in Q_NAMES and axis.units != "pixel" for axis in run.map.axes)


def hkl_of(run: ClusteredRun, members: NDArray[np.intp]) -> Float64Array:
    """Centroids (m, 3) of peaks as H, K, L; NaN along axes that were not measured."""
    return _placed(run.peaks.centroid[members], _columns(run))


def peak_positions(run: ClusteredRun, members: NDArray[np.intp]) -> PeakPositions:
    """Where what orders in some peaks is highest; peaks that run into each other count several times.

    Parameters
    ----------
    run : ClusteredRun
    members : array
        Peaks, 0..P-1.
    """
    maxima, axes, columns = run.peaks.maxima, run.map.axes, _columns(run)
    mine = np.isin(maxima.peak, members)
    pixel = np.array([abs(axis.step) or 1.0 for axis in axes])
    ends = np.array([[axis.values.min(), axis.values.max()] for axis in axes])
    return PeakPositions(
        hkl=_placed(maxima.position[mine], columns),
        whole=_placed(maxima.whole[mine].astype(np.float64), columns) == 1,
        weight=np.abs(maxima.change[mine]),
        error=_placed(maxima.error[mine], columns),
        pixel=_placed(pixel[None], columns)[0],
        low=_placed(ends[None, :, 0], columns)[0],
        high=_placed(ends[None, :, 1], columns)[0],
        connected=maxima.peak[mine],
    )


def superlattice(run: ClusteredRun, symmetry: str | None = None) -> list[WaveVector]:
    """Wave vectors other than zero at which a run has peaks, whether or not they change.

    `symmetry` is a space group or Laue group in place of what the file says.
    """
    if not in_reciprocal_space(run):
        return []
    lattice = make_lattice(run.sample, run.map.axes, run.map.angles, symmetry)
    members = np.flatnonzero(run.peaks.size >= 2 ** len(run.map.axes))
    here = peak_positions(run, members[:0])
    centroid = hkl_of(run, members)
    weight = run.peaks.intensity[members].mean(axis=1)
    own = {"hkl": centroid, "whole": np.isfinite(centroid), "weight": weight}
    peaks = replace(here, **own, error=None, connected=None)
    found = find_wave_vectors(peaks, lattice, ())
    return [vector for vector in found if not vector.is_bragg and vector.peaks >= _LEAST_PEAKS]


def _columns(run: ClusteredRun) -> list[int]:
    """Column among H, K, L of each axis of the run."""
    return [{"Qh": 0, "Qk": 1, "Ql": 2}[axis.name] for axis in run.map.axes]


def _placed(values: Float64Array, columns: list[int]) -> Float64Array:
    """Values by axis (m, ndim) as columns H, K, L; NaN for those that were not measured."""
    placed = np.full((len(values), 3), np.nan)
    placed[:, columns] = values
    return placed
