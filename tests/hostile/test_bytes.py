"""Files with damaged bytes: read, or refused with exit code 3; nothing else, whatever HDF5 does with them."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

ReadFiles = Callable[..., Mapping[Path, tuple[str, str]]]
WriteSeries = Callable[..., Path]

STORAGE: dict[str, dict[str, object]] = {
    "contiguous": {},
    "chunked": {"chunks": (1, 2, 2, 5)},
    "gzip": {"chunks": (2, 2, 2, 5), "compression": "gzip", "shuffle": True},
    "bitshuffle": {"chunks": (2, 3, 4, 5), **hdf5plugin.Bitshuffle()},
    "blosc": {"chunks": (2, 3, 4, 5), **hdf5plugin.Blosc()},
    "lzf+checksum": {"chunks": (2, 3, 4, 5), "compression": "lzf", "fletcher32": True},
}
VERSIONS = ("earliest", "latest")


def series(path: Path, storage: str, version: str) -> bytes:
    """A small good series in a version of the format."""
    with h5py.File(path, "w", libver=version) as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        sample = entry.create_group("sample")
        sample["name"] = "Test"
        sample["field"] = 3.0
        data = entry.create_group("data")
        data.attrs.update({"NX_class": "NXdata", "signal": "data", "axes": ["temperature", "Ql", "Qk", "Qh"]})
        values = np.random.default_rng(1).poisson(5.0, (4, 3, 4, 5)).astype("f4")
        data.create_dataset("data", data=values, **STORAGE[storage])
        for name, size in zip(("temperature", "Ql", "Qk", "Qh"), values.shape, strict=True):
            data[name] = 1.0 + np.arange(size)
            data[name].attrs["units"] = "K" if name == "temperature" else "rlu"
    return path.read_bytes()


def damaged(good: bytes, chance: random.Random) -> bytes:
    """One of: cut short, a stretch copied elsewhere, a stretch of zeros, some bytes or bits changed."""
    content = bytearray(good)
    kind, start = chance.random(), chance.randrange(len(good))
    if kind < 0.1:
        return bytes(content[:start])
    if kind < 0.25:
        length, source = chance.choice((1, 8, 64, 512)), chance.randrange(len(good))
        content[start : start + length] = content[source : source + length]
    elif kind < 0.35:
        length = chance.choice((2, 8, 16, 64))
        content[start : start + length] = bytes(len(content[start : start + length]))
    else:
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            place = chance.randrange(len(content))
            while content[place] == 0 and chance.random() < 0.8:
                place = chance.randrange(len(content))
            flipped = content[place] ^ (1 << chance.randrange(8))
            content[place] = chance.choice((0, 1, 127, 128, 255, flipped, chance.randrange(256)))
    return bytes(content)


def damaged_files(folder: Path, count: int, seed: int) -> Iterator[Path]:
    chance = random.Random(seed)
    kinds = [(storage, version) for storage in STORAGE for version in VERSIONS]
    good = {kind: series(folder / "good.h5", *kind) for kind in kinds}
    for number in range(count):
        kind = kinds[number % len(kinds)]
        path = folder / f"{number:05d}-{'-'.join(kind)}.nxs"
        path.write_bytes(damaged(good[kind], chance))
        yield path


def check(found: Mapping[Path, tuple[str, str]]) -> Counter[str]:
    faults = {path.name: verdict for path, verdict in found.items() if verdict[0] not in ("read", "refused")}
    assert not faults, "\n".join(f"{name}: {outcome}\n{detail}" for name, (outcome, detail) in faults.items())
    return Counter(outcome for outcome, _ in found.values())


@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_good_ones_are_good(tmp_path: Path, storage: str, version: str) -> None:
    from xtec.io import open_series

    series(tmp_path / "good.h5", storage, version)
    assert open_series(tmp_path / "good.h5").sample.name == "Test"


def test_some(tmp_path: Path, read_files: ReadFiles) -> None:
    counts = check(read_files(list(damaged_files(tmp_path, 48, seed=5))))
    assert counts["read"] >= 5
    assert counts["refused"] >= 5


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(5))
def test_many(
    tmp_path: Path, read_files: ReadFiles, seed: int, record_property: Callable[[str, object], None]
) -> None:
    counts = check(read_files(list(damaged_files(tmp_path, 600, seed=1000 + seed))))
    for outcome, number in counts.items():
        record_property(outcome, number)
    assert counts["read"] >= 100
    assert counts["refused"] >= 100


def test_what_makes_hdf5_go_round_for_ever_is_refused(tmp_path: Path, read_files: ReadFiles) -> None:
    """A free object of no length in the heap of texts: HDF5 steps over it by nothing, again and again."""
    content = bytearray(series(tmp_path / "good.h5", "contiguous", "latest"))
    heap = content.index(b"GCOL")
    _, _, size = struct.unpack_from("<HH4xQ", content, heap + 16)
    second = heap + 32 + -(-size // 8) * 8
    content[second : second + 16] = bytes(16)
    path = tmp_path / "endless.nxs"
    path.write_bytes(content)
    outcome, detail = read_files([path])[path]
    assert outcome == "refused"
    assert "damaged: HDF5 does not come to an end with it" in detail
    assert "endless.nxs" in detail


def test_each_length(tmp_path: Path, read_files: ReadFiles) -> None:
    """A transfer may stop anywhere."""
    good = series(tmp_path / "good.h5", "gzip", "latest")
    paths = []
    for length in range(0, len(good), len(good) // 23):
        paths.append(tmp_path / f"cut-{length}.nxs")
        paths[-1].write_bytes(good[:length])
    assert set(check(read_files(paths))) == {"refused"}
