"""Cluster colours: one colour a number, told apart by colour-blind readers too."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from xtec.core.errors import ConfigError
from xtec.core.types import Float64Array

NAMED = (
    "#d55e00",  # vermillion: number 1 is the one the eye goes to
    "#0072b2",
    "#009e73",
    "#882255",
    "#56b4e9",
    "#e69f00",
    "#332288",
    "#ee99aa",
)
"""From the palettes of Okabe & Ito and Paul Tol: the eight that stay furthest apart with either kind of
red-green blindness, ordered so that any first few do."""

DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
"""Linear RGB as seen without green cones: Machado, Oliveira & Fernandes, IEEE TVCG 15, 1291 (2009)."""

PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
"""The same without red cones."""

LONGEST = 256
"""Colours repeat after this many clusters; line styles and markers go on differing."""

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def hex_to_rgb(color: str) -> Float64Array:
    """sRGB in 0..1 of ``#rrggbb``, shape (3,)."""
    return np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def linear_rgb(rgb: Float64Array) -> Float64Array:
    """sRGB, shape (..., 3) in 0..1, without its gamma."""
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def linear_to_oklab(linear: Float64Array) -> Float64Array:
    """Linear RGB, shape (..., 3), as OKLab (B. Ottosson, 2020), in which equal distances look equal."""
    return np.asarray(np.cbrt(np.clip(linear, 0.0, 1.0) @ _TO_CONES.T) @ _TO_OKLAB.T)


def contrast_with_white(linear: Float64Array) -> Float64Array:
    """WCAG contrast ratio against white, 1..21, of linear RGB with shape (..., 3)."""
    return np.asarray(1.05 / (linear @ _LUMINANCE + 0.05))


@lru_cache(maxsize=1)
def color_sequence() -> tuple[str, ...]:
    """The named colours, then whichever candidate is furthest from all before it.

    Distance is the smaller of the OKLab distances seen with normal, deuteranopic and protanopic
    vision, so the sequence never depends on how many clusters there are.

    Returns
    -------
    tuple of str
        `LONGEST` colours as ``#rrggbb``.
    """
    levels = np.linspace(0.0, 1.0, 18)
    candidates = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    linear = linear_rgb(candidates)
    contrast = contrast_with_white(linear)
    candidates = candidates[(contrast >= 2.0) & (contrast <= 15.0)]
    seen = _as_seen(candidates)
    colors = [hex_to_rgb(name) for name in NAMED]
    nearest = np.full(len(candidates), np.inf)
    for color in colors:
        nearest = np.minimum(nearest, _distance(seen, _as_seen(color)))
    while len(colors) < LONGEST:
        best = int(np.argmax(nearest))
        colors.append(candidates[best])
        nearest = np.minimum(nearest, _distance(seen, seen[:, best]))
    return tuple(_to_hex(color) for color in colors)


def cluster_color(number: int) -> str:
    """Colour of a cluster, the same in every figure and whatever the number of clusters.

    Parameters
    ----------
    number : int
        Cluster number, from 1.

    Returns
    -------
    str
        ``#rrggbb``.

    Raises
    ------
    ConfigError
        If `number` is below 1: 0 means not clustered and has no colour.
    """
    if number < 1:
        raise ConfigError(f"cluster numbers start at 1, got {number}")
    if number <= len(NAMED):
        return NAMED[number - 1]
    colors = color_sequence()
    return colors[(number - 1) % len(colors)]


def _as_seen(rgb: Float64Array) -> Float64Array:
    """OKLab with normal, deuteranopic and protanopic vision, shape (3, ..., 3)."""
    linear = linear_rgb(rgb)
    return np.stack([linear_to_oklab(linear @ eye.T) for eye in (np.eye(3), DEUTERANOPIA, PROTANOPIA)])


def _distance(seen: Float64Array, one: Float64Array) -> Float64Array:
    """Smallest distance over kinds of vision from each of `seen`, shape (3, n, 3), to `one`, shape (3, 3)."""
    return np.asarray(np.linalg.norm(seen - one[:, None, :], axis=-1).min(axis=0))


def _to_hex(rgb: Float64Array) -> str:
    red, green, blue = np.round(rgb * 255).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"
