"""What a plugin has learned, as a file of plain numbers and JSON: loading one never runs code."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import InputError
from xtec.core.memory import format_bytes

_FACTS = "facts"
"""Member that holds the JSON."""

_LARGEST = 2**30
"""Bytes that all arrays of a file may take."""

_KINDS = "biuf"
"""Of arrays: truth values, integers and real numbers."""

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

_DAMAGED = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, MemoryError),
    *(RuntimeError, zipfile.BadZipFile, zlib.error),
)
"""What reading bytes that are no state may lead to."""


@dataclass(frozen=True)
class State:
    """Arrays of numbers, and facts that JSON can hold.

    Attributes
    ----------
    arrays : mapping of str to array
    facts : mapping
    """

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        hashed = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode())
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            hashed.update(f"{name} {array.dtype.str} {array.shape}".encode())
            hashed.update(array.tobytes())
        return hashed.hexdigest()


@runtime_checkable
class Stateful(Protocol):
    """A plugin whose learned state can be kept and used again."""

    def get_state(self) -> State:
        """What was learned."""

    def set_state(self, state: State) -> None:
        """Go on with what was learned before, in place of fitting.

        Raises
        ------
        InputError
            If the state is of something else.
        """


def pack_state(name: str, state: State) -> bytes:
    """The state of the plugin of this name as the bytes of an npz file."""
    facts = json.dumps({"plugin": name, "facts": dict(state.facts)}).encode()
    buffer = BytesIO()
    arrays = {f"array/{key}": np.asarray(value) for key, value in state.arrays.items()}
    arrays[_FACTS] = np.frombuffer(facts, np.uint8)
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def load_state(name: str, path: str | Path) -> State:
    """Read the state of the plugin of this name.

    Raises
    ------
    InputError
        If the file is not one, is damaged or too large, or is of another plugin.
    """
    try:
        size = Path(path).stat().st_size
        if size > _LARGEST:
            raise InputError(f"the state of a plugin is too large: {format_bytes(size)}", file=path)
        return load_state_bytes(name, Path(path).read_bytes(), path)
    except FileNotFoundError:
        raise InputError("there is no such file of a plugin's state", file=path) from None
    except OSError as error:
        raise InputError(f"cannot read the state of a plugin ({error.strerror})", file=path) from error


def load_state_bytes(name: str, packed: bytes, path: str | Path | None = None) -> State:
    """The same from the bytes of a file; `path` is named in errors."""
    try:
        with zipfile.ZipFile(BytesIO(packed)) as archive:
            _check_size(archive, path)
            members = {one.filename.removesuffix(".npy"): archive.read(one) for one in archive.infolist()}
        held = json.loads(_array(members.pop(_FACTS)).tobytes())
        of, facts = held["plugin"], held["facts"]
        arrays = {key.removeprefix("array/"): _array(packed) for key, packed in members.items()}
    except InputError:
        raise
    except _DAMAGED as error:
        hint = "a state that was saved beside a run, in its folder plugins"
        raise InputError(f"this is no plugin's state ({error!r})", file=path, hint=hint) from error
    if of != name or not isinstance(facts, dict):
        raise InputError(f"this is the state of {of!r}, not of {name!r}", file=path)
    return State(arrays, facts)


def _check_size(archive: zipfile.ZipFile, path: str | Path | None) -> None:
    total = sum(one.file_size for one in archive.infolist())
    if total > _LARGEST:
        large = f"{format_bytes(total)} when unpacked, more than {format_bytes(_LARGEST)}"
        raise InputError(f"the state of a plugin is too large: {large}", file=path)


def _array(packed: bytes) -> NDArray[Any]:
    """An array of numbers; its header is compared with the bytes there are before anything is allocated."""
    buffer = BytesIO(packed)
    read_header = _HEADERS[np.lib.format.read_magic(buffer)]
    shape, by_columns, dtype = read_header(buffer)
    start = buffer.tell()
    if dtype.kind not in _KINDS or math.prod(shape) * dtype.itemsize != len(packed) - start:
        raise ValueError(f"an array of type {dtype} and shape {shape} in {len(packed) - start} bytes")
    values = np.frombuffer(packed, dtype, offset=start)
    return values.reshape(shape, order="F" if by_columns else "C").copy()
