"""Undoing HDF5 filters in threads: zlib and the C functions of hdf5plugin's libraries, without Python's lock.

HDF5 decompresses under a lock of its own, one chunk at a time whatever the number of threads. What is decoded
here has the layout that the filters write: a header with the sizes, big-endian except for Blosc's, then the
compressed blocks. A chunk that claims another size than it must have is refused before anything is decoded.
"""

from __future__ import annotations

import ctypes
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import InputError

Bytes = NDArray[np.uint8]
Decoder = Callable[[Bytes, Bytes], None]
"""Decodes the stored bytes of a chunk (first argument) into the chunk's own memory (second)."""

_GZIP, _SHUFFLE, _BLOSC, _LZ4, _BITSHUFFLE = 1, 2, 32001, 32004, 32008
_BITSHUFFLE_LZ4 = 2
_BITSHUFFLE_MULTIPLE = 8
"""Bitshuffle works on multiples of eight elements and stores the rest as they are."""
_MAX_BLOCK = 2**31 - 1
"""Block sizes are C ints."""


@dataclass(frozen=True)
class Filter:
    """One step of a dataset's filter pipeline: HDF5's number of it, and its parameters."""

    code: int
    values: tuple[int, ...] = ()


def decoder_of(filters: Sequence[Filter]) -> Decoder | None:
    """What undoes a filter pipeline in threads.

    Parameters
    ----------
    filters : sequence of Filter
        In the order in which they were applied.

    Returns
    -------
    Decoder or None
        `stored` where there are no filters; None where only HDF5 can read (Zstandard, LZF, checksums, or a
        library that is not there).
    """
    shuffled = bool(filters) and filters[0].code == _SHUFFLE
    codecs = filters[1:] if shuffled else filters
    if len(codecs) > 1:
        return None
    decode = _codec(codecs[0]) if codecs else stored
    if decode is None or not shuffled:
        return decode
    return partial(_unshuffled, decode, filters[0].values[0])


def stored(chunk: Bytes, out: Bytes) -> None:
    """Nothing to undo."""
    _expect(chunk.size, out)
    out[:] = chunk


def _codec(step: Filter) -> Decoder | None:
    if step.code == _GZIP:
        return _inflate
    if step.code == _LZ4:
        lz4 = _function("h5lz4", "LZ4_decompress_safe", ctypes.c_int, "ppii")
        return lz4 and partial(_lz4, lz4)
    if step.code == _BLOSC:
        blosc = _function("h5blosc", "blosc_decompress_ctx", ctypes.c_int, "ppni")
        return blosc and partial(_blosc, blosc)
    if step.code == _BITSHUFFLE and step.values[4:5] == (_BITSHUFFLE_LZ4,) and step.values[2]:
        unshuffle = _function("h5bshuf", "bshuf_decompress_lz4", ctypes.c_int64, "ppnnn")
        default = _function("h5bshuf", "bshuf_default_block_size", ctypes.c_size_t, "n")
        element = step.values[2]
        return unshuffle and default and partial(_bitshuffle, unshuffle, element, default(element))
    return None


@cache
def _function(library: str, name: str, result: Any, arguments: str) -> Any:
    """A C function of one of hdf5plugin's libraries; None if it has no such library or function."""
    import hdf5plugin

    kinds = {"p": ctypes.c_void_p, "n": ctypes.c_size_t, "i": ctypes.c_int}
    for path in Path(hdf5plugin.PLUGIN_PATH).glob(f"lib{library}.*"):
        try:
            function = getattr(ctypes.CDLL(str(path)), name)
        except (OSError, AttributeError):
            continue
        function.restype, function.argtypes = result, [kinds[letter] for letter in arguments]
        return function
    return None


def _unshuffled(decode: Decoder, element: int, chunk: Bytes, out: Bytes) -> None:
    """Undo HDF5's byte shuffle, which stores first bytes first, then second bytes, and so on."""
    planes = np.empty_like(out)
    decode(chunk, planes)
    elements = out.reshape(-1, element)
    for number, plane in enumerate(planes.reshape(element, -1)):  # five times as fast as one transposed copy
        elements[:, number] = plane


def _inflate(chunk: Bytes, out: Bytes) -> None:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(chunk.data, out.size + 1)
    except zlib.error as error:
        raise InputError(f"gzip: {error}") from error
    _expect(len(content), out)
    if not stream.eof:
        raise InputError("gzip: it ends too early")
    out[:] = np.frombuffer(content, np.uint8)


def _lz4(decompress: Any, chunk: Bytes, out: Bytes) -> None:
    total, block = _header(">QI", chunk)
    _expect(total, out)
    source, target = chunk.ctypes.data, out.ctypes.data
    position, done = 12, 0
    while done < total:
        length = min(block, total - done)
        (size,) = _header(">I", chunk, position)
        position += 4
        if not 0 < size <= chunk.size - position or max(size, length) > _MAX_BLOCK:
            raise InputError("LZ4: a block of impossible size")
        if size == length:
            out[done : done + length] = chunk[position : position + length]
        elif decompress(source + position, target + done, size, length) != length:
            raise InputError("LZ4: a block cannot be decompressed")
        position, done = position + size, done + length


def _bitshuffle(decompress: Any, element: int, default: int, chunk: Bytes, out: Bytes) -> None:
    total, block_bytes = _header(">QI", chunk)
    _expect(total, out)
    block = block_bytes // element or default
    n_elements = total // element
    if block % _BITSHUFFLE_MULTIPLE or n_elements * element != total:
        raise InputError("bitshuffle: a block of impossible size")
    _check_blocks(chunk, n_elements, element, block)
    if decompress(chunk.ctypes.data + 12, out.ctypes.data, n_elements, element, block) < 0:
        raise InputError("bitshuffle: a block cannot be decompressed")


def _check_blocks(chunk: Bytes, n_elements: int, element: int, block: int) -> None:
    """See that the blocks end where the chunk does: the library takes their sizes on trust."""
    whole, rest = divmod(n_elements, block)
    content, position = chunk.data, 12
    for _ in range(whole + (rest >= _BITSHUFFLE_MULTIPLE)):
        position += 4 + int.from_bytes(content[position : position + 4])
    if position + rest % _BITSHUFFLE_MULTIPLE * element > chunk.size:
        raise InputError("bitshuffle: it ends too early")


def _blosc(decompress: Any, chunk: Bytes, out: Bytes) -> None:
    total, _, size = _header("<4x3I", chunk)
    _expect(total, out)
    if size > chunk.size:
        raise InputError("Blosc: it ends too early")
    if decompress(chunk.ctypes.data, out.ctypes.data, out.size, 1) != out.size:
        raise InputError("Blosc: it cannot be decompressed")


def _header(layout: str, chunk: Bytes, position: int = 0) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, chunk.data, position)
    except struct.error as error:
        raise InputError("it ends too early") from error


def _expect(size: int, out: Bytes) -> None:
    if size != out.size:
        raise InputError(f"{size} bytes where a chunk has {out.size}")
