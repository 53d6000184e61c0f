"""What the entries of the menu do; what goes wrong is told in NeXpy's own message box."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from nexpy.gui.utils import report_error
from nexusformat.nexus import NeXusError

from xtec_nexpy import plots, tree
from xtec_nexpy.dialogs import ClusterDialog, OrderDialog, SelectDialog


def _reporting(title: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Show errors of an action under a title."""

    def wrap(action: Callable[[], None]) -> Callable[[], None]:
        @wraps(action)
        def run() -> None:
            try:
                action()
            except NeXusError as error:
                report_error(title, error)

        return run

    return wrap


@_reporting(ClusterDialog.title)
def cluster() -> None:
    """Ask how to cluster the selected data."""
    ClusterDialog(*tree.selected_data()).show()


@_reporting(SelectDialog.title)
def select() -> None:
    """Ask between which numbers of clusters to choose for the selected data."""
    SelectDialog(*tree.selected_data()).show()


@_reporting(OrderDialog.title)
def order_parameters() -> None:
    """Ask how to read order parameters off the selected tree."""
    OrderDialog(tree.selected_run()).show()


@_reporting("Showing Trajectories")
def show_trajectories() -> None:
    """Plot all clusters of the selected results against temperature."""
    plots.plot_trajectories(tree.open_results(tree.selected_run()))


@_reporting("Showing Cluster Map")
def show_cluster_map() -> None:
    """Plot where the clusters of the selected results lie."""
    plots.plot_cluster_map(tree.open_results(tree.selected_run()))


@_reporting("Showing Order Parameters")
def show_order_parameters() -> None:
    """Plot the order parameters of the selected tree."""
    plots.plot_order_parameters(tree.open_order_parameters(tree.selected_run()))
