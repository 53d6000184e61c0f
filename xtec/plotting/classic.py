"""Plots of the reference package xtec 0.1.1: on pyplot figures that the caller goes on with.

Images of clusters hold 0 where there is nothing, 1 where a voxel was kept, and k + 2 where it is in cluster k
(counted from 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from numpy.typing import ArrayLike, NDArray

from xtec.core.palette import cluster_color
from xtec.core.types import Float64Array

EMPTY, KEPT = "white", "lightgrey"

_COLORS = ("red", "blue", "green", "purple", "yellow", "orange", "pink")
"""Those that published notebooks name in words."""


def classic_color(cluster: int) -> str:
    """Colour of a cluster counted from 0: the reference's seven, then those of other figures."""
    return _COLORS[cluster] if cluster < len(_COLORS) else cluster_color(cluster + 1)


def image_colors(n_clusters: int) -> tuple[ListedColormap, BoundaryNorm]:
    """Colour map and norm for images of clusters."""
    colors = [EMPTY, KEPT, *map(classic_color, range(max(n_clusters, len(_COLORS))))]
    return ListedColormap(colors), BoundaryNorm(np.arange(len(colors) + 1) - 0.5, len(colors))


def plot_cutoff(
    x_bins: Float64Array,
    y_bins: Float64Array,
    background: tuple[float, float] | None,
    cutoff: float | None,
    figsize: tuple[float, float],
) -> None:
    """Histogram of ln mean intensity, with the background's Gaussian and the cutoff where there are any.

    Parameters
    ----------
    x_bins, y_bins : array, shape (B,)
    background : tuple (mean, std), optional
    cutoff : float, optional
    figsize : tuple (width, height)
    """
    plt.figure(figsize=figsize)
    plt.plot(x_bins, y_bins, label="data")
    if background is not None:
        mean, std = background
        gaussian = np.exp(-0.5 * ((x_bins - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
        plt.plot(x_bins, gaussian, label="background")
    if cutoff is not None:
        plt.scatter(cutoff, 0, color="red", zorder=10, label="cutoff")
    plt.xlabel("ln of the mean intensity")
    plt.ylabel("probability density")
    plt.legend()


def plot_plane(image: NDArray[Any], n_clusters: int, figsize: tuple[float, float]) -> ModuleType:
    """Image of clusters on a new figure; returns pyplot."""
    colors, norm = image_colors(n_clusters)
    plt.figure(figsize=figsize)
    plt.imshow(image, origin="lower", cmap=colors, norm=norm)
    return plt


def plot_bands(x: ArrayLike, means: Sequence[Float64Array], stds: Sequence[Float64Array]) -> None:
    """Mean of each cluster with a band of one standard deviation; arrays of shape (T,)."""
    at = np.asarray(x)
    plt.figure()
    for cluster, (mean, std) in enumerate(zip(means, stds, strict=True)):
        color = classic_color(cluster)
        plt.plot(at, mean, color=color, lw=2)
        plt.fill_between(at, mean - std, mean + std, color=color, alpha=0.4)


def plot_members(
    x: ArrayLike, rows: NDArray[Any], labels: NDArray[np.intp], means: Sequence[Float64Array]
) -> ModuleType:
    """All trajectories (n, T) in the colours of their clusters, means dashed; returns pyplot."""
    at = np.asarray(x)
    plt.figure()
    lines = np.stack([np.broadcast_to(at, rows.shape), rows], axis=-1)
    plt.gca().add_collection(LineCollection(list(lines), colors=[classic_color(int(k)) for k in labels]))
    for mean in means:
        plt.plot(at, mean, "k--", lw=2)
    plt.autoscale()
    return plt


def plot_points(
    groups: Sequence[NDArray[np.intp]], shape: tuple[int, ...], colors: Sequence[str], alpha: float = 1.0
) -> None:
    """Voxels as points in three dimensions, in fractions of the grid.

    Parameters
    ----------
    groups : sequence of array of int, shape (n, 3)
        Indices of the voxels of each colour.
    shape : tuple
        Of the grid.
    colors : sequence of str
    alpha : float
    """
    axes = plt.figure().add_subplot(projection="3d")
    spans = np.maximum(np.array(shape) - 1, 1)
    for index, color in zip(groups, colors, strict=True):
        axes.scatter(*(index / spans).T, color=color, alpha=alpha, s=20, edgecolors="none")
    for name, label in zip(("x", "y", "z"), ("$Q_l$", "$Q_k$", "$Q_h$"), strict=True):
        axes.set(**{f"{name}label": label})
    axes.view_init(azim=50)
