"""Decoders against HDF5's own reading, and against damage of every kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from xtec.core.errors import InputError
from xtec.io.hdf5.decoding import Decoder, Filter, decoder_of, stored

CODECS: dict[str, dict[str, object]] = {
    "none": {},
    "shuffle": {"shuffle": True},
    "gzip": {"compression": "gzip"},
    "shuffle+gzip": {"compression": "gzip", "shuffle": True},
    "lz4": dict(hdf5plugin.LZ4()),
    "lz4 in blocks": dict(hdf5plugin.LZ4(nbytes=512)),
    "shuffle+lz4": {**hdf5plugin.LZ4(), "shuffle": True},
    "bitshuffle": dict(hdf5plugin.Bitshuffle()),
    "bitshuffle in blocks": dict(hdf5plugin.Bitshuffle(nelems=64)),
    **{
        f"blosc {codec} {shuffle}": dict(hdf5plugin.Blosc(codec, 5, shuffle))
        for codec in ("blosclz", "lz4", "lz4hc", "zlib", "zstd")
        for shuffle in (0, 1, 2)
    },
}
SERIAL: dict[str, dict[str, object]] = {
    "zstd": dict(hdf5plugin.Zstd()),
    "bitshuffle+zstd": dict(hdf5plugin.Bitshuffle(cname="zstd")),
    "bitshuffle alone": dict(hdf5plugin.Bitshuffle(cname="none")),
    "blosc2": dict(hdf5plugin.Blosc2()),
    "lzf": {"compression": "lzf"},
    "fletcher32": {"fletcher32": True},
    "gzip+fletcher32": {"compression": "gzip", "fletcher32": True},
}


def pipeline(dataset: h5py.Dataset) -> list[Filter]:
    properties = dataset.id.get_create_plist()
    steps = [properties.get_filter(i) for i in range(properties.get_nfilters())]
    return [Filter(code, tuple(values)) for code, _, values, _ in steps]


def one_chunk(path: Path, values: np.ndarray, storage: dict[str, object]) -> tuple[list[Filter], np.ndarray]:
    """The filters applied (Blosc leaves out what does not shrink) and the stored bytes of a single chunk."""
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", data=values, chunks=values.shape, **storage)
        file.flush()
        mask, content = dataset.id.read_direct_chunk((0,) * values.ndim)
        applied = [step for i, step in enumerate(pipeline(dataset)) if not mask >> i & 1]
        return applied, np.frombuffer(content, np.uint8).copy()


def counts(dtype: str, size: int) -> np.ndarray:
    return np.random.default_rng(size).poisson(5, size).astype(dtype)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dtype", ["u1", "<i2", ">u2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize("size", [1003, 4096])
def test_decoded_as_written(tmp_path: Path, codec: str, dtype: str, size: int) -> None:
    values = counts(dtype, size)
    filters, chunk = one_chunk(tmp_path / "a.h5", values, CODECS[codec])
    decode = decoder_of(filters)
    assert decode is not None
    out = np.empty(values.nbytes, np.uint8)
    decode(chunk, out)
    np.testing.assert_array_equal(out.view(dtype), values)


@pytest.mark.parametrize("codec", SERIAL)
def test_what_only_hdf5_can_undo(tmp_path: Path, codec: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("x", data=counts("<f4", 512), chunks=(512,), **SERIAL[codec])
        assert decoder_of(pipeline(dataset)) is None


def test_no_filters() -> None:
    assert decoder_of([]) is stored


@pytest.mark.parametrize(
    "filters", [[Filter(32008, (0, 4, 0, 0, 2))], [Filter(99999)], [Filter(1), Filter(2, (4,))]]
)
def test_odd_pipelines(filters: list[Filter]) -> None:
    assert decoder_of(filters) is None


@pytest.mark.parametrize("codec", CODECS)
def test_another_size_is_refused(tmp_path: Path, codec: str) -> None:
    values = counts("<f4", 1024)
    filters, chunk = one_chunk(tmp_path / "a.h5", values, CODECS[codec])
    decode = decoder_of(filters)
    assert decode is not None
    for n_bytes in (values.nbytes - 64, values.nbytes + 64):
        guarded = np.full(n_bytes + 64, 77, np.uint8)
        with pytest.raises(InputError):
            decode(chunk, guarded[:n_bytes])
        assert np.all(guarded[n_bytes:] == 77)


@pytest.mark.parametrize("codec", CODECS)
def test_cut_short(tmp_path: Path, codec: str) -> None:
    values = counts("<f4", 1024)
    filters, chunk = one_chunk(tmp_path / "a.h5", values, CODECS[codec])
    decode = decoder_of(filters)
    assert decode is not None
    for length in (0, 1, 11, 12, 15, 16, 20, chunk.size // 2, chunk.size - 1):
        with pytest.raises(InputError):
            decode(chunk[:length].copy(), np.empty(values.nbytes, np.uint8))


def damage(decode: Decoder, chunk: np.ndarray, n_bytes: int, seed: int) -> None:
    """Decode chunks with bytes changed, cut off or put in; only an InputError may come of it."""
    rng = np.random.default_rng(seed)
    guard = np.full(n_bytes + 4096, 77, np.uint8)
    for turn in range(400):
        bad = chunk[: rng.integers(1, chunk.size + 1)].copy() if turn % 3 == 0 else chunk.copy()
        where = rng.integers(0, min(bad.size, 64 if turn % 2 else bad.size), rng.integers(1, 8))
        bad[where] = rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))], where.size)
        try:
            decode(bad, guard[:n_bytes])
        except InputError:
            continue
        finally:
            assert np.all(guard[n_bytes:] == 77), "bytes were written behind the chunk"


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import numpy as np
from test_decoding import CODECS, counts, damage, decoder_of, one_chunk
for number, (name, storage) in enumerate(CODECS.items()):
    print(name, flush=True)
    values = counts("<f4", 3001)
    filters, chunk = one_chunk(Path(sys.argv[2]) / f"{number}.h5", values, storage)
    damage(decoder_of(filters), chunk, values.nbytes, number)
print("all")
"""


def test_damage_is_an_error_and_no_crash(tmp_path: Path) -> None:
    call = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, f"after {done.stdout.split()[-3:]}:\n{done.stderr[-2000:]}"
    assert done.stdout.split()[-1] == "all"
