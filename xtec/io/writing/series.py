"""Write a temperature series, block by block, as one stacked NeXus file.

Nothing that depends on the time or the machine is written: the same series gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.errors import ConfigError, OutputError
from xtec.io.disk.atomic import make_folder
from xtec.io.hdf5.output import check_room, new_hdf5
from xtec.io.nexus.writer import new_data, new_group
from xtec.io.writing.truth import LabelSource, write_truth

CREATOR = "xtec simulate"
COMPRESSIONS = ("none", "gzip", "lz4", "bitshuffle", "blosc")
_BLOCK_BYTES = 128 * 2**20


class SampleSource(Protocol):
    """What is written about the sample."""

    @property
    def name(self) -> str:
        """Sample name."""

    @property
    def formula(self) -> str:
        """Chemical formula, Hill order."""

    @property
    def cell(self) -> tuple[float, float, float, float, float, float]:
        """``(a, b, c, alpha, beta, gamma)`` in angstrom and degrees."""

    @property
    def reciprocal_angles(self) -> tuple[float, float, float]:
        """``(gamma*, beta*, alpha*)`` in degrees."""

    @property
    def composition(self) -> float | None:
        """x of a substitution series."""


class SeriesSource(LabelSource, Protocol):
    """A series that can be asked for any block; it is never asked for all of itself."""

    @property
    def scan(self) -> Axis:
        """Temperatures."""

    @property
    def planar(self) -> bool:
        """Whether the L axis is one plane to be left out."""

    @property
    def sample(self) -> SampleSource:
        """The sample."""

    def block(self, temperatures: slice, planes: slice) -> NDArray[np.float32]:
        """Intensities of some temperatures and L planes, shape (t, l, K, H)."""


@dataclass(frozen=True, kw_only=True)
class Storage:
    """How intensities are stored.

    Parameters
    ----------
    compression : str
        One of `COMPRESSIONS`; the last three need the hdf5plugin filters to be read.
    chunks : tuple of int, optional
        Chunk shape over (T, L, K, H), over (L, K, H) for the NXRefine layout. Cut to the shape of the data.
    level : int
        Of gzip, 1 to 9.

    Raises
    ------
    ConfigError
        If the compression is unknown or a chunk is not positive.
    """

    compression: str = "gzip"
    chunks: tuple[int, ...] | None = None
    level: int = 6

    def __post_init__(self) -> None:
        if self.compression not in COMPRESSIONS:
            raise ConfigError(
                f"no compression named {self.compression!r}", hint=f"one of: {', '.join(COMPRESSIONS)}"
            )
        if self.chunks is not None and min(self.chunks, default=0) < 1:
            raise ConfigError(f"chunks must be positive, got {self.chunks}")

    def filters(self) -> dict[str, Any]:
        """Keyword arguments of `h5py.Group.create_dataset`."""
        if self.compression == "none":
            return {}
        if self.compression == "gzip":
            return {"compression": "gzip", "compression_opts": self.level, "shuffle": True}
        import hdf5plugin

        names = {"lz4": hdf5plugin.LZ4, "bitshuffle": hdf5plugin.Bitshuffle, "blosc": hdf5plugin.Blosc}
        return dict(names[self.compression]())

    def chunk_shape(self, shape: tuple[int, ...], default: tuple[int, ...]) -> tuple[int, ...]:
        """Chunk shape for a dataset of `shape`.

        Raises
        ------
        ConfigError
            If the number of dimensions differs.
        """
        chunks = self.chunks or default
        if len(chunks) != len(shape):
            raise ConfigError(f"chunks need {len(shape)} numbers here, got {len(chunks)}")
        return tuple(min(chunk, length) for chunk, length in zip(chunks, shape, strict=True))


def write_stacked(path: Path, source: SeriesSource, storage: Storage, *, force: bool = False) -> None:
    """Write one file with ``/entry/data`` over (temperature, Ql, Qk, Qh) and the truth in ``/entry/truth``.

    Parameters
    ----------
    path : Path
        Appears under its name only when complete.
    source : SeriesSource
    storage : Storage
        Chunks (1, 8, 64, 64) unless it says otherwise; memory is one row of chunks, or 128 MiB.
    force : bool
        Replace an existing file.

    Raises
    ------
    OutputError
        If the file exists and `force` is off, or cannot be written.
    """
    refuse_existing(path, force)
    make_folder(path.parent)
    with new_hdf5(path) as file:
        entry = start_entry(file, "data", f"simulated {source.sample.name}")
        write_sample(entry, source.sample)
        _write_stacked_data(entry, source, storage)
        write_truth(entry, source)


def _write_stacked_data(entry: h5py.Group, source: SeriesSource, storage: Storage) -> None:
    q_axes = source.q_axes[1:] if source.planar else source.q_axes
    shape = tuple(len(axis) for axis in (source.scan, *q_axes))
    default = (1, 64, 64) if source.planar else (1, 8, 64, 64)
    chunks = storage.chunk_shape(shape, default)
    title = f"simulated {source.sample.name}"
    data = new_data(entry, "data", title=title, signals=["data"], axes=[source.scan, *q_axes])
    angles = source.sample.reciprocal_angles
    if not source.planar:
        data.attrs["angles"] = np.array(angles)
    elif angles[0] != 90.0:
        data.attrs["angles"] = angles[0]
    signal = data.create_dataset("data", shape, np.float32, chunks=chunks, **storage.filters())
    signal.attrs["long_name"] = "Intensity (counts)"
    n_temperatures, n_planes = source.shape[:2]
    deep = 1 if source.planar else chunks[1]
    plane_bytes = chunks[0] * source.shape[2] * source.shape[3] * 4
    for planes in block_steps(n_planes, deep, plane_bytes):
        for start in range(0, n_temperatures, chunks[0]):
            temperatures = slice(start, min(start + chunks[0], n_temperatures))
            block = source.block(temperatures, planes)
            if source.planar:
                signal[temperatures] = block[:, 0]
            else:
                signal[temperatures, planes] = block
            check_room(signal)


def block_steps(length: int, chunk: int, item_bytes: int) -> Iterator[slice]:
    """Slices of whole chunks, as many at once as stay below the block size (one chunk at least)."""
    step = chunk * max(1, _BLOCK_BYTES // (chunk * item_bytes))
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def start_entry(file: h5py.File, default: str | None, title: str) -> h5py.Group:
    """Root attributes without times or versions, and an NXentry with its default plot, if it has one."""
    file.attrs["NX_class"] = "NXroot"
    file.attrs["default"] = "entry"
    file.attrs["creator"] = CREATOR
    entry = new_group(file, "entry", "NXentry")
    if default is not None:
        entry.attrs["default"] = default
    entry["title"] = title
    return entry


def write_sample(entry: h5py.Group, sample: SampleSource) -> h5py.Group:
    """Name, formula, unit cell and composition as an NXsample."""
    group = new_group(entry, "sample", "NXsample")
    group["name"] = sample.name
    group["chemical_formula"] = sample.formula
    for name, value in zip(("a", "b", "c", "alpha", "beta", "gamma"), sample.cell, strict=True):
        group[f"unitcell_{name}"] = value
        group[f"unitcell_{name}"].attrs["units"] = "angstrom" if len(name) == 1 else "degree"
    if sample.composition is not None:
        group["composition"] = sample.composition
        group["composition"].attrs["long_name"] = "x"
    return group


def refuse_existing(path: Path, force: bool) -> None:
    """Raise if something is there and may not be replaced.

    Raises
    ------
    OutputError
    """
    if path.exists() and not force:
        raise OutputError("the output exists already", file=path, hint="give another name, or --force")
