"""What a file leads to is read where the user lets us, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from xtec.core.errors import InputError, SeriesNotFoundError
from xtec.io import OpenOptions, open_series
from xtec.io.arriving.arrivals import WatchedFolder

WriteSeries = Callable[..., Path]
DATA = "entry/data/data"
SHAPE = (4, 3, 5)
VALUES = np.random.default_rng(6).poisson(9.0, SHAPE).astype("f4")
OUTSIDE = r"(?s)outside the folder of the input.*in:  .*series\.nxs.*try: --allow-external"
ANYWHERE = OpenOptions(allow_external=True)


def store(path: Path) -> Path:
    """A file with the intensities."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["x"] = VALUES
    return path


def replaced(target: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[DATA]
        file[DATA] = target

    return change


def virtual(source: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        layout = h5py.VirtualLayout(SHAPE, "f4")
        layout[...] = h5py.VirtualSource(source, "x", SHAPE)
        del file[DATA]
        file["entry/data"].create_virtual_dataset("data", layout)

    return change


def raw_file(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[DATA]
        place = [(name, 0, h5py.h5f.UNLIMITED)]
        file["entry/data"].create_dataset("data", SHAPE, "f4", external=place)

    return change


def read(path: Path, options: OpenOptions | None = None) -> np.ndarray:
    series = open_series(path, options=options)
    return series.read(tuple(slice(0, size) for size in series.shape))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return store(tmp_path / "elsewhere" / "secret.h5")


def ways_out(kind: str, outside: Path, inside: Path) -> Callable[[h5py.File], None]:
    """How a file in the folder `inside` may lead to one outside."""
    relative = os.path.relpath(outside, inside)
    if kind == "absolute":
        return replaced(h5py.ExternalLink(str(outside), "/x"))
    if kind == "climbing":
        return replaced(h5py.ExternalLink(relative, "/x"))
    if kind == "by a soft link":
        return lambda file: (
            file["entry"].__setitem__("far", h5py.ExternalLink(relative, "/")),
            replaced(h5py.SoftLink("/entry/far/x"))(file),
        )[1]
    if kind == "symbolic link":
        (inside / "near.h5").symlink_to(outside)
        return replaced(h5py.ExternalLink("near.h5", "/x"))
    if kind == "symbolic folder":
        (inside / "near").symlink_to(outside.parent)
        return replaced(h5py.ExternalLink("near/secret.h5", "/x"))
    if kind == "in two steps":
        with h5py.File(inside / "step.h5", "w") as file:
            file["x"] = h5py.ExternalLink(relative, "/x")
        return replaced(h5py.ExternalLink("step.h5", "/x"))
    if kind == "virtual":
        return virtual(relative)
    assert kind == "virtual, in two steps"
    with h5py.File(inside / "step.h5", "w") as file:
        file["x"] = h5py.ExternalLink(relative, "/x")
    return virtual("step.h5")


WAYS = (
    *("absolute", "climbing", "by a soft link", "symbolic link", "symbolic folder", "in two steps"),
    *("virtual", "virtual, in two steps"),
)


@pytest.mark.parametrize("kind", WAYS)
def test_out_of_the_folder(write_series: WriteSeries, tmp_path: Path, outside: Path, kind: str) -> None:
    (tmp_path / "in").mkdir()
    path = write_series(VALUES, name="in/series.nxs", change=ways_out(kind, outside, tmp_path / "in"))
    with pytest.raises(InputError, match=OUTSIDE if "two" not in kind else "outside the folder"):
        open_series(path)
    np.testing.assert_array_equal(read(path, ANYWHERE), VALUES)


@pytest.mark.parametrize(
    "part", ["entry", "entry/data", "entry/data/Qh", "entry/sample", "entry/sample/name"]
)
def test_no_part_is_read_from_outside(write_series: WriteSeries, tmp_path: Path, part: str) -> None:
    other = write_series(VALUES, name="elsewhere/other.nxs")

    def change(file: h5py.File) -> None:
        del file[part]
        file[part] = h5py.ExternalLink("../elsewhere/other.nxs", f"/{part}")

    path = write_series(VALUES, name="in/series.nxs", change=change)
    assert other.exists()
    with pytest.raises(InputError, match=r"(?s)in:  .*series\.nxs.*try: --allow-external"):
        open_series(path)


def test_below_the_folder_and_back(write_series: WriteSeries, tmp_path: Path) -> None:
    """Layouts of NXRefine need no option: links down, and from there up again, stay in the folder."""
    store(tmp_path / "cubic" / "30K" / "f1.h5")
    with h5py.File(tmp_path / "cubic" / "30K" / "step.h5", "w") as file:
        file["x"] = h5py.ExternalLink("../30K/f1.h5", "/x")
    path = write_series(
        VALUES, name="cubic/series.nxs", change=replaced(h5py.ExternalLink("30K/step.h5", "/x"))
    )
    np.testing.assert_array_equal(read(path), VALUES)
    absolute = str(tmp_path / "cubic" / "30K" / "f1.h5")
    path = write_series(VALUES, name="cubic/series.nxs", change=replaced(h5py.ExternalLink(absolute, "/x")))
    np.testing.assert_array_equal(read(path), VALUES)


def test_a_file_that_is_named_may_be_a_symbolic_link(write_series: WriteSeries, tmp_path: Path) -> None:
    path = write_series(VALUES, name="elsewhere/series.nxs")
    (tmp_path / "named.nxs").symlink_to(path)
    np.testing.assert_array_equal(read(tmp_path / "named.nxs"), VALUES)


def test_a_file_that_is_found_must_be_in_the_folder(
    write_folder: Callable[..., Path], tmp_path: Path
) -> None:
    volumes = {f"{t}K": VALUES[:3] + t for t in (30, 40, 50)}
    folder = write_folder(volumes, temperatures={name: float(name[:-1]) for name in volumes})
    (tmp_path / "moved").mkdir()
    os.rename(folder / "Test_40K.nxs", tmp_path / "moved" / "Test_40K.nxs")
    (folder / "Test_40K.nxs").symlink_to(tmp_path / "moved" / "Test_40K.nxs")
    with pytest.raises(InputError, match="outside the folder of the input"):
        open_series(folder)
    assert len(open_series(folder, options=ANYWHERE).scan) == 3
    assert len(open_series(folder, options=OpenOptions(skip_bad=True)).scan) == 2


@pytest.mark.parametrize("target", ["/dev/zero", "pipe"])
def test_no_device_is_read_even_if_allowed(write_series: WriteSeries, tmp_path: Path, target: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = write_series(VALUES, change=replaced(h5py.ExternalLink(target, "/x")))
    with pytest.raises(InputError, match="device or a pipe"):
        open_series(path, options=ANYWHERE)


class TestRawFiles:
    """Values that HDF5 keeps in files of no format."""

    def test_any_file_would_do(self, write_series: WriteSeries) -> None:
        with pytest.raises(InputError, match=OUTSIDE):
            open_series(write_series(VALUES, change=raw_file("/etc/passwd")))

    def test_an_axis(self, write_series: WriteSeries) -> None:
        def change(file: h5py.File) -> None:
            del file["entry/data/Qh"]
            place = [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
            file["entry/data"].create_dataset("Qh", (5,), "u1", external=place)

        with pytest.raises(InputError, match="outside the folder of the input"):
            open_series(write_series(VALUES, change=change))

    @pytest.mark.parametrize(("size", "what"), [(None, "which is no file"), (100, "is cut short")])
    def test_missing_or_short(
        self, write_series: WriteSeries, tmp_path: Path, size: int | None, what: str
    ) -> None:
        """HDF5 gives zeros where such a file ends too early."""
        if size is not None:
            (tmp_path / "values.raw").write_bytes(VALUES.tobytes()[:size])
        path = write_series(VALUES, change=raw_file(str(tmp_path / "values.raw")))
        with pytest.raises(InputError, match=what):
            open_series(path)

    def test_whole(self, write_series: WriteSeries, tmp_path: Path) -> None:
        (tmp_path / "values.raw").write_bytes(VALUES.tobytes())
        path = write_series(VALUES, change=raw_file(str(tmp_path / "values.raw")))
        np.testing.assert_array_equal(read(path), VALUES)


def test_a_lost_source_is_no_zeros(write_series: WriteSeries) -> None:
    with pytest.raises(SeriesNotFoundError, match="does not exist"):
        open_series(write_series(VALUES, change=virtual("lost.h5")))


@pytest.mark.parametrize("allowed", [False, True])
def test_the_option(
    write_series: WriteSeries, tmp_path: Path, outside: Path, run_cli: Callable[..., object], allowed: bool
) -> None:
    (tmp_path / "in").mkdir()
    path = write_series(VALUES, name="in/series.nxs", change=ways_out("climbing", outside, tmp_path / "in"))
    option = ["--allow-external"] if allowed else []
    recipe = tmp_path / "recipe.toml"
    lines = [f'command = "inspect"\ninputs = ["{path}"]', f"allow_external = {str(allowed).lower()}"]
    recipe.write_text("\n".join(lines), encoding="utf-8")
    for call in (["inspect", path], ["stack", path, "--copy", "-o", tmp_path / "copy.nxs"]):
        assert run_cli(*call, *option).code == (0 if allowed else 3)
    assert run_cli("run", recipe).code == (0 if allowed else 3)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_watched_folder(write_folder: Callable[..., Path], tmp_path: Path, allowed: bool) -> None:
    folder = write_folder({"30K": VALUES}, temperatures={"30K": 30.0})
    os.rename(folder / "30K", tmp_path / "elsewhere")
    with h5py.File(folder / "Test_30K.nxs", "r+") as file:
        del file["entry/transform/data"]
        file["entry/transform/data"] = h5py.ExternalLink("../elsewhere/transform.nxs", "/entry/data/v")
    watched = WatchedFolder(folder, rest=0.0, options=OpenOptions(allow_external=allowed))
    for now in range(5):
        watched.look(float(now))
    status = watched.status()
    assert list(status.ready) == ([folder / "Test_30K.nxs"] if allowed else [])
    assert ["outside" in reason for reason in status.bad.values()] == ([] if allowed else [True])
