"""A session of NeXpy without a screen, in a process of its own: what a user does, and what is seen then.

python session.py FACTS.json SERIES.nxs FOLDER
"""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from nexpy.gui import consoleapp
from nexpy.gui.dialogs import ManagePluginsDialog
from nexpy.gui.pyqt import QtCore, QtWidgets

LIMIT = 600.0
"""Seconds that a command may take."""


class Session:
    """NeXpy's main window, and what its user does."""

    def __init__(self) -> None:
        self.nexpy = consoleapp.NXConsoleApp()
        self.nexpy.initialize(Namespace(filenames=[], restore=False, faulthandler=False))
        self.window, self.app = self.nexpy.window, self.nexpy.app
        self.window.show()
        self.ticks = 0
        self.messages: list[tuple[str, str]] = []
        self._clock = QtCore.QTimer()
        self._clock.timeout.connect(self._tick)
        self._clock.start(50)

    def _tick(self) -> None:
        """Count that the window is alive; read message boxes, and press their button."""
        self.ticks += 1
        box = self.app.activeModalWidget()
        if isinstance(box, QtWidgets.QMessageBox):
            self.messages.append((box.text(), box.informativeText()))
            box.accept()

    def until(self, ready: Callable[[], bool]) -> bool:
        """Let NeXpy go on until something is so."""
        end = time.monotonic() + LIMIT
        while not ready() and time.monotonic() < end:
            self.app.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 50)
            time.sleep(0.01)
        return ready()

    def menu(self) -> list[str]:
        """Entries of the menu of xtec, if it is there."""
        menus = [one.menu() for one in self.window.menu_bar.actions() if one.text() == "X-TEC"]
        self._menu = menus[0] if menus else None
        return [one.text() for one in self._menu.actions()] if menus else []

    def choose(self, entry: str) -> Any:
        """Take an entry of the menu; the dialog that opens, if one does."""
        if folder := os.environ.get("XTEC_NEXPY_PICTURES"):
            self.window.grab().save(f"{folder}/{len(list(Path(folder).iterdir())):02d}.png")
        before = list(self.window.dialogs)
        next(one for one in self._menu.actions() if one.text() == entry).trigger()
        opened = [one for one in self.window.dialogs if one not in before]
        return opened[0] if opened else None

    def press_ok(self, dialog: Any) -> dict[str, Any]:
        """Run what a dialog asks for; whether it closed, and how often the window could do something else."""
        said: set[str] = set()
        ticks, messages = self.ticks, len(self.messages)
        dialog.close_box.button(QtWidgets.QDialogButtonBox.Ok).click()
        busy = dialog.command is not None

        def ended() -> bool:
            open_ = dialog in self.window.dialogs
            if open_ and dialog.command is not None:
                said.add(dialog.status_message.text())
            return not open_ or len(self.messages) > messages

        done = self.until(ended)
        closed = dialog not in self.window.dialogs
        alive = self.ticks - ticks
        return {"done": done, "busy": busy, "closed": closed, "ticks": alive, "said": sorted(said)}

    def plot(self) -> dict[str, Any]:
        """What the plot window shows."""
        view = self.window.plotview
        if view.image is not None:
            return {
                "labels": np.unique(np.asarray(view.v)).tolist(),
                "shape": list(np.asarray(view.v).shape),
                "axes": [view.xaxis.name, view.yaxis.name],
                "cmap": view.cmap,
            }
        lines = [one for one in view.ax.lines if len(one.get_xdata()) > 2]
        return {
            "x_label": view.ax.get_xlabel(),
            "y_label": view.ax.get_ylabel(),
            "legend": [one.get_text() for one in view.ax.legend_.get_texts()] if view.ax.legend_ else [],
            "lines": [np.stack(one.get_data()).tolist() for one in lines],
            "colors": [one.get_color() for one in lines],
        }

    def select(self, name: str, path: str = "") -> None:
        """Click something in the tree."""
        root = self.window.tree[name]
        self.window.treeview.select_node(root[path] if path else root)


def is_alive(process: int) -> bool:
    """Whether a process runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def enable(session: Session) -> None:
    """Switch the plugin on, as the message at the start asks for."""
    dialog = ManagePluginsDialog()
    for row, plugin in enumerate(dialog.plugins, start=1):
        if plugin == "xtec_nexpy":
            dialog.grid.itemAtPosition(row, 2).widget().select("1")
    dialog.accept()


def run(facts: dict[str, Any], series: Path, folder: Path) -> None:
    """Everything, in the order of a working day."""
    session = Session()
    window = session.window
    facts["menu at first"] = session.menu()
    facts["new plugins"] = bool(window.new_plugins)
    enable(session)
    facts["menu"] = session.menu()

    facts["without data"] = session.choose("Cluster...") is None and session.messages[-1]
    window.load_file(str(series))
    session.select(series.stem, "entry/data")

    dialog = session.choose("Cluster...")
    facts["data"], facts["output"] = dialog.filename.text(), dialog.directoryname.text()
    dialog.directoryname.setText(str(folder / "run"))
    dialog.parameters["region"].box.setText("H=50:60")
    facts["bad region"] = session.press_ok(dialog)
    facts["bad region said"] = session.messages[-1]
    dialog.parameters["region"].box.setText("K=-3:3,H=-3:3")
    dialog.parameters["clusters"].box.setText("3")
    facts["cluster"] = session.press_ok(dialog)
    facts["tree"] = list(window.tree)
    facts["trajectories"] = session.plot()
    facts["default"] = str(window.tree["results"].get_default().nxpath)

    session.choose("Show Order Parameters")
    facts["no order yet"] = session.messages[-1]
    session.choose("Show Cluster Map")
    facts["map"] = session.plot()
    facts["order"] = session.press_ok(session.choose("Order Parameters..."))
    facts["order plot"] = session.plot()
    session.choose("Show Trajectories")
    facts["trajectories again"] = session.plot() == facts["trajectories"]

    session.select(series.stem)
    dialog = session.choose("Select Number of Clusters...")
    dialog.directoryname.setText(str(folder / "run"))
    dialog.parameters["region"].box.setText("K=-2:2,H=-2:2")
    dialog.parameters["clusters"].box.setText("2:4")
    facts["not empty"] = session.press_ok(dialog)
    facts["not empty said"] = session.messages[-1]
    dialog.checkbox["replace"].setChecked(True)
    facts["select"] = session.press_ok(dialog)
    facts["tree at last"] = list(window.tree)
    facts["selected"] = len(session.plot()["lines"])

    session.select(series.stem)
    dialog = session.choose("Cluster...")
    dialog.directoryname.setText(str(folder / "cancelled"))
    dialog.close_box.button(QtWidgets.QDialogButtonBox.Ok).click()
    process, ticks = dialog.command._process.processId(), session.ticks
    session.until(lambda: session.ticks > ticks + 2)
    facts["alive"] = is_alive(process)
    dialog.close_box.button(QtWidgets.QDialogButtonBox.Cancel).click()
    facts["cancelled"] = not is_alive(process) and dialog not in window.dialogs
    facts["messages"] = len(session.messages)


if __name__ == "__main__":
    found: dict[str, Any] = {}
    try:
        run(found, Path(sys.argv[2]), Path(sys.argv[3]))
    finally:
        Path(sys.argv[1]).write_text(json.dumps(found), encoding="utf-8")
