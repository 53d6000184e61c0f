"""Write a temperature series, block by block, as an NXRefine sample folder."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import h5py
import numpy as np

from xtec.core.errors import ConfigError, OutputError
from xtec.io.hdf5.output import check_room, create_hdf5
from xtec.io.nexus.writer import new_data, new_group
from xtec.io.writing.series import (
    CREATOR,
    SeriesSource,
    Storage,
    block_steps,
    refuse_existing,
    start_entry,
    write_sample,
)
from xtec.io.writing.truth import truth_file_of, write_truth

NXREFINE_CHUNK = 50

_ENDED = "2000-01-01T00:00:00"
"""When combining ended, which tells readers that it did; files do not depend on when they are made."""


def write_nxrefine(folder: Path, source: SeriesSource, storage: Storage, *, force: bool = False) -> None:
    """Write an NXRefine sample folder: ``SAMPLE_30K.nxs`` wrappers that link to ``30K/transform.nxs``.

    The truth goes into ``truth/SAMPLE_truth.nxs``, where nothing takes it for a scan.

    Parameters
    ----------
    folder : Path
        Appears under its name only when complete.
    source : SeriesSource
    storage : Storage
        Chunks (50, 50, 50) unless it says otherwise; memory is a row of chunks.
    force : bool
        Replace a folder that an earlier call wrote; one that holds anything else is never removed.

    Raises
    ------
    ConfigError
        If the series has no L axis.
    OutputError
        If the folder exists and may not be replaced, or cannot be written.
    """
    if source.planar:
        raise ConfigError("the NXRefine layout needs three axes", hint="use the stacked layout for one plane")
    refuse_existing(folder, force)
    if folder.exists():
        _refuse_foreign(folder)
    temporary = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        prefix = re.sub(r"[^A-Za-z0-9.+-]+", "", source.sample.name) or "sample"
        for index in range(source.shape[0]):
            _write_scan(temporary, prefix, source, storage, index)
        truth = truth_file_of(temporary, prefix)
        truth.parent.mkdir()
        with create_hdf5(truth) as file:
            entry = start_entry(file, None, f"truth of simulated {source.sample.name}")
            write_truth(entry, source)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.replace(folder)
    except OSError as error:
        raise OutputError(f"cannot write ({error.strerror or error})", file=folder) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def scan_name(value: float, units: str) -> str:
    """NXRefine's name of a scan: ``30K``, ``12p5K``, ``m2p5T``.

    Examples
    --------
    >>> scan_name(30.0, "K"), scan_name(-2.5, "T")
    ('30K', 'm2p5T')
    """
    return f"{value:g}{units}".replace("-", "m").replace(".", "p")


def _write_scan(folder: Path, prefix: str, source: SeriesSource, storage: Storage, index: int) -> None:
    scan = scan_name(float(source.scan.values[index]), source.scan.units)
    shape = source.shape[1:]
    chunks = storage.chunk_shape(shape, (NXREFINE_CHUNK,) * 3)
    (folder / scan).mkdir()
    with create_hdf5(folder / scan / "transform.nxs") as file:
        entry = start_entry(file, "data", f"simulated {source.sample.name} {scan}")
        data = new_group(entry, "data", "NXdata")
        data.attrs["signal"] = "v"
        signal = data.create_dataset("v", shape, np.float32, chunks=chunks, **storage.filters())
        for planes in block_steps(shape[0], chunks[0], shape[1] * shape[2] * 4):
            signal[planes] = source.block(slice(index, index + 1), planes)[0]
            check_room(signal)
    with create_hdf5(folder / f"{prefix}_{scan}.nxs") as file:
        entry = start_entry(file, "transform", f"simulated {source.sample.name} {scan}")
        sample = write_sample(entry, source.sample)
        sample[source.scan.name] = float(source.scan.values[index])
        sample[source.scan.name].attrs["units"] = source.scan.units
        title = f"{source.sample.name} {scan} Transform"
        data = new_data(entry, "transform", title=title, signals=["data"], axes=source.q_axes)
        data.attrs["angles"] = np.array(source.sample.reciprocal_angles)
        data["data"] = h5py.ExternalLink(f"{scan}/transform.nxs", "/entry/data/v")
        process = new_group(new_group(entry, "nxworkflow", "NXcollection"), "nxcombine", "NXprocess")
        process["program"] = CREATOR
        process["sequence_index"] = 1
        process["end_time"] = _ENDED


def _refuse_foreign(folder: Path) -> None:
    """Raise unless a simulation wrote every file: a measured folder looks just the same."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _is_simulated(path):
            raise OutputError(
                "the folder holds a file that no simulation wrote, so it is left alone", file=path
            )


def _is_simulated(path: Path) -> bool:
    if path.suffix != ".nxs" or not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return bool(file.attrs.get("creator") == CREATOR)
