"""The dialogs: choices become a command, its progress is shown, its results are opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nexpy.gui.pyqt import QtWidgets
from nexpy.gui.widgets import GridParameters, NXComboBox, NXDialog
from nexusformat.nexus import NeXusError

from xtec_nexpy import plots, tree
from xtec_nexpy.command import Command

MODES = ["auto", "d", "s", "smooth"]
THRESHOLDS = ["kl+significance", "kl", "significance", "simple", "none"]
_WIDTH = 180


class CommandDialog(NXDialog):  # type: ignore[misc]
    """Choices for one command. It stays open, and NeXpy usable, while the command runs."""

    title = ""

    def __init__(self) -> None:
        super().__init__()
        self.command: Command | None = None
        self.parameters = GridParameters()
        self.set_layout(*self.choices(), self.close_layout("Ready"))
        self.set_title(self.title)

    def choices(self) -> list[Any]:
        """Layouts of what can be chosen."""
        raise NotImplementedError

    def arguments(self) -> list[str]:
        """The command line for what was chosen.

        Raises
        ------
        NeXusError
            If something is missing.
        """
        raise NotImplementedError

    def show_results(self, summary: dict[str, Any]) -> None:
        """Open what the command has written."""
        raise NotImplementedError

    def chosen(self, name: str) -> str:
        """Text of a parameter."""
        box = self.parameters[name].box
        return str(box.currentText() if isinstance(box, NXComboBox) else box.text()).strip()

    def given(self, **options: str) -> list[str]:
        """Options whose parameter is not empty: ``given(mode="--mode")``."""
        return [
            part for name, option in options.items() if (text := self.chosen(name)) for part in (option, text)
        ]

    def accept(self) -> None:
        """Start the command."""
        if self.command is not None:
            return
        try:
            arguments = self.arguments()
        except NeXusError as error:
            self.report_error(self.title, error)
            return
        self._busy(True)
        self.status_message.setText("Running...")
        self.command = Command(arguments, self)
        self.command.progressed.connect(self.status_message.setText)
        self.command.finished.connect(self._finished)
        self.command.failed.connect(self._failed)

    def cleanup(self) -> None:
        """End a command that still runs, before the dialog goes."""
        if self.command is not None:
            self.command.cancel()
            self.command = None
        super().cleanup()

    def _busy(self, busy: bool) -> None:
        self.close_box.button(QtWidgets.QDialogButtonBox.Ok).setEnabled(not busy)

    def _finished(self, summary: dict[str, Any]) -> None:
        self.command = None
        try:
            self.show_results(summary)
        except NeXusError as error:
            self.report_error(self.title, error)
        super().accept()

    def _failed(self, message: str) -> None:
        self.command = None
        self._busy(False)
        self.status_message.setText("Ready")
        self.report_error(self.title, NeXusError(message))


class ClusterDialog(CommandDialog):
    """Cluster the data that are selected in the tree."""

    title = "Clustering Trajectories"
    command_name = "cluster"
    clusters = "auto"

    def __init__(self, path: Path, entry: str) -> None:
        self._path, self._entry = path, entry
        super().__init__()

    def choices(self) -> list[Any]:
        """Data, folder for the results, and what decides the clusters."""
        file_layout = self.filebox("Data")
        self.filename.setText(str(self._path))
        folder_layout = self.directorybox("Results")
        self.directoryname.setText(str(self._path.with_name(f"{self._path.stem}_xtec")))
        self.parameters.add("clusters", self.clusters, "Clusters (N, A:B or auto)")
        self.parameters.add("mode", MODES, "Mode")
        self.parameters.add("threshold", THRESHOLDS, "Threshold")
        self.parameters.add("region", "", "Region (H=-5:5,K=-5:5,L=0:1)")
        self.parameters.add("temperatures", "", "Temperatures (30:220)")
        grid = self.parameters.grid(header=False, width=_WIDTH)
        replace = self.checkboxes(("replace", "Replace earlier results", False))
        return [file_layout, folder_layout, grid, replace]

    def arguments(self) -> list[str]:
        """As `xtec cluster` takes them."""
        path, folder = self.filename.text().strip(), self.directoryname.text().strip()
        if not path or not folder:
            raise NeXusError("Data and a folder for the results are needed")
        replace = self.checkbox["replace"].isChecked()
        if not replace and Path(folder).is_dir() and any(Path(folder).iterdir()):
            raise NeXusError(f"{folder} is not empty: tick 'Replace earlier results', or name another folder")
        options = {name: f"--{name}" for name in self.parameters}
        return [
            *(self.command_name, path, "-o", folder, "--no-figures"),
            *self.given(**options),
            *(["--entry", self._entry] if self._entry and path == str(self._path) else []),
            *(["--force"] if replace else []),
        ]

    def accept(self) -> None:
        """Run; what the run will take away is closed first, or NeXpy complains that it is gone."""
        if self.checkbox["replace"].isChecked():
            tree.close(Path(self.directoryname.text().strip()) / tree.ORDER)
        super().accept()

    def show_results(self, summary: dict[str, Any]) -> None:
        """The trajectories of the clusters."""
        plots.plot_trajectories(tree.reopen(Path(summary["run"]).resolve() / tree.RESULTS))


class SelectDialog(ClusterDialog):
    """The same, with a sweep of the number of clusters."""

    title = "Selecting the Number of Clusters"
    command_name = "select"
    clusters = "1:10"


class OrderDialog(CommandDialog):
    """Read order parameters off results that are open."""

    title = "Finding Order Parameters"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__()

    def choices(self) -> list[Any]:
        """The run and the symmetry for stars of wave vectors."""
        folder_layout = self.directorybox("Results")
        self.directoryname.setText(str(self._folder))
        self.parameters.add("symmetry", "", "Space group (told by the data)")
        return [folder_layout, self.parameters.grid(header=False, width=_WIDTH)]

    def arguments(self) -> list[str]:
        """As `xtec order-parameter` takes them."""
        folder = self.directoryname.text().strip()
        return ["order-parameter", folder, "--no-figures", *self.given(symmetry="--symmetry")]

    def show_results(self, summary: dict[str, Any]) -> None:
        """The order parameters with their fits."""
        plots.plot_order_parameters(tree.reopen(Path(summary["run"]).resolve() / tree.ORDER))
