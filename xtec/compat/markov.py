"""Neighbourhoods of voxels as explicit matrices, for label smoothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from xtec.core.errors import ConfigError
from xtec.core.types import Float64Array

_WIDER = 1 + 1e-9
"""Candidates are looked for a little further away than the kernel reaches: rounding loses none."""


class GMM_kernels:
    """Makers of matrices for ``GMM.RunEM``."""

    @staticmethod
    def Build_Markov_Matrix(
        data_inds: ArrayLike,
        L_scale: float = 1,
        kernel_type: str = "local",
        unit_cell_shape: ArrayLike | None = None,
        uniform_similarity: bool = True,
        zero_cutoff: float = 1e-2,
    ) -> csr_matrix:
        """Average over neighbouring voxels, as a matrix whose rows add up to one.

        Parameters
        ----------
        data_inds : array of int, shape (n, ndim)
            Indices of the voxels.
        L_scale : float
            Length l of the kernel: in pixels (``local``), or without unit (``periodic``).
        kernel_type : {"local", "periodic"}
            ``exp(-sum_i d_i^2 / l^2)`` of the distance d, or ``exp(-sum_i sin^2(pi d_i / u_i) / l^2)``.
        unit_cell_shape : array, shape (ndim,), optional
            ``periodic``: pixels u of a Brillouin zone along each axis.
        uniform_similarity : bool
            All neighbours count alike; otherwise as the kernel says.
        zero_cutoff : float
            Voxels are neighbours where the kernel is above this.

        Returns
        -------
        csr_matrix, shape (n, n)

        Raises
        ------
        ConfigError
            If the kernel is unknown or incomplete.

        Notes
        -----
        The matrix of a periodic kernel has an entry for every pair of voxels at like places in any two zones.
        """
        index = np.asarray(data_inds)
        cell = _checked_cell(kernel_type, unit_cell_shape, L_scale, zero_cutoff)
        folded = index if cell is None else index % cell
        places, place = np.unique(folded, axis=0, return_inverse=True)
        kernel = _kernel_matrix(places, cell, float(L_scale), zero_cutoff)
        if uniform_similarity:
            kernel.data[:] = 1.0
        n = len(index)
        member = csr_matrix((np.ones(n), place.reshape(-1), np.arange(n + 1)), shape=(n, len(places)))
        matrix = csr_matrix(member @ kernel @ member.T)
        matrix.data /= np.repeat(matrix.sum(axis=1).A1, np.diff(matrix.indptr))
        matrix.sort_indices()
        return matrix


def _checked_cell(
    kernel_type: str, unit_cell_shape: ArrayLike | None, length: float, cutoff: float
) -> Float64Array | None:
    """Pixels of a Brillouin zone, or None for the local kernel."""
    if kernel_type not in ("local", "periodic"):
        raise ConfigError(f"unknown kernel_type {kernel_type!r}", hint="local or periodic")
    if not length > 0 or not 0 < cutoff < 1:
        raise ConfigError("a kernel needs L_scale above 0, and zero_cutoff between 0 and 1")
    if kernel_type == "local":
        return None
    if unit_cell_shape is None:
        raise ConfigError("the periodic kernel needs unit_cell_shape, the pixels of a Brillouin zone")
    return np.asarray(unit_cell_shape, dtype=np.float64)


def _kernel_matrix(
    places: NDArray[np.number], cell: Float64Array | None, length: float, cutoff: float
) -> csr_matrix:
    """Kernel between places, shape (m, m), where it is above the cutoff."""
    if cell is None:
        points = places.astype(np.float64)
    else:  # on circles of diameter 1, chords are the sines of the periodic kernel
        angle = 2 * np.pi * places / cell
        points = np.concatenate([np.cos(angle), np.sin(angle)], axis=1) / 2
    reach = length * float(np.sqrt(-np.log(cutoff))) * _WIDER
    one, other = cKDTree(points).query_pairs(reach, output_type="ndarray").T
    step = places[one] - places[other]
    squares = (step**2 if cell is None else np.sin(np.pi / cell * step) ** 2).sum(axis=1)
    value = np.exp(-squares / length**2)
    near = value > cutoff
    one, other, value = one[near], other[near], value[near]
    itself = np.arange(len(places))
    rows, columns = np.concatenate([itself, one, other]), np.concatenate([itself, other, one])
    values = np.concatenate([np.ones(len(places)), value, value])
    return csr_matrix((values, (rows, columns)), shape=(len(places), len(places)))
