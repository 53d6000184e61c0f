"""The writer ``csv``: curves of the clusters as a table for programs that read no NeXus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from xtec.io.run import tables

if TYPE_CHECKING:
    import xarray

_GROUPS = {"trajectories": "rescaled", "average_intensity": "intensity"}


class CsvWriter:
    """Writes ``clusters.csv``: rescaled mean and intensity of each cluster against temperature."""

    def write(self, folder: Path, run: xarray.DataTree) -> None:
        """Write the table.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        import pandas

        columns = {}
        for group, word in _GROUPS.items():
            for name, values in run[group].to_dataset().data_vars.items():
                columns[f"{name}_{word}"] = values.to_series()
        tables.write_csv(folder / "clusters.csv", pandas.DataFrame(columns).reset_index())
