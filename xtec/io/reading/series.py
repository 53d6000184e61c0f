"""A series: one intensity volume for each temperature, read a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis, Region, inside_interval, select_interval, select_region
from xtec.core.chunking import Block, plan_blocks
from xtec.core.quantities import SampleInfo
from xtec.io.hdf5.boxes import BoxReader, Wanted, as_slice
from xtec.io.hdf5.opening import DatasetRef

if TYPE_CHECKING:
    import xarray

    from xtec.io.reading.reader import SeriesReader

Datasets = Callable[[int], BoxReader]
"""Gives the open dataset behind each of a source's `refs`."""

_DASK_BYTES = 128 * 2**20
"""Size of a Dask chunk."""

_WORKED_WITH: dict[np.dtype[Any], np.dtype[Any]] = {
    np.dtype(np.float16): np.dtype(np.float32),
    np.dtype(np.longdouble): np.dtype(np.float64),
}
"""What intensities are read as where no compiled loop takes the type of the file."""


@dataclass(frozen=True)
class Dropped:
    """A temperature left out, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Stacked:
    """One dataset that holds all temperatures.

    `order` lists the dataset's dimensions in canonical order: scan first, then L, K, H.
    """

    signal: DatasetRef
    order: tuple[int, ...]

    def read(self, datasets: Datasets, rows: Sequence[int], block: Block, out: NDArray[Any]) -> None:
        """Fill `out`, shape (len(rows), *block)."""
        wanted = (as_slice(np.asarray(rows, dtype=np.intp)), *block)
        datasets(0).read(*_as_stored(self.order, wanted, out))

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Chunk lengths along the reciprocal-space axes."""
        stored = self.signal.chunks
        return None if stored is None else tuple(stored[dimension] for dimension in self.order[1:])

    @property
    def refs(self) -> tuple[DatasetRef, ...]:
        """The datasets behind the series."""
        return (self.signal,)


@dataclass(frozen=True)
class PerTemperature:
    """One dataset a temperature, in files of their own; `order` puts each into L, K, H."""

    signals: tuple[DatasetRef, ...]
    order: tuple[int, ...]

    def read(self, datasets: Datasets, rows: Sequence[int], block: Block, out: NDArray[Any]) -> None:
        """Fill `out`, shape (len(rows), *block)."""
        for volume, row in zip(out, rows, strict=True):
            datasets(row).read(*_as_stored(self.order, block, volume))

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Chunk lengths along the reciprocal-space axes."""
        stored = self.signals[0].chunks
        return None if stored is None else tuple(stored[dimension] for dimension in self.order)

    @property
    def refs(self) -> tuple[DatasetRef, ...]:
        """The datasets behind the series."""
        return self.signals


@dataclass(frozen=True)
class Series:
    """Intensity against a scan variable on a grid in reciprocal space; nothing is read until asked for.

    Attributes
    ----------
    name : str
        Sample name, or the file's.
    scan : Axis
        Temperatures (or fields, times, ...), T of them.
    axes : tuple of Axis
        Reciprocal-space axes, slowest first.
    source : Stacked or PerTemperature
        Where the numbers are.
    rows : tuple of int
        Which temperatures of the source belong to the series.
    origin : tuple of int
        Where the grid starts in the source.
    angles : array or None
        NeXus ``@angles`` between the axes, degrees.
    dropped : tuple of Dropped
        Temperatures that were left out.
    inputs : tuple of str
        The files that were given or found.
    sample : SampleInfo
        What the (first) file says of the sample.
    """

    name: str
    scan: Axis
    axes: tuple[Axis, ...]
    source: Stacked | PerTemperature
    rows: tuple[int, ...]
    origin: tuple[int, ...]
    angles: NDArray[np.float64] | None = None
    dropped: tuple[Dropped, ...] = ()
    inputs: tuple[Path, ...] = field(default=())
    sample: SampleInfo = field(default_factory=SampleInfo)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each reciprocal-space axis."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def n_temperatures(self) -> int:
        """T."""
        return len(self.scan)

    @property
    def dtype(self) -> np.dtype[Any]:
        """As stored in the file, in native byte order; half precision is read as single."""
        stored = self.source.refs[0].dtype.newbyteorder("=")
        return _WORKED_WITH.get(stored, stored)

    @property
    def nbytes(self) -> int:
        """Bytes of all intensities, decompressed."""
        return int(np.prod((self.n_temperatures, *self.shape), dtype=np.int64)) * self.dtype.itemsize

    def read(self, block: Block, temperatures: slice = slice(None)) -> NDArray[Any]:
        """Intensities of a block at all (or some) temperatures, shape (T, *block), dtype of the file.

        Raises
        ------
        InputError
            If a file has become unreadable since the series was opened.
        """
        with self.reader(raw=False) as reader:
            return reader.read(block, temperatures)

    def reader(self, *, raw: bool = True) -> SeriesReader:
        """Open the series for reading many blocks, from any number of threads, as a context manager.

        Parameters
        ----------
        raw : bool
            Read past HDF5 where that is possible, which lets threads read at the same time. It first takes a
            table of all chunks, a second for half a million, so for a single block it does not pay.
        """
        from xtec.io.reading.reader import SeriesReader

        return SeriesReader(self, raw=raw)

    def crop(self, region: Region | None = None, temperatures: tuple[float, float] | None = None) -> Series:
        """Restrict the series to a region of reciprocal space and an interval of the scan variable."""
        where = str(self.inputs[0]) if self.inputs else None
        parts = select_region(self.axes, region or {}, file=where)
        kept = np.ones(len(self.scan), dtype=bool)
        if temperatures is not None:
            select_interval(self.scan, temperatures, file=where)
            kept = inside_interval(self.scan, temperatures)
        return replace(
            self,
            scan=self.scan[kept],
            axes=tuple(axis[part] for axis, part in zip(self.axes, parts, strict=True)),
            rows=tuple(row for row, keep in zip(self.rows, kept, strict=True) if keep),
            origin=tuple(start + part.start for start, part in zip(self.origin, parts, strict=True)),
        )

    def blocks(self, budget: int) -> list[Block]:
        """Boxes of whole chunks that cover the grid, each at most `budget` bytes at all temperatures."""
        return plan_blocks(
            self.shape,
            voxel_bytes=self.n_temperatures * self.dtype.itemsize,
            budget=budget,
            chunks=self.source.chunks,
            origin=self.origin,
        )

    def to_xarray(self) -> xarray.DataArray:
        """The series as a lazy DataArray, dims (scan, Ql, Qk, Qh), backed by Dask.

        A Dask chunk holds all temperatures of a box of voxels that follows the chunks of the file.
        """
        import dask.array
        import xarray

        volume = _LazyVolume(self)
        nothing = np.empty((0,) * volume.ndim, self.dtype)
        lazy = dask.array.from_array(
            volume, chunks=self._dask_chunks(), name=False, asarray=False, fancy=False, meta=nothing
        )
        coordinates = {
            axis.name: (axis.name, axis.values, {"units": axis.units, **axis.attributes})
            for axis in (self.scan, *self.axes)
        }
        attributes: dict[str, Any] = {"inputs": [str(path) for path in self.inputs]}
        if self.angles is not None:
            attributes["angles"] = self.angles
        if self.dropped:
            attributes["dropped"] = [f"{bad.file}: {bad.reason}" for bad in self.dropped]
        dims = [self.scan.name, *(axis.name for axis in self.axes)]
        return xarray.DataArray(lazy, coordinates, dims, name=self.name, attrs=attributes)

    def _dask_chunks(self) -> tuple[tuple[int, ...], ...]:
        """Lengths of the blocks along each axis."""
        blocks = self.blocks(_DASK_BYTES)
        along = [sorted({(part.start, part.stop) for part in parts}) for parts in zip(*blocks, strict=True)]
        return (self.n_temperatures,), *(tuple(stop - start for start, stop in axis) for axis in along)


class _LazyVolume:
    """What Dask slices: reads when indexed."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self.shape = (series.n_temperatures, *series.shape)
        self.dtype = series.dtype
        self.ndim = len(self.shape)

    def __getitem__(self, selection: tuple[slice | int, ...]) -> NDArray[Any]:
        wanted = [range(size)[part] for part, size in zip(selection, self.shape, strict=True)]
        box, inside = zip(*(_cover(part) for part in wanted), strict=True)
        values: NDArray[Any] = self.series.read(box[1:], box[0])[inside]
        return values


def _cover(wanted: range | int) -> tuple[slice, slice | int]:
    """The box that holds what Dask asks for along one axis, and where that is in the box."""
    if isinstance(wanted, int):
        return slice(wanted, wanted + 1), 0
    if not wanted:
        return slice(0, 0), slice(None)
    return slice(min(wanted), max(wanted) + 1), slice(None, None, wanted.step)


def _as_stored(
    order: Sequence[int], wanted: Sequence[Wanted], out: NDArray[Any]
) -> tuple[tuple[Wanted, ...], NDArray[Any]]:
    """What is wanted, and the array to fill, in the order of the stored dimensions."""
    inverse = np.argsort(order)
    return tuple(wanted[i] for i in inverse), out.transpose(inverse)
