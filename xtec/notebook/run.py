"""A run as a tree that shows itself and draws its figures."""

from __future__ import annotations

from pathlib import Path

import xarray

from xtec.core.errors import InputError
from xtec.core.palette import cluster_color
from xtec.io.run.folder import open_run, read_summary
from xtec.io.run.tree import curves
from xtec.notebook.plots import RunPlots
from xtec.report.cell import run_cell


class Run(xarray.DataTree):  # type: ignore[no-untyped-call]
    """The results of a run: an xarray DataTree, one node a group of /entry.

    Everything a DataTree can do it can. What comes of it, by ``run.sel(temperature=slice(0, 100))`` say,
    draws figures too, of what is left in it, but shows itself as any other tree.
    """

    __slots__ = ("_folder",)

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open the results of a run; see `xtec.io.open_run`.

        Raises
        ------
        SeriesNotFoundError
            If there are no results.
        InputError
            If the file is not one of ours.
        """
        tree = open_run(path)
        run = cls(tree.to_dataset(), dict(tree.children), tree.name)
        run._folder = Path(tree.encoding["source"]).parent
        return run

    @property
    def plot(self) -> RunPlots:
        """Figures of the run: ``run.plot.trajectories()``, ``run.plot.qmap(L=0)``."""
        return RunPlots(self)

    def _repr_html_(self) -> str:
        """What was found, and the tree folded below it; the tree alone where there is no summary."""
        tree: str = super()._repr_html_()  # type: ignore[no-untyped-call]
        folder: Path | None = getattr(self, "_folder", None)
        if folder is None or tree.startswith("<pre>"):  # which is what xarray was asked for
            return tree
        try:
            summary = read_summary(folder)
            scan = curves(self).scan
        except InputError:
            return tree
        colors = {one["number"]: cluster_color(one["number"]) for one in summary["clusters"]}
        return run_cell(summary, name=str(self.name), scan=scan, colors=colors, tree=tree)
