"""Blocks of a series, one after the other; for other devices the next is read while one is worked on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.chunking import Block, block_shape
from xtec.core.device import Device, Host
from xtec.io import Series
from xtec_pipelines.streaming.readers import shared_reader


def feed(series: Series, blocks: Sequence[Block], device: Device) -> Iterator[tuple[Block, NDArray[Any]]]:
    """Read blocks, each into memory that is used again: a volume is good until the next is asked for.

    Parameters
    ----------
    series : Series
    blocks : sequence of Block
    device : Device
        Where they are worked on.

    Yields
    ------
    block : Block
    volume : array, shape (T, l, k, h)
        In memory that the device quickly takes uploads from.
    """
    largest = max(int(np.prod(block_shape(block), dtype=np.int64)) for block in blocks)
    n_buffers = 1 if isinstance(device, Host) else 2
    buffers = [device.buffer(series.n_temperatures * largest, series.dtype) for _ in range(n_buffers)]
    reader = shared_reader(series)

    def read(number: int) -> NDArray[Any]:
        shape = (series.n_temperatures, *block_shape(blocks[number]))
        volume = buffers[number % n_buffers][: int(np.prod(shape, dtype=np.int64))].reshape(shape)
        reader.read(blocks[number], out=volume)
        return volume

    if n_buffers == 1:
        for number, block in enumerate(blocks):
            yield block, read(number)
        return
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(read, 0)
        for number, block in enumerate(blocks):
            volume = coming.result()
            if number + 1 < len(blocks):
                coming = ahead.submit(read, number + 1)
            yield block, volume
