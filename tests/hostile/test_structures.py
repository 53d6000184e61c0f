"""Well-formed HDF5 that is odd or means harm: refused with file and path, before anything large is done."""

from __future__ import annotations

import os
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import netcdf_file

import xtec
from xtec.core.errors import InputError
from xtec.io import open_series
from xtec.io.hdf5.guard import fatality
from xtec.io.hdf5.tree import file_tree

WriteSeries = Callable[..., Path]
Change = Callable[[h5py.File], None]

DATA = "entry/data"
SHAPE = (4, 3, 4, 5)
RNG = np.random.default_rng(4)


def values(dtype: str = "f4") -> np.ndarray:
    return RNG.poisson(9.0, SHAPE).astype(dtype)


def put(file: h5py.File, name: str = "data", **how: object) -> h5py.Dataset:
    """Another dataset in the place of one of the series."""
    del file[DATA][name]
    return file[DATA].create_dataset(name, **how)


def signal(**how: object) -> Change:
    return lambda file: (put(file, **how), None)[1]


def attribute(name: str, value: object, at: str = DATA) -> Change:
    def change(file: h5py.File) -> None:
        file[at].attrs[name] = value

    return change


def axis(values: object, name: str = "Qh") -> Change:
    return lambda file: (put(file, name, data=values), None)[1]


def link(path: str, target: object) -> Change:
    def change(file: h5py.File) -> None:
        if path in file:
            del file[path]
        file[path] = target

    return change


def hard_circle(file: h5py.File) -> None:
    file[DATA]["data_"] = file["entry"]
    file["entry/around"] = file["/"]
    file[DATA].attrs["signal"] = "data_"


def soft_circle(file: h5py.File) -> None:
    del file[DATA]["data"]
    file[DATA]["data"] = h5py.SoftLink("other")
    file[DATA]["other"] = h5py.SoftLink("data")


def itself(file: h5py.File) -> None:
    """A virtual dataset whose source is the dataset itself."""
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[...] = h5py.VirtualSource(".", f"/{DATA}/data", SHAPE)
    del file[DATA]["data"]
    file[DATA].create_virtual_dataset("data", layout)


def in_part(file: h5py.File) -> None:
    """A virtual dataset that leaves out the last temperature."""
    file["entry/stored"] = values()[:3]
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[:3] = h5py.VirtualSource(".", "/entry/stored", (3, *SHAPE[1:]))
    del file[DATA]["data"]
    file[DATA].create_virtual_dataset("data", layout)


def damaged_chunk(file: h5py.File) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(SHAPE)
    properties.set_filter(1, h5py.h5z.FLAG_OPTIONAL, (4,))
    del file[DATA]["data"]
    made = h5py.h5d.create(
        file[DATA].id, b"data", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(SHAPE), properties
    )
    made.write_direct_chunk((0, 0, 0, 0), b"\0" * 99)


def packed_twice(file: h5py.File) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(SHAPE)
    for _ in range(2):
        properties.set_filter(1, 0, (9,))
    del file[DATA]["data"]
    made = h5py.h5d.create(
        file[DATA].id, b"data", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(SHAPE), properties
    )
    h5py.Dataset(made)[...] = 1


def bomb(file: h5py.File) -> None:
    """Ten to the eleventh zeros, as gzip has them, in a few chunks of many."""
    data = put(file, shape=(4, 2500, 2500, 4000), dtype="f4", chunks=(1, 50, 50, 100), compression="gzip")
    for row in range(4):
        data[row, :50, :50, :100] = 0


def never_allocated(n_voxels: int) -> Change:
    size = round((n_voxels / 4) ** (1 / 3))

    def change(file: h5py.File) -> None:
        data = put(file, shape=(4, size, size, size), dtype="f4", chunks=(1, 50, 50, 50), fillvalue=1)
        data[0, 0, 0, 0] = 2

    return change


def title_of(value: object) -> Change:
    def change(file: h5py.File) -> None:
        del file["entry/sample/name"]
        file["entry"].create_dataset("title", **value)

    return change


COMPOUND = np.zeros(SHAPE, [("real", "f4"), ("imag", "f4")])
ENUM = h5py.enum_dtype({"low": 0, "high": 1}, basetype="i2")

REFUSED: dict[str, tuple[Change, str]] = {
    "compound": (signal(data=COMPOUND), "numbers were expected"),
    "complex": (signal(data=values().astype("c8")), "numbers were expected"),
    "text": (signal(data=np.full(SHAPE, "5", "S4")), "numbers were expected"),
    "texts of any length": (signal(shape=SHAPE, dtype=h5py.string_dtype()), "numbers were expected"),
    "boolean": (signal(data=values() > 3), "numbers were expected"),
    "reference": (signal(shape=SHAPE, dtype=h5py.ref_dtype), "numbers were expected"),
    "opaque": (signal(data=np.zeros(SHAPE, "V6")), "numbers were expected"),
    "enum": (signal(shape=SHAPE, dtype=ENUM), "numbers were expected"),
    "a single number": (signal(data=5.0), "0 dimensions|1 dimensions"),
    "nothing": (signal(data=h5py.Empty("f4")), "has no voxels"),
    "no voxels": (signal(shape=(4, 0, 4, 5), dtype="f4"), "has no voxels"),
    "never written": (signal(shape=SHAPE, dtype="f4"), "no intensities written"),
    "never written, in chunks": (signal(shape=SHAPE, dtype="f4", chunks=True), "no intensities written"),
    "10^9 voxels": (never_allocated(10**9), "never written, or are one and the same"),
    "10^12 voxels": (never_allocated(10**12), "never written, or are one and the same"),
    "a bomb of zeros": (bomb, "never written, or are one and the same"),
    "packed twice": (packed_twice, "compressed more than once"),
    "damaged chunk": (damaged_chunk, "cannot read the intensities \\("),
    "hard links in circles": (hard_circle, "a dataset was expected"),
    "soft links in circles": (soft_circle, "links go in circles"),
    "dangling soft link": (link(f"{DATA}/data", h5py.SoftLink("/nowhere")), "nothing at this path"),
    "dangling external link": (link(f"{DATA}/data", h5py.ExternalLink("no.h5", "/x")), "does not exist"),
    "virtual, of itself": (itself, "virtual datasets go in circles"),
    "virtual, in part": (in_part, "has no source for 60 of its values"),
    "signal is a group": (attribute("signal", "/entry/sample"), "nothing at this path|is missing"),
    "signal climbs": (attribute("signal", "../sample/name"), "is missing"),
    "signal is empty": (attribute("signal", h5py.Empty("S1")), "is missing"),
    "signal is no text": (attribute("signal", b"\xff\xfe"), "is missing"),
    "signal is a table": (attribute("signal", COMPOUND[0, 0]), "is missing"),
    "signal is numbers": (attribute("signal", np.arange(7)), "is missing"),
    "axes of wrong length": (axis(np.arange(99.0)), "99 values where the signal has 5"),
    "axis with NaN": (axis([0.0, 1, 2, np.nan, 4]), "not finite"),
    "axis with infinity": (axis([0.0, 1, 2, np.inf, 4]), "not finite"),
    "axis back and forth": (axis([0.0, 1, 2, 1, 4]), "does not rise or fall"),
    "axis repeated": (axis([0.0, 1, 1, 2, 4]), "does not rise or fall"),
    "temperatures repeated": (axis([1.0, 2, 2, 3], "temperature"), "duplicate values"),
    "temperatures with NaN": (axis([1.0, 2, np.nan, 3], "temperature"), "not finite"),
    "axis of texts": (axis(["a", "b", "c", "d", "e"]), "list of numbers"),
    "axis is a group": (link(f"{DATA}/Qh", h5py.SoftLink("/entry")), "is missing"),
    "axis of 10^12": (
        lambda file: (put(file, "Qh", shape=(10**12,), dtype="f8", chunks=(100,)), None)[1],
        "values are declared",
    ),
    "too many axes": (attribute("axes", ["Ql"] * 9), "9 axes for a signal of 4"),
    "axes are numbers": (attribute("axes", np.arange(4.0)), "is missing"),
    "angles are texts": (attribute("angles", "acute"), "are not numbers"),
    "default in circles": (
        lambda file: (attribute("default", "a", "/")(file), link("a", h5py.SoftLink("/a"))(file))[1],
        "links go in circles",
    ),
    "class of another kind": (attribute("NX_class", np.arange(3), "entry/data"), "no NXdata"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(write_series: WriteSeries, run_cli: Callable[..., object], kind: str) -> None:
    change, what = REFUSED[kind]
    path = write_series(values(), change=change, name="odd.nxs")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=rf"(?s)({what}).*in:  .*(odd\.nxs|no\.h5)"):
            xtec.open_series(path).compute()
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
    if "intensities \\(" not in what:
        outcome = run_cli("inspect", path)
        assert outcome.code == 3, outcome.stderr
        assert "odd.nxs" in outcome.stderr


def test_a_run_of_what_cannot_be_read(
    write_series: WriteSeries, run_cli: Callable[..., object], tmp_path: Path
) -> None:
    path = write_series(values(), change=damaged_chunk, name="odd.nxs")
    outcome = run_cli("cluster", path, "-o", tmp_path / "run", "--no-figures")
    assert outcome.code == 3, outcome.stderr
    assert "odd.nxs:/entry/data/data" in outcome.stderr
    assert not (tmp_path / "run" / "results.nxs").exists()


FINE: dict[str, Change] = {
    "class that is no text": attribute("NX_class", b"\xff\xfe", "entry/sample"),
    "empty class": attribute("NX_class", h5py.Empty("S1"), "entry/sample"),
    "default that leads nowhere": attribute("default", "../../nowhere", "/"),
    "units of bytes": attribute("units", b"\xe5ngstr\xf6m", f"{DATA}/Qh"),
    "a large attribute": attribute("history", np.zeros(2000), DATA),
    "falling axes": axis([4.0, 3, 2, 1, 0]),
    "title of no length": title_of({"data": h5py.Empty("S1")}),
    "title that is a reference": title_of({"shape": (), "dtype": h5py.ref_dtype}),
    "links outside that nobody asks for": link("entry/more", h5py.ExternalLink("/etc/passwd", "/")),
    "a device that nobody asks for": link("entry/more", h5py.ExternalLink("/dev/zero", "/")),
}


@pytest.mark.parametrize("kind", FINE)
def test_odd_but_fine(write_series: WriteSeries, kind: str) -> None:
    data = values()
    series = open_series(write_series(data, change=FINE[kind]))
    assert series.name.isprintable()
    assert file_tree(series.inputs[0])
    read = series.read(tuple(slice(0, size) for size in series.shape))
    np.testing.assert_array_equal(read, data)


def test_names_are_not_text(write_series: WriteSeries) -> None:
    def change(file: h5py.File) -> None:
        h5py.h5g.create(file["entry/sample"].id, b"\xff\xfe")
        h5py.h5g.create(file["entry"].id, b"\xc3(\x1b[31m")

    path = write_series(values(), change=change)
    assert open_series(path).sample.name == "Test"
    assert all(line.isprintable() for line in file_tree(path))


def test_names_for_a_terminal(write_series: WriteSeries) -> None:
    """Escape sequences and lines of one's own in a name stay out of sight."""

    def change(file: h5py.File) -> None:
        del file["entry/sample/name"]
        file["entry/sample/name"] = "Pd\x1b]0;owned\x07\nexit code 0" + "x" * 10_000

    series = open_series(write_series(values(), change=change))
    assert series.name.isprintable()
    assert len(series.name) <= 200


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_deep_and_wide(tmp_path: Path, version: str) -> None:
    """A thousand groups within each other, and a hundred thousand side by side."""
    path = tmp_path / "deep.nxs"
    with h5py.File(path, "w", libver=version) as file:
        place = file
        for _ in range(1000):
            place = place.create_group("g")
        wide = file.create_group("aaa")
        for number in range(100_000):
            wide.id.links.create_soft(b"%d" % number, b"/g")
    with pytest.raises(InputError, match="no NXdata"):
        open_series(path)
    with pytest.raises(InputError, match="no NXdata"):
        open_series(path, options=xtec.io.OpenOptions(entry="/aaa"))
    assert file_tree(path)


def test_a_user_block(write_series: WriteSeries, tmp_path: Path) -> None:
    data = values()
    plain = write_series(data)
    with h5py.File(tmp_path / "block.nxs", "w", userblock_size=1024) as file, h5py.File(plain) as source:
        source.copy("entry", file)
    series = open_series(tmp_path / "block.nxs")
    np.testing.assert_array_equal(series.to_xarray().values, data)


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("intensity.npy", b"cos\nsystem\n(S'true'\ntR.")
        archive.writestr("temperature.npy", b"")


def _npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.arange(3))


def _netcdf(path: Path) -> None:
    with netcdf_file(path, "w") as file:
        file.createDimension("T", 3)
        file.createVariable("data", "f4", ("T",))[:] = 1


OTHER: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("T, I\n", encoding="utf-8"),
    "zip": _zip,
    "pickle": lambda path: path.write_bytes(b"\x80\x04\x95cos\nsystem\n."),
    "npz": _npz,
    "classic NetCDF": _netcdf,
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "later superblock": lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n\x09" + bytes(600)),
}


@pytest.mark.parametrize("suffix", [".nxs", ".npz"])
@pytest.mark.parametrize("kind", OTHER)
def test_another_kind_of_file(tmp_path: Path, run_cli: Callable[..., object], kind: str, suffix: str) -> None:
    path = tmp_path / f"odd{suffix}"
    OTHER[kind](path)
    outcome = run_cli("inspect", path)
    assert outcome.code == 3, outcome.stderr
    assert path.name in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("storage", [{}, {"compression": "lzf"}], ids=["past HDF5", "through HDF5"])
def test_chunks_that_were_never_written_are_missing(
    write_series: WriteSeries, storage: dict[str, str]
) -> None:
    """A temperature of which a part was never stored has no zeros there."""
    data = values()

    def change(file: h5py.File) -> None:
        stored = put(file, shape=SHAPE, dtype="f4", chunks=(1, 3, 4, 2), **storage)
        stored[...] = data
        del file[DATA]["data"]
        stored = file[DATA].create_dataset("data", SHAPE, "f4", chunks=(1, 3, 4, 2), **storage)
        stored[0] = data[0]
        stored[1:, :, :, :4] = data[1:, :, :, :4]

    series = open_series(write_series(data, change=change))
    expected = data.copy()
    expected[1:, :, :, 4:] = np.nan
    everything = tuple(slice(0, size) for size in series.shape)
    for raw in (True, False):
        with series.reader(raw=raw) as reader:
            np.testing.assert_array_equal(reader.read(everything), expected)
            part = (slice(1, 3), slice(0, 4), slice(3, 5))
            np.testing.assert_array_equal(reader.read(part), expected[:, 1:3, :, 3:5])


def test_whole_numbers_cannot_be_missing(write_series: WriteSeries) -> None:
    def change(file: h5py.File) -> None:
        put(file, shape=SHAPE, dtype="u2", chunks=(1, *SHAPE[1:]))[:3] = values("u2")[:3]

    path = write_series(values("u2"), change=change)
    with pytest.raises(InputError, match="1 of 4 chunks were never written"):
        xtec.open_series(path).compute()


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="copies on Linux only")


class TestGuard:
    """What ends a process ends a copy of it."""

    def test_what_comes_back(self) -> None:
        assert fatality(lambda: 1) is None
        assert fatality(lambda: 1 / 0) is None

    @pytest.mark.parametrize("tight", [False, True])
    @on_linux
    def test_what_is_short_of_memory(self, monkeypatch: pytest.MonkeyPatch, tight: bool) -> None:
        """Under the user's own limit a crash, or want of memory, need not be the file's fault."""
        monkeypatch.setattr("xtec.io.hdf5.guard.CPU_SECONDS", (1.0, 0.0))
        monkeypatch.setattr("xtec.io.hdf5.guard._is_tight", lambda: tight)

        def want() -> None:
            raise MemoryError

        assert fatality(want) == (None if tight else "HDF5 asks for too much memory")
        with pytest.raises(MemoryError, match="ulimit") if tight else nullcontext():
            assert fatality(os.abort) == "HDF5 crashes on it (SIGABRT)"

    @on_linux
    def test_what_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("xtec.io.hdf5.guard.CPU_SECONDS", (1.0, 0.0))

        def for_ever() -> None:
            while True:
                pass

        assert fatality(for_ever) == "HDF5 does not come to an end with it"
        assert fatality(lambda: np.ones(2**40)) == "HDF5 asks for too much memory"
        assert fatality(os.abort) == "HDF5 crashes on it (SIGABRT)"
