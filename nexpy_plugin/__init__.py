"""A menu of NeXpy: it runs `xtec` on the data in NeXpy's tree and shows what comes of it."""

from __future__ import annotations

from collections.abc import Callable


def plugin_menu() -> tuple[str, list[tuple[str, Callable[[], None]]]]:
    """Name and entries of the menu, as NeXpy asks for them (entry point group ``nexpy.plugins``)."""
    from xtec_nexpy import menu

    return "X-TEC", [
        ("Cluster...", menu.cluster),
        ("Select Number of Clusters...", menu.select),
        ("Order Parameters...", menu.order_parameters),
        ("Show Trajectories", menu.show_trajectories),
        ("Show Cluster Map", menu.show_cluster_map),
        ("Show Order Parameters", menu.show_order_parameters),
    ]
