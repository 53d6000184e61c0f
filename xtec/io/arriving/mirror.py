"""Local copies of temperatures that arrive one by one, so that each is read from its file once.

A copy holds the region that is wanted, uncompressed and in one piece: the quickest to read again. It appears
whole or not at all, and knows which version of the data it is of.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import h5py
import numpy as np

from xtec.core.axes import Region
from xtec.core.errors import InputError, OutputError
from xtec.io.arriving.readiness import Signature
from xtec.io.disk.atomic import clear_temporaries
from xtec.io.hdf5.locate import locate
from xtec.io.hdf5.output import check_room, new_hdf5
from xtec.io.reading.open import series_of
from xtec.io.reading.series import PerTemperature, Series
from xtec.io.reading.volume import Volume

_DATASET = "/data"
_BLOCK_BYTES = 64 * 2**20


class Mirror:
    """Copies of the temperatures of one series.

    Parameters
    ----------
    folder : Path
        See `prepare`.
    region : mapping, optional
        What of each volume is copied.
    """

    def __init__(self, folder: Path, region: Region | None = None) -> None:
        self.folder = folder
        self.region = region
        self._held: dict[float, Signature] = {}

    def prepare(self) -> None:
        """Make the folder, and delete what was being copied when a process ended.

        Raises
        ------
        OutputError
            If that is not possible.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            clear_temporaries(self.folder)
        except OSError as error:
            raise OutputError(f"cannot make this folder ({error.strerror})", file=self.folder) from error

    def known(self) -> dict[float, Signature]:
        """The copies there are, by temperature; those of another region, or damaged ones, are deleted."""
        found = {}
        for path in sorted(self.folder.glob("*.h5")):
            try:
                with h5py.File(path, "r", locking=False) as file:
                    attributes = file[_DATASET].attrs
                    region, of = json.loads(attributes["region"]), json.loads(attributes["signature"])
                    value = float(attributes["value"])
                signature = Signature(**of)
            except (OSError, KeyError, ValueError, TypeError):
                path.unlink(missing_ok=True)
                continue
            if region == self._asked:
                found[value] = signature
            else:
                path.unlink()
        self._held = dict(found)
        return found

    def version(self, value: float) -> Signature | None:
        """Which version of a temperature there is a copy of; None if there is none."""
        held = self._held.get(value)
        return held if held is not None and self._path(value).exists() else None

    def take(self, volume: Volume, signature: Signature) -> None:
        """Copy the data of a temperature, in place of an earlier version.

        Raises
        ------
        InputError
            If the file can no longer be read.
        OutputError
            If there is no room for a copy.
        """
        series = series_of([volume]).crop(self.region)
        self.prepare()
        try:
            with new_hdf5(self._path(volume.value)) as file:
                copy = file.create_dataset(_DATASET, series.shape, series.dtype)
                for block, values in _blocks(series):
                    copy[block] = values
                    check_room(copy)
                copy.attrs["value"] = volume.value
                copy.attrs["region"] = json.dumps(self._asked)
                copy.attrs["signature"] = json.dumps(asdict(signature))
        except OutputError:
            raise
        except OSError as error:
            raise OutputError(f"cannot copy a temperature ({error})", file=self.folder) from error
        self._held[volume.value] = signature

    def stand_in(self, series: Series) -> Series:
        """The same series, read from the copies."""
        refs = tuple(locate(self._path(float(value)), _DATASET) for value in series.scan.values)
        for ref in refs:
            if ref.shape != series.shape:
                raise InputError(f"a copy of shape {ref.shape} in a series of {series.shape}", file=ref.file)
        return replace(
            series,
            source=PerTemperature(refs, tuple(range(len(series.shape)))),
            rows=tuple(range(len(refs))),
            origin=(0,) * len(series.shape),
        )

    @property
    def _asked(self) -> dict[str, list[float | None]]:
        """The region as JSON has it."""
        return {name: [*map(_plain, bounds)] for name, bounds in sorted((self.region or {}).items())}

    def _path(self, value: float) -> Path:
        return self.folder / f"{value!r}.h5"


def _plain(bound: float) -> float | None:
    return float(bound) if np.isfinite(bound) else None


def _blocks(series: Series) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    with series.reader() as reader:
        for block in series.blocks(_BLOCK_BYTES):
            yield block, reader.read(block)[0]
