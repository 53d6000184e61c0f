"""Cluster labels of one plane as colours on paper, with no voxel lost."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.transforms import Transform
from numpy.typing import NDArray
from scipy import ndimage

from xtec.core.palette import cluster_color
from xtec.core.types import Float64Array
from xtec.plotting.lattice import LatticePlane

SPOT = 3.0
"""Points: a group of voxels smaller than this across is drawn this large."""

_SPOT_SHARE = 0.05
"""At most this share of a panel goes to enlarging spots: scattered voxels must not pass for a dense cloud."""

_FINEST = 4000

Labels = NDArray[np.int16]


def paint(axes: Axes, plane: LatticePlane, labels: Labels, inches: tuple[float, float]) -> None:
    """Draw the labels of one plane.

    Parameters
    ----------
    axes : Axes
        Set up by ``plane.frame``.
    plane : LatticePlane
        The axes of `labels`.
    labels : array, shape (len(plane.y), len(plane.x))
        Cluster number of each voxel, 0 = none.
    inches : (float, float)
        Expected width and height of the panel, which decides what is too small to be seen.
    """
    if not labels.any():
        return
    where = plane.transform(axes)
    _enlarge(axes, where, plane, labels, inches)
    x, y = plane.x_edges, plane.y_edges
    columns, rows = _even_cells(x), _even_cells(y)
    image = _palette(labels)[labels[np.ix_(rows, columns)]]
    axes.imshow(
        image,
        extent=(x.min(), x.max(), y.min(), y.max()),
        origin="lower",
        interpolation="nearest",
        aspect=axes.get_aspect(),
        transform=where,
        zorder=2.1,
    )


def _palette(labels: Labels) -> NDArray[np.uint8]:
    """RGBA of each label, transparent where there is none, shape (K+1, 4)."""
    colors = np.zeros((int(labels.max()) + 1, 4))
    for number in np.unique(labels[labels > 0]):
        colors[number] = to_rgba_array(cluster_color(int(number)))[0]
    return np.round(255 * colors).astype(np.uint8)


def _even_cells(edges: Float64Array) -> NDArray[np.intp]:
    """Which cell lies at each of evenly spaced places, rising; the cells themselves where they are even."""
    widths = np.abs(np.diff(edges))
    n = len(widths)
    if not np.allclose(widths, widths.mean(), rtol=1e-2):
        n = int(min(_FINEST, np.ceil(widths.sum() / widths.min())))
    places = np.linspace(edges.min(), edges.max(), 2 * n + 1)[1::2]
    if edges[-1] > edges[0]:
        return np.clip(np.searchsorted(edges, places, side="right") - 1, 0, len(widths) - 1)
    return (
        len(widths) - 1 - np.clip(np.searchsorted(edges[::-1], places, side="right") - 1, 0, len(widths) - 1)
    )


def _enlarge(
    axes: Axes, where: Transform, plane: LatticePlane, labels: Labels, inches: tuple[float, float]
) -> None:
    """Put a dot under every voxel of groups too small to be seen."""
    groups, n_groups = ndimage.label(labels, structure=np.ones((3, 3)))
    sizes = np.bincount(groups.ravel(), minlength=n_groups + 1)
    area = 72.0 * 72.0 * inches[0] * inches[1]
    voxel = float(np.sqrt(area / labels.size))
    across = voxel * np.sqrt(sizes)
    n_small = int(np.count_nonzero(across[1:] < SPOT))
    if n_small == 0:
        return
    spot = min(SPOT, float(np.sqrt(_SPOT_SHARE * area / n_small)))
    border = np.maximum(spot - across, 0.0)
    border[0] = 0.0
    row, column = np.nonzero(border[groups])
    foremost_last = np.argsort(-labels[row, column], kind="stable")
    row, column = row[foremost_last], column[foremost_last]
    axes.scatter(
        plane.x.values[column],
        plane.y.values[row],
        s=(voxel + border[groups[row, column]]) ** 2,
        c=_palette(labels)[labels[row, column]] / 255,
        linewidths=0,
        transform=where,
        zorder=2.0,
    )


def rectangles(x0: Float64Array, x1: Float64Array, y0: Float64Array, y1: Float64Array) -> Float64Array:
    """Corners of axis-parallel rectangles, shape (n, 4, 2)."""
    return np.stack([np.stack(pair, axis=-1) for pair in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))], axis=1)
