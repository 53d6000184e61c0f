"""What is selected in NeXpy's tree, and files in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nexpy.gui.utils import get_mainwindow
from nexusformat.nexus import NeXusError, NXdata, NXentry, NXfield, NXroot

RESULTS = "results.nxs"
ORDER = "order_parameter.nxs"


def selected_data() -> tuple[Path, str]:
    """File, and path of the entry or data in it (empty for the file as a whole), of what is selected.

    Raises
    ------
    NeXusError
        If nothing is, or it is in no file yet.
    """
    node: Any = get_mainwindow().treeview.get_node()
    if node is None:
        raise NeXusError("Select a series in the tree first")
    if not node.nxroot.nxfilename:
        raise NeXusError(f"{node.nxroot.nxname} is in memory only: save it to a file first")
    if isinstance(node, NXfield):
        node = node.nxgroup
    entry = str(node.nxpath) if isinstance(node, NXentry | NXdata) else ""
    return Path(node.nxroot.nxfilename), entry


def selected_run() -> Path:
    """The run folder that the selected file lies in; or the only one that is open.

    Raises
    ------
    NeXusError
        If there is none.
    """
    window = get_mainwindow()
    node = window.treeview.get_node()
    if node is not None and (folder := _run_of(node.nxroot)):
        return folder
    folders = {folder for name in window.tree if (folder := _run_of(window.tree[name]))}
    if len(folders) != 1:
        which = "Several are open" if folders else "None is open"
        raise NeXusError(f"Select results of X-TEC in the tree ({which.lower()}), or cluster data first")
    return folders.pop()


def _run_of(root: NXroot) -> Path | None:
    if root.attrs.get("creator") != "xtec-pipeline" or not root.nxfilename:
        return None
    folder = Path(root.nxfilename).parent
    return folder if (folder / RESULTS).exists() else None


def open_results(folder: Path) -> NXroot:
    """The results of a run, loaded into the tree unless they are there."""
    return _opened(folder / RESULTS)


def open_order_parameters(folder: Path) -> NXroot:
    """What `xtec order-parameter` added to a run.

    Raises
    ------
    NeXusError
        If that has not been run.
    """
    if not (folder / ORDER).exists():
        raise NeXusError(f"{folder.name} has no order parameters yet: run 'Order Parameters...' first")
    return _opened(folder / ORDER)


def close(path: Path) -> None:
    """Take a file out of the tree, if it is there."""
    window = get_mainwindow()
    for name in list(window.tree):
        if _is_file(window.tree[name], path):
            del window.tree[name]


def reopen(path: Path) -> NXroot:
    """A file that was just written: what the tree had of it before, and of files now gone, is taken out."""
    window = get_mainwindow()
    for name in list(window.tree):
        root = window.tree[name]
        if _is_file(root, path) or (root.nxfilename and not Path(root.nxfilename).exists()):
            del window.tree[name]
    return _opened(path)


def _opened(path: Path) -> NXroot:
    window = get_mainwindow()
    there = [name for name in window.tree if _is_file(window.tree[name], path)]
    if not there:
        window.load_file(str(path))
        there = [name for name in window.tree if _is_file(window.tree[name], path)]
    if not there:
        raise NeXusError(f"{path} cannot be opened: another program holds it")
    root = window.tree[there[0]]
    window.treeview.select_node(root)
    return root


def _is_file(root: NXroot, path: Path) -> bool:
    return bool(root.nxfilename) and Path(root.nxfilename).resolve() == path.resolve()
