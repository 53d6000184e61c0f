"""The series that is measured on: simulated in the sizes offered, or a file of the user's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from xtec.io import Series, open_series
from xtec.io.series import Stacked

SIZES: dict[str, dict[str, tuple[float, float]]] = {
    "small": {"Ql": (0, 0.5), "Qk": (-3, 3), "Qh": (-5, 5)},
    "slab": {},
}
"""Region of the `cdw` preset in each size; the slab is all of it: 24 x 21 x 401 x 601."""


@dataclass(frozen=True)
class Subject:
    """A stacked series and where its intensities are."""

    path: Path
    series: Series
    file: Path
    dataset: str

    @property
    def reference_can_read(self) -> bool:
        """Whether the dataset is laid out as the reference package wants it: temperature first."""
        source = self.series.source
        return isinstance(source, Stacked) and source.order == tuple(range(len(source.order)))

    def read_plainly(self) -> NDArray[Any]:
        """All intensities in one h5py call: the floor under any reading."""
        import hdf5plugin  # noqa: F401

        with h5py.File(self.file, "r") as file:
            values: NDArray[Any] = file[self.dataset][...]
        return values

    def describe(self) -> dict[str, Any]:
        """Shape, storage and size for the report."""
        ref = self.series.source.refs[0]
        return {
            "file": self.path.name,
            "shape": [self.series.n_temperatures, *self.series.shape],
            "chunks": list(ref.chunks or ()),
            "filters": list(ref.filters),
            "megabytes": round(self.series.nbytes / 1e6, 1),
            "megabytes_stored": round(self.file.stat().st_size / 1e6, 1),
        }


def open_subject(path: Path) -> Subject:
    """Open a stacked series, which must be in one dataset."""
    series = open_series([str(path)])
    if not isinstance(series.source, Stacked):
        raise SystemExit(f"{path}: the benchmarks need one stacked file")
    ref = series.source.refs[0]
    return Subject(path, series, Path(ref.file), ref.path)


def simulate(size: str, folder: Path, compression: str = "gzip") -> Path:
    """Write the simulated series of a size into a folder, unless it is there already."""
    from xtec.io.series_writer import Storage, write_stacked
    from xtec.simulation import Overrides, SimulatedSeries, make_specs

    path = folder / f"cdw-{size}-{compression}.nxs"
    if not path.exists():
        (spec,) = make_specs("cdw", Overrides(region=SIZES[size]))
        storage = Storage(compression=compression, chunks=(1, 8, 64, 64))
        write_stacked(path, SimulatedSeries(spec), storage)
    return path


def random_start(x: NDArray[Any], k: int, seed: int) -> tuple[NDArray[np.float64], ...]:
    """Weights, means and variances to start EM from: random trajectories, the data's variance."""
    rows = np.random.default_rng(seed).choice(len(x), k, replace=False)
    variance = x.var(axis=0, dtype=np.float64)
    return np.full(k, 1 / k), x[rows].astype(np.float64), np.tile(variance, (k, 1))
