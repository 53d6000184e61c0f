"""The figures of a run, drawn from its tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xtec.core.axes import Q_NAMES
from xtec.core.errors import ConfigError, InputError
from xtec.io.run import tree

if TYPE_CHECKING:
    import xarray

    from xtec.plotting import Figure

_AXES = {"L": Q_NAMES[0], "K": Q_NAMES[1], "H": Q_NAMES[2]}


class RunPlots:
    """Figures of a run; each is a matplotlib Figure, which a notebook shows.

    Parameters
    ----------
    tree : DataTree
        As `xtec.open_run` gives it.
    """

    def __init__(self, tree: xarray.DataTree) -> None:
        self._tree = tree

    def __repr__(self) -> str:
        names = [name for name in vars(type(self)) if not name.startswith("_")]
        return f"figures of {self._tree.name or 'a run'}: {', '.join(f'{name}()' for name in names)}"

    def trajectories(self) -> Figure:
        """Rescaled mean of every cluster against temperature, with one standard deviation."""
        from xtec.plotting import plot_trajectories

        return plot_trajectories(tree.curves(self._tree), tree.labels(self._tree))

    def average_intensity(self) -> Figure:
        """Average intensity of every cluster against temperature, with its standard error."""
        from xtec.plotting import plot_average_intensity

        return plot_average_intensity(tree.curves(self._tree), tree.labels(self._tree))

    def qmap(self, *, H: float | None = None, K: float | None = None, L: float | None = None) -> Figure:
        """Where in reciprocal space each cluster lies.

        Parameters
        ----------
        H, K, L : float, optional
            One of them: the plane nearest to it is drawn. With none, planes of constant L that show all
            clusters.

        Raises
        ------
        ConfigError
            If more than one is given, the map has no such axis, or the plane lies outside of it.
        """
        from xtec.plotting import plot_qmap

        planes = {name: value for name, value in (("H", H), ("K", K), ("L", L)) if value is not None}
        cluster_map = tree.cluster_map(self._tree)
        if not planes:
            return plot_qmap(cluster_map)
        if len(planes) > 1:
            raise ConfigError("a plane is named by one of H, K, L", hint="qmap(L=0)")
        [(letter, value)] = planes.items()
        names = [axis.name for axis in cluster_map.axes]
        if _AXES[letter] not in names:
            raise ConfigError(f"the map has no axis {letter}", hint=f"its axes are {', '.join(names)}")
        if len(names) == 3:
            cluster_map = cluster_map.with_slowest(names.index(_AXES[letter]))
        return plot_qmap(cluster_map, planes=[value])

    def threshold(self) -> Figure:
        """Histogram of ln mean intensity, with the background and the cutoff."""
        from xtec.plotting import plot_threshold

        return plot_threshold(*tree.threshold(self._tree))

    def selection(self) -> Figure:
        """How the number of clusters was chosen.

        Raises
        ------
        InputError
            If it was given, not chosen.
        """
        from xtec.plotting import plot_selection

        return plot_selection(tree.selection(self._tree))

    def order_parameter(self) -> Figure:
        """Order parameters against temperature, with the fit and Tc; after `xtec order-parameter`.

        Raises
        ------
        InputError
            If that has not been run, or has found none.
        """
        from xtec.plotting import plot_order_parameters

        found = tree.order_parameters(self._tree)
        if not found:
            raise InputError(
                "no cluster of this run orders",
                file=self._tree.encoding.get("source"),
                hint="the summary says why, under not_ordering",
            )
        return plot_order_parameters([one for one, _ in found], [title for _, title in found])

    def unit_cell(self) -> Figure:
        """Classes of reflections against what orders; after `xtec unit-cell`.

        Raises
        ------
        InputError
            If that has not been run.
        """
        from xtec.plotting import plot_unit_cell

        tables, groups, scan = tree.unit_cell(self._tree)
        return plot_unit_cell(tables.values(), groups, scan)
