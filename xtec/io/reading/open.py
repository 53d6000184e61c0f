"""From what the user names (a file, a folder, a list) to a series."""

from __future__ import annotations

import glob
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis, Region
from xtec.core.errors import AxisError, InputError, SeriesNotFoundError, XtecError
from xtec.io.hdf5.guard import check_harmless, fatality, harmful
from xtec.io.hdf5.links import Bounds
from xtec.io.hdf5.locate import locate
from xtec.io.hdf5.opening import DatasetRef
from xtec.io.nexus.data import NexusData, find_data, read_scan_axis
from xtec.io.nexus.layout import (
    canonical_order,
    check_length,
    check_rank,
    complete_axes,
    sample_name,
    sample_of,
    scan_dimension,
)
from xtec.io.reading.foreign import foreign_series
from xtec.io.reading.series import Dropped, PerTemperature, Series
from xtec.io.reading.virtual import stacked_source
from xtec.io.reading.volume import SUFFIXES, OpenOptions, Volume, is_parent, is_stranger, misfit, open_volume

logger = logging.getLogger(__name__)

_LEAST_RUN = 8
"""Values between two turns of a scan, on average; one that turns more often repeats values by mistake."""


def open_series(
    inputs: str | Path | Sequence[str | Path],
    *,
    region: Region | None = None,
    temperatures: tuple[float, float] | None = None,
    options: OpenOptions | None = None,
) -> Series:
    """Open a temperature series without reading its intensities.

    Parameters
    ----------
    inputs : path or sequence of paths
        A stacked file, an NXRefine sample folder (or its ``_scans.nxs`` parent, used as a pointer to the
        folder), or a list of per-temperature files; ``*`` and ``?`` are expanded.
    region : mapping, optional
        Closed intervals by axis name, in the axes' units.
    temperatures : (low, high), optional
        Closed interval of the scan variable.
    options : OpenOptions, optional
        Entry, group, scan variable, whether to drop bad temperatures, and whether links may lead out of
        the folders of the input.

    Raises
    ------
    InputError
        If the input is unusable: its message names file and path.
    """
    options = options or OpenOptions()
    named = [Path(one) for one in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    foreign = foreign_series(named, options.reader)
    if foreign is not None:
        return _checked(foreign.crop(region, temperatures), options)
    paths, from_folder = _expand(named)
    bounds = options.bounds([*named, *paths])
    found = partial(_find, paths, options, bounds, from_folder)
    return _checked(found(harm=fatality(found, len(paths))).crop(region, temperatures), options)


def _find(
    paths: Sequence[Path], options: OpenOptions, bounds: Bounds, from_folder: bool, harm: str | None = None
) -> Series:
    """The series in files; `harm` is what reading their headers did to a copy of this process."""
    if len(paths) == 1 and harm is not None:
        raise harmful(paths[0], harm)
    if len(paths) == 1:
        data = find_data(paths[0], entry=options.entry, group=options.group, bounds=bounds)
        signal = locate(data.file, data.signal, bounds)
        dimension = scan_dimension(data, signal, options.scan)
        if dimension is not None:
            return _stacked(data, signal, dimension, options)
    return _per_temperature(paths, options, bounds, from_folder, harm)


def join_volumes(
    volumes: Sequence[Volume],
    *,
    region: Region | None = None,
    temperatures: tuple[float, float] | None = None,
    options: OpenOptions | None = None,
) -> Series:
    """A series of volumes that are on one grid and open already; see `open_series`.

    Raises
    ------
    InputError
        If they cannot be clustered.
    """
    return _checked(series_of(volumes).crop(region, temperatures), options or OpenOptions())


def _expand(items: Sequence[Path]) -> tuple[list[Path], bool]:
    """Files that the inputs stand for, and whether any was found by looking into a folder."""
    if len(items) == 1 and is_parent(items[0]) and _series_files(items[0].parent):
        items = [items[0].parent]
    paths: list[Path] = []
    for path in items:
        if path.is_dir():
            found = _series_files(path)
            missing = "no NeXus or HDF5 files in this folder"
        elif path.exists() or not glob.has_magic(str(path)):
            found = [path]
        else:
            found = [Path(name) for name in sorted(glob.glob(str(path))) if Path(name).is_file()]
            missing = "no file matches this pattern"
        if not found:
            hint = "give the folder that holds the wrappers, SAMPLE_300K.nxs and so on"
            raise SeriesNotFoundError(missing, file=path, hint=hint)
        paths += found
    series = [path for path in paths if not is_parent(path)]
    return list(dict.fromkeys(series or paths)), any(path.is_dir() for path in items)


def _series_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES and not is_parent(path)]


def _stacked(data: NexusData, signal: DatasetRef, dimension: int, options: OpenOptions) -> Series:
    check_rank(signal, data, (2, 3, 4))
    axes = complete_axes(data, signal, dimension)
    scan = axes[dimension]
    if options.scan is not None:
        scan = read_scan_axis(data, options.scan)
        check_length(scan, signal.shape[dimension], data)
    others = [axis for position, axis in enumerate(axes) if position != dimension]
    order = canonical_order(others)
    source, origin = stacked_source(signal, dimension, order, data.bounds)
    return Series(
        name=sample_name(data),
        scan=scan,
        axes=tuple(others[i] for i in order),
        source=source,
        rows=tuple(range(len(scan))),
        origin=origin,
        angles=data.angles,
        inputs=(data.file,),
        sample=sample_of(data, scan.name),
    )


def _per_temperature(
    paths: Sequence[Path], options: OpenOptions, bounds: Bounds, from_folder: bool, harm: str | None
) -> Series:
    volumes: list[Volume] = []
    bad: list[tuple[Path, XtecError]] = []
    for path in paths:
        try:
            if from_folder:
                bounds.check(path, path)
            if harm is not None:
                check_harmless(path, partial(_try, path, options, bounds))
            volumes.append(open_volume(path, options, bounds))
        except InputError as error:
            if from_folder and harm is None and is_stranger(path, options):
                logger.warning("%s holds no temperature of the series; passed over", path)
            else:
                bad.append((path, error))
    volumes, misfits = _agreeing(volumes)
    bad += misfits
    if bad and not (options.skip_bad and volumes):
        raise _unusable(bad, len(paths))
    if not volumes:
        raise SeriesNotFoundError("no temperatures found", file=paths[0].parent)
    for path, why in bad:
        logger.warning("%s dropped: %s", path, why)
    dropped = tuple(Dropped(str(path), why.what) for path, why in bad)
    return replace(series_of(volumes), dropped=dropped)


def _try(path: Path, options: OpenOptions, bounds: Bounds) -> None:
    """All that is going to be read of the headers of one file."""
    series_of([open_volume(path, options, bounds)])


def series_of(volumes: Sequence[Volume]) -> Series:
    """Volumes on one grid as a series, by rising value."""
    volumes = sorted(volumes, key=lambda volume: volume.value)
    first = volumes[0]
    order = canonical_order(first.axes)
    return Series(
        name=sample_name(first.data),
        scan=Axis(
            first.scan.name, np.concatenate([volume.scan.values for volume in volumes]), first.scan.units
        ),
        axes=tuple(first.axes[i] for i in order),
        source=PerTemperature(tuple(volume.signal for volume in volumes), order),
        rows=tuple(range(len(volumes))),
        origin=(0,) * len(order),
        angles=first.data.angles,
        inputs=tuple(volume.data.file for volume in volumes),
        sample=sample_of(first.data, first.scan.name),
    )


def _agreeing(volumes: list[Volume]) -> tuple[list[Volume], list[tuple[Path, XtecError]]]:
    """Split volumes into those on the commonest grid, without duplicates, and the rest with reasons."""
    if not volumes:
        return [], []
    common = Counter(volume.signal.shape for volume in volumes).most_common(1)[0][0]
    model = next(volume for volume in volumes if volume.signal.shape == common)
    good: dict[float, Volume] = {}
    bad: list[tuple[Path, XtecError]] = []
    for volume in volumes:
        value, what = volume.value, misfit(volume, model)
        if what is None and value in good:
            what = f"{value:g} {volume.scan.units} is there twice: also in {good[value].data.file.name}"
        if what is None:
            good[value] = volume
            continue
        bad.append((volume.data.file, InputError(what, file=volume.data.file, hdf5_path=volume.data.signal)))
    return list(good.values()), bad


def _unusable(bad: list[tuple[Path, XtecError]], total: int) -> XtecError:
    if total == 1:
        return bad[0][1]
    listed = "\n".join(f"  {path}: {error.what}" for path, error in bad)
    return InputError(
        f"{len(bad)} of {total} temperatures cannot be used\n{listed}",
        file=bad[0][1].file,
        hdf5_path=bad[0][1].hdf5_path,
        hint=bad[0][1].hint if len(bad) == total else "mend them, or go on without them with --skip-bad",
    )


def _checked(series: Series, options: OpenOptions) -> Series:
    """Refuse a series that cannot be clustered whatever the intensities are."""
    file, path = series.inputs[0], series.source.refs[0].path
    if options.skip_bad:
        series = _without_repeats(series)
    if len(series.scan) < 2:
        raise InputError(
            f"one {series.scan.name} only; trajectories need at least two",
            file=file,
            hdf5_path=path,
            hint="give the folder, or the files of all temperatures",
        )
    values, counts = np.unique(series.scan.values, return_counts=True)
    if values.size < len(series.scan) and not _turns_round(series.scan.values):
        twice = ", ".join(f"{value:g}" for value in values[counts > 1][:5])
        raise InputError(
            f"duplicate values of {series.scan.name}: {twice} {series.scan.units}".rstrip(),
            file=file,
            hdf5_path=path,
            hint="take the first of each with --skip-bad, or choose with --temperatures or --scan",
        )
    for axis in series.axes:
        steps = np.diff(axis.values)
        if not (np.all(steps > 0) or np.all(steps < 0)):
            raise AxisError(f"{axis.name} does not rise or fall steadily", file=file)
    return series


def _turns_round(values: NDArray[np.float64]) -> bool:
    """Whether a scan goes there and back: cooling and warming share values, but neither has one twice."""
    steps = np.sign(np.diff(values))
    n_runs = 1 + np.count_nonzero(steps[1:] != steps[:-1])
    return bool((steps != 0).all() and n_runs <= max(2, len(values) // _LEAST_RUN))


def _without_repeats(series: Series) -> Series:
    """The first row of each value of the scan; the others are noted as dropped."""
    first = np.zeros(len(series.scan), dtype=bool)
    first[np.unique(series.scan.values, return_index=True)[1]] = True
    file = str(series.inputs[0])
    repeats = [
        Dropped(file, f"{value:g} {series.scan.units} is there twice: row {row} left out")
        for row, value in zip(np.array(series.rows)[~first], series.scan.values[~first], strict=True)
    ]
    for one in repeats:
        logger.warning("%s: %s", file, one.reason)
    return replace(
        series,
        scan=series.scan[first],
        rows=tuple(row for row, keep in zip(series.rows, first, strict=True) if keep),
        dropped=(*series.dropped, *repeats),
    )
