"""A plane of the reciprocal lattice on paper: true lengths, true angle, ticks in r.l.u."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D, Transform

from xtec.core.axes import Q_NAMES, Axis
from xtec.core.types import Float64Array
from xtec.plotting.style import EMPTY, GRID, INK, ticks_inward

_TICK_STEPS = [1, 2, 5, 10]
_TICK_FONT = 12.0
_LABEL_FONT = 14.0


def in_plane_angle(axes: Sequence[Axis], angles: Float64Array | None, dropped: int = 0) -> float:
    """Angle between two axes of a map, in degrees.

    NXRefine writes ``@angles = (gamma*, beta*, alpha*)`` beside ``@axes = [Ql, Qk, Qh]``, nexusformat
    permutes the angles with the axes, and NeXpy skews a plane by the entry of the axis it does not show.
    So entry i is the angle between the two axes other than axis i: for planes of constant L it is gamma*,
    between a* and b*. For a 2-D map nexusformat has one number, the angle between its two axes.

    Parameters
    ----------
    axes : sequence of Axis
        The map's two or three axes.
    angles : array, optional
        One, two equal or three angles. Three of a 2-D map are taken as those of (Ql, Qk, Qh).
    dropped : int
        For a 3-D map, which axis is not in the plane.

    Returns
    -------
    float
        90 where nothing usable is given.
    """
    if angles is None:
        return 90.0
    values = np.asarray(angles, dtype=np.float64).ravel()
    angle = 90.0
    if len(axes) == 3 and values.size == 3:
        angle = float(values[dropped])
    elif len(axes) == 2 and values.size == 3:
        missing = [i for i, name in enumerate(Q_NAMES) if name not in {axis.name for axis in axes}]
        angle = float(values[missing[0]]) if len(missing) == 1 else 90.0
    elif len(axes) == 2 and values.size and np.all(values == values[0]):
        angle = float(values[0])
    return angle if 0.0 < angle < 180.0 else 90.0


@dataclass(frozen=True)
class LatticePlane:
    """Two axes with their unit lengths and the angle between them.

    Attributes
    ----------
    x, y : Axis
        The fast axis (H), drawn to the right, and the slow one (K).
    angle : float
        From x to y, in degrees.
    """

    x: Axis
    y: Axis
    angle: float = 90.0

    @cached_property
    def units(self) -> tuple[float, float] | None:
        """Length of one unit of x and of y; None where the two cannot be compared.

        The axes' ``scaling_factor`` (a*, b*, c* in inverse angstrom) where both have one, else 1 for both.
        Without it, axes of unlike units have no true aspect.
        """
        lengths = [_scaling_factor(axis) for axis in (self.x, self.y)]
        if lengths[0] and lengths[1]:
            return lengths[0], lengths[1]
        return (1.0, 1.0) if self.x.units == self.y.units else None

    @property
    def sheared(self) -> bool:
        """Whether the axes are drawn at another angle than 90 degrees."""
        return self.units is not None and abs(self.angle - 90.0) > 0.01

    @property
    def cartesian(self) -> Affine2D:
        """From (x, y) in r.l.u. to a right-angled frame whose first axis is along x."""
        length_x, length_y = self.units or (1.0, 1.0)
        gamma = np.deg2rad(self.angle)
        return Affine2D(
            np.array(
                [
                    [length_x, length_y * np.cos(gamma), 0.0],
                    [0.0, length_y * np.sin(gamma), 0.0],
                    [0.0, 0.0, 1.0],
                ]
            )
        )

    @cached_property
    def x_edges(self) -> Float64Array:
        """Borders of the voxels along x, one more than there are voxels."""
        return cell_edges(self.x.values)

    @cached_property
    def y_edges(self) -> Float64Array:
        """The same along y."""
        return cell_edges(self.y.values)

    @property
    def corners(self) -> Float64Array:
        """The plane's four corners in r.l.u., anticlockwise from the lowest of both, shape (4, 2)."""
        x0, x1 = float(self.x_edges.min()), float(self.x_edges.max())
        y0, y1 = float(self.y_edges.min()), float(self.y_edges.max())
        return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the drawn plane, in units of length; 4 : 3 where there is no true aspect."""
        if self.units is None:
            return 4.0, 3.0
        spots = self.cartesian.transform(self.corners) if self.sheared else self.corners * self.units
        width, height = np.ptp(np.asarray(spots), axis=0)
        return float(width), float(height)

    def transform(self, axes: Axes) -> Transform:
        """What artists given in r.l.u. need, on axes that `frame` has set up."""
        return self.cartesian + axes.transData if self.sheared else axes.transData

    def frame(
        self, axes: Axes, inches: tuple[float, float], *, left: bool = True, bottom: bool = True
    ) -> None:
        """Set aspect and limits; draw the border, ticks and labels.

        Parameters
        ----------
        axes : Axes
            Empty.
        inches : (float, float)
            Expected width and height, for the number of ticks.
        left, bottom : bool
            Whether to write labels along these sides.
        """
        ticks = tuple(
            MaxNLocator(nbins=int(np.clip(1.3 * inch, 2, 7)), steps=_TICK_STEPS).tick_values(low, high)
            for inch, (low, high) in zip(
                inches, (self.corners[[0, 2], 0], self.corners[[0, 2], 1]), strict=True
            )
        )
        if self.sheared:
            self._sheared_frame(axes, ticks, left=left, bottom=bottom)
        else:
            self._straight_frame(axes, ticks, left=left, bottom=bottom, tall=inches[1] > 1.3)

    def _straight_frame(
        self, axes: Axes, ticks: tuple[Sequence[float], ...], *, left: bool, bottom: bool, tall: bool
    ) -> None:
        axes.set_facecolor(EMPTY)
        if self.units is not None:
            axes.set_aspect(self.units[1] / self.units[0])
        (x0, y0), _, (x1, y1), _ = self.corners
        axes.set_xticks([tick for tick in ticks[0] if x0 <= tick <= x1])
        axes.set_yticks([tick for tick in ticks[1] if y0 <= tick <= y1])
        axes.set_xlim(x0, x1)
        axes.set_ylim(y0, y1)
        axes.grid(True, color=GRID, lw=0.6)
        for side in ("top", "right"):
            axes.spines[side].set_visible(True)
        ticks_inward(axes)
        axes.tick_params(labelleft=left, labelbottom=bottom, top=True, right=True)
        if bottom:
            axes.set_xlabel(self.x.label)
        if left:
            label = axes.set_ylabel(self.y.label)
            if not tall:
                label.set(rotation=0, ha="right", va="center")

    def _sheared_frame(
        self, axes: Axes, ticks: tuple[Sequence[float], ...], *, left: bool, bottom: bool
    ) -> None:
        spots = np.asarray(self.cartesian.transform(self.corners))
        axes.set_axis_off()
        axes.set_aspect("equal")
        axes.set_xlim(spots[:, 0].min(), spots[:, 0].max())
        axes.set_ylim(spots[:, 1].min(), spots[:, 1].max())
        where = self.transform(axes)
        axes.add_patch(Polygon(self.corners, closed=True, transform=where, fc=EMPTY, ec="none", zorder=0))
        axes.add_patch(
            Polygon(
                self.corners, closed=True, transform=where, fc="none", ec=INK, lw=1.0, zorder=4, clip_on=False
            )
        )
        self._side(axes, 0, ticks[0], written=bottom)
        self._side(axes, 1, ticks[1], written=left)

    def _side(self, axes: Axes, side: int, ticks: Sequence[float], *, written: bool) -> None:
        """Ticks and grid of one sheared axis: 0 along the bottom, 1 up the slanted left."""
        where = self.transform(axes)
        low, high = self.corners[0], self.corners[2]
        inside = [float(tick) for tick in ticks if low[side] <= tick <= high[side]]
        span = (high - low)[1 - side]
        for tick in inside:
            ends = np.array([low, high])
            ends[:, side] = tick
            axes.plot(*ends.T, transform=where, color=GRID, lw=0.6, zorder=0.5, scalex=False, scaley=False)
            for start, inward in ((0, 0.015), (1, -0.015)):
                dash = np.array([ends[start], ends[start]])
                dash[1, 1 - side] += inward * span
                axes.plot(*dash.T, transform=where, color=INK, lw=1.0, zorder=4, scalex=False, scaley=False)
        if written:
            self._write_side(axes, side, inside)

    def _write_side(self, axes: Axes, side: int, ticks: Sequence[float]) -> None:
        gamma = np.deg2rad(self.angle)
        outward = np.array([0.0, -1.0]) if side == 0 else np.array([-np.sin(gamma), np.cos(gamma)])
        texts = [f"{tick:.10g}".replace("-", "\N{MINUS SIGN}") for tick in ticks]
        low, high = self.corners[0], self.corners[2]
        for tick, text in zip(ticks, texts, strict=True):
            spot = low.copy()
            spot[side] = tick
            self._write(axes, spot, text, (0.0, -6.0) if side == 0 else (-7.0, 0.0), side, _TICK_FONT, 0.0)
        middle = low.copy()
        middle[side] = 0.5 * (low[side] + high[side])
        longest = max((len(text) for text in texts), default=0)
        gap = 24.0 if side == 0 else 12.0 + (8.0 + 0.62 * _TICK_FONT * longest) * np.sin(gamma)
        slant = 0.0 if side == 0 else self.angle - 180.0 * (self.angle > 90.0)
        label = (self.x if side == 0 else self.y).label
        self._write(axes, middle, label, (gap * outward[0], gap * outward[1]), side, _LABEL_FONT, slant)

    def _write(
        self,
        axes: Axes,
        spot: Float64Array,
        text: str,
        offset: tuple[float, float],
        side: int,
        size: float,
        slant: float,
    ) -> None:
        """Text a distance in points away from a spot in r.l.u."""
        x, y = np.asarray(self.cartesian.transform(spot))
        turned = slant != 0.0
        axes.annotate(
            text,
            (float(x), float(y)),
            xytext=offset,
            textcoords="offset points",
            ha="center" if side == 0 or turned else "right",
            va="top" if side == 0 else "center",
            rotation=slant,
            rotation_mode="anchor" if turned else "default",
            fontsize=size,
            annotation_clip=False,
        )


def cell_edges(values: Float64Array) -> Float64Array:
    """Borders half way between neighbouring centres; a single value gets a cell of width 1."""
    if values.size == 1:
        return np.array([values[0] - 0.5, values[0] + 0.5])
    middle = 0.5 * (values[1:] + values[:-1])
    first, last = values[0] - (middle[0] - values[0]), values[-1] + (values[-1] - middle[-1])
    return np.concatenate([[first], middle, [last]])


def _scaling_factor(axis: Axis) -> float | None:
    """Positive ``scaling_factor`` of an axis, or None."""
    try:
        value = float(np.asarray(axis.attributes["scaling_factor"], dtype=np.float64).ravel()[0])
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return value if np.isfinite(value) and value > 0 else None
