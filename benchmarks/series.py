"""The series that is measured on: simulated in the sizes offered, or a file of the user's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
from numpy.typing import NDArray

from xtec.core.chunking import Block, block_shape
from xtec.core.parallel import n_cores
from xtec.io import Series, open_series
from xtec.io.reading.series import Stacked
from xtec.simulation import Overrides
from xtec_pipelines.simulate import Layout, SimulateConfig, run_simulate

SIZES: dict[str, dict[str, tuple[float, float]]] = {
    "small": {"Ql": (0, 0.5), "Qk": (-3, 3), "Qh": (-5, 5)},
    "slab": {},
    "large": {"Ql": (0, 17), "Qk": (-10, 10), "Qh": (-15, 15)},
}
"""Region of the `cdw` preset in each size. The slab is all of it, 24 x 21 x 401 x 601; large is 16 times."""

_BLOCK_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Subject:
    """A series, and where its intensities are if they are in one dataset.

    Attributes
    ----------
    path : Path
    series : Series
    file, dataset : Path, str or None
        Of a stacked series.
    """

    path: Path
    series: Series
    file: Path | None
    dataset: str | None

    @property
    def inputs(self) -> list[str]:
        """What the command line is given."""
        return [str(self.path)]

    @property
    def n_voxels(self) -> int:
        """Of the grid."""
        return int(np.prod(self.series.shape, dtype=np.int64))

    @property
    def reference_can_read(self) -> bool:
        """Whether the dataset is laid out as the reference package wants it: temperature first."""
        source = self.series.source
        return isinstance(source, Stacked) and source.order == tuple(range(len(source.order)))

    def read_plainly(self) -> None:
        """All intensities with h5py, one call a dataset: the floor under any reading by one thread."""
        for ref in self.series.source.refs:
            with h5py.File(ref.file, "r") as file:
                file[ref.path][...]

    def read_in_threads(self) -> None:
        """All chunks read and decoded by all cores, and nothing done with them: the floor under ours."""
        blocks = self.series.blocks(_BLOCK_BYTES)
        with self.series.reader() as reader, ThreadPoolExecutor(n_cores()) as threads:

            def read(which: list[Block]) -> None:
                largest = max(int(np.prod(block_shape(block))) for block in which)
                memory = np.empty(self.series.n_temperatures * largest, self.series.dtype)
                for block in which:
                    shape = (self.series.n_temperatures, *block_shape(block))
                    reader.read(block, out=memory[: int(np.prod(shape))].reshape(shape))

            list(threads.map(read, (list(part) for part in _parts(blocks))))

    def describe(self) -> dict[str, Any]:
        """Shape, storage and size for the report."""
        refs = self.series.source.refs
        stored = sum(Path(file).stat().st_size for file in {ref.file for ref in refs})
        return {
            "file": self.path.name,
            "shape": [self.series.n_temperatures, *self.series.shape],
            "chunks": list(refs[0].chunks or ()),
            "filters": list(refs[0].filters),
            "megabytes": round(self.series.nbytes / 1e6, 1),
            "megabytes_stored": round(stored / 1e6, 1),
        }


def open_subject(path: Path) -> Subject:
    """Open a series, a file or a folder."""
    series = open_series([str(path)])
    ref = series.source.refs[0]
    if isinstance(series.source, Stacked):
        return Subject(path, series, Path(ref.file), ref.path)
    return Subject(path, series, None, None)


def simulate(size: str, folder: Path, compression: str = "none", layout: str = "stacked") -> Path:
    """Write the simulated series of a size into a folder, unless it is there already."""
    name = f"cdw-{size}-{compression}"
    path = folder / (f"{name}.nxs" if layout == "stacked" else f"{name}-{layout}")
    if not path.exists():
        run_simulate(
            SimulateConfig(
                preset="cdw",
                output=path,
                overrides=Overrides(region=SIZES[size]),
                layout=Layout(layout),
                compression=compression,
            )
        )
    return path


def random_start(x: NDArray[Any], k: int, seed: int) -> tuple[NDArray[np.float64], ...]:
    """Weights, means and variances to start EM from: random trajectories, the data's variance."""
    rows = np.random.default_rng(seed).choice(len(x), k, replace=False)
    variance = x.var(axis=0, dtype=np.float64)
    return np.full(k, 1 / k), x[rows].astype(np.float64), np.tile(variance, (k, 1))


def _parts(blocks: list[Block]) -> list[Any]:
    """Parts for threads to take in turn."""
    n = min(4 * n_cores(), len(blocks))
    return [blocks[len(blocks) * i // n : len(blocks) * (i + 1) // n] for i in range(n)]
