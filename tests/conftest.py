"""Fixtures: the command line in-process, small series on disk, measured data, and the reference package."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import settings

from xtec.core.backend import open_cuda
from xtec.core.device import Device, Other
from xtec.core.errors import BackendUnavailableError

settings.register_profile("compiled", deadline=None)
settings.load_profile("compiled")
"""The first call of a kernel compiles it."""

LOGGERS = ("xtec", "xtec_pipelines")

os.environ.pop("COLUMNS", None)  # what is shown is wide where no terminal is, whoever starts the tests
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)
_ENVIRONMENT = dict(os.environ)

_WRAPPER = """
import sys
import numpy as np
with np.load(sys.argv[1]) as stored:
    inputs = dict(stored)
outputs = {}
exec(compile(open(sys.argv[3], encoding="utf-8").read(), sys.argv[3], "exec"))
np.savez(sys.argv[2], **outputs)
"""


@pytest.fixture(autouse=True, scope="module")
def _own_environment() -> Iterator[None]:
    """Dask leaves behind what its workers were started with, and programs would inherit it."""
    yield
    for name in os.environ.keys() - _ENVIRONMENT.keys() - {"PYTEST_CURRENT_TEST"}:
        del os.environ[name]
    os.environ.update(_ENVIRONMENT)


@pytest.fixture
def reference(tmp_path: Path) -> Callable[..., dict[str, np.ndarray]]:
    """Run a script in the reference package's own environment: ``inputs`` in, ``outputs`` back."""
    python = os.environ.get("XTEC_REFERENCE_PYTHON")
    if not python or not Path(python).exists():
        pytest.skip("XTEC_REFERENCE_PYTHON names no Python with the reference package")

    def run(script: str, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        folder = tmp_path / "reference"
        folder.mkdir(exist_ok=True)
        np.savez(folder / "in.npz", **arrays)
        (folder / "script.py").write_text(script, encoding="utf-8")
        files = [str(folder / name) for name in ("in.npz", "out.npz", "script.py")]
        environment = {**os.environ, "MPLBACKEND": "agg"}
        done = subprocess.run(
            [python, "-I", "-c", _WRAPPER, *files],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, f"the reference failed:\n{done.stderr}"
        with np.load(files[1], allow_pickle=False) as stored:
            return dict(stored)

    return run


@pytest.fixture(params=["array_api_strict", pytest.param("cupy", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Device:
    """Where kernels work on arrays that are not NumPy's: the standard to the letter, and a GPU where one is.

    Arrays on the strict library's second device refuse to become NumPy arrays by themselves, as a GPU's do.
    """
    if request.param == "array_api_strict":
        return Other("array_api_strict", "device1")
    try:
        return open_cuda()
    except BackendUnavailableError as error:
        pytest.skip(error.what)


@pytest.fixture(scope="session")
def validation_data() -> Path:
    """Folder of measured series, not part of the project."""
    folder = os.environ.get("XTEC_VALIDATION_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("XTEC_VALIDATION_DATA names no folder of measured series")
    return Path(folder)


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Outcome]]:
    """Run ``xtec`` with the given arguments in this process."""
    root = logging.getLogger()
    before, levels = list(root.handlers), {name: logging.getLogger(name).level for name in LOGGERS}

    def run(*arguments: object) -> Outcome:
        from xtec_cli.main import main

        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    yield run
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers[:] = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
saved = []
def interrupt(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith("mixture.npy"):
        saved.append(True)
    elif event == "open" and saved == [True]:
        saved.append("told")
        signal.raise_signal(signal.NUMBER)
sys.addaudithook(interrupt)
"""


@pytest.fixture
def interrupted() -> Callable[[str], str]:
    """Code before a command that makes it get a signal (by name) once it has saved something of its run."""
    return lambda number: INTERRUPTED.replace("NUMBER", number)


def grid(*shape: int) -> dict[str, np.ndarray]:
    """Axes of a volume: the last of Ql, Qk, Qh, a tenth of a reciprocal lattice unit a step."""
    names = ("Ql", "Qk", "Qh")[-len(shape) :]
    return {name: np.arange(size) / 10 - 0.5 for name, size in zip(names, shape, strict=True)}


def write_data(group: h5py.Group, signal: object, axes: dict[str, np.ndarray], **storage: object) -> None:
    """An NXdata; the signal is an array or a link."""
    group.attrs["NX_class"] = "NXdata"
    group.attrs["signal"] = "data"
    group.attrs["axes"] = list(axes)
    if isinstance(signal, np.ndarray):
        group.create_dataset("data", data=signal, **storage)
    else:
        group["data"] = signal
    for name, values in axes.items():
        group[name] = values
        group[name].attrs["units"] = "r.l.u." if name.startswith("Q") else "K"


def new_group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    """A group of a NeXus class."""
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    return group


@pytest.fixture
def write_series(tmp_path: Path) -> Callable[..., Path]:
    """Write a stacked series: ``write_series(data, axes=None, name=..., change=None, **storage)``.

    `axes` (by name, in the order of the dimensions) default to 10, 20, ... K and a grid; `change` is called
    with the open file at the end, to make it odd.
    """

    def write(
        data: np.ndarray,
        axes: dict[str, np.ndarray] | None = None,
        *,
        name: str = "series.nxs",
        change: Callable[[h5py.File], None] | None = None,
        **storage: object,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if axes is None:
            axes = {"temperature": 10.0 * np.arange(1, len(data) + 1), **grid(*data.shape[1:])}
        with h5py.File(path, "w") as file:
            entry = new_group(file, "entry", "NXentry")
            new_group(entry, "sample", "NXsample")["name"] = "Test"
            write_data(entry.create_group("data"), data, axes, **storage)
            if change is not None:
                change(file)
        return path

    return write


@pytest.fixture
def write_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write an NXRefine sample folder: ``write_folder({"30K": volume, ...}, temperatures={"30K": 30.0})``.

    Wrappers ``Test_30K.nxs`` link to ``30K/transform.nxs``; a scan that `temperatures` does not name has no
    temperature in its sample group.
    """

    def write(
        volumes: dict[str, np.ndarray],
        temperatures: dict[str, float] | None = None,
        *,
        folder: str = "cubic",
        groups: tuple[str, ...] = ("transform",),
        axes: dict[str, np.ndarray] | None = None,
        **storage: object,
    ) -> Path:
        top = tmp_path / folder
        for scan, volume in volumes.items():
            (top / scan).mkdir(parents=True, exist_ok=True)
            with h5py.File(top / f"Test_{scan}.nxs", "w") as file:
                entry = new_group(file, "entry", "NXentry")
                sample = new_group(entry, "sample", "NXsample")
                sample["name"] = "Test"
                if temperatures is not None and scan in temperatures:
                    sample["temperature"] = temperatures[scan]
                    sample["temperature"].attrs["units"] = "K"
                for factor, group in enumerate(groups, start=1):
                    link = h5py.ExternalLink(f"{scan}/{group}.nxs", "/entry/data/v")
                    write_data(entry.create_group(group), link, axes or grid(*volume.shape))
                    with h5py.File(top / scan / f"{group}.nxs", "w") as target:
                        data = new_group(new_group(target, "entry", "NXentry"), "data", "NXdata")
                        data.create_dataset("v", data=factor * volume, **storage)
        return top

    return write


@pytest.fixture
def ordering() -> Callable[..., np.ndarray]:
    """A small series with truth: ``ordering(n_temperatures, shape)`` gives (T, L, K, H) intensities.

    Background 1 with 5 % noise; peaks at every fourth voxel of each axis, the even ones steady at 100, the
    odd ones an order parameter below the middle of 10, 20, ... K.
    """

    def make(n_temperatures: int = 8, shape: tuple[int, ...] = (6, 12, 13), seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        data = rng.normal(1.0, 0.05, (n_temperatures, *shape))
        temperature = 10.0 * np.arange(1, n_temperatures + 1)
        middle = 5.0 * n_temperatures + 5.0
        order = 1 + 100 * np.sqrt(np.clip(1 - temperature / middle, 0, None))
        on_grid = np.stack(np.meshgrid(*(np.arange(n) // 2 for n in shape), indexing="ij")).sum(axis=0)
        at_peak = np.all(np.indices(shape) % 4 == 2, axis=0)
        data[:, at_peak & (on_grid % 4 == 1)] *= 100
        data[:, at_peak & (on_grid % 4 == 3)] *= order[:, None]
        return data.astype(np.float32)

    return make
