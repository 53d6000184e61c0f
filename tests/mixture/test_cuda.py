"""CUDA kernels against the compiled loops and the plain sums.

Without a GPU the same source is compiled for the host, where fibres take the parts of threads: see
`cuda_on_host`. That shows what is computed, and that threads wait for each other where they must; not how
fast it is, nor how a card rounds.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import pickle
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from xtec.core.arrays import home
from xtec.core.backend import open_cuda
from xtec.core.errors import BackendUnavailableError
from xtec.core.types import CovarianceType
from xtec.mixture import cuda
from xtec.mixture.cuda import CudaModel, Shape, fits, n_tasks
from xtec.mixture.em import PlainModel, responsibilities
from xtec.mixture.fused import Frame, FusedModel
from xtec.mixture.parameters import MixtureParameters

HERE = Path(__file__).parent / "cuda_on_host"
FLAGS = ["-std=c++17", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", f"-I{HERE}"]
DTYPES = [np.float32, np.float64]

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}
"""As of the compiled loops: rounding of a ln density of some tens, in the precision of the data."""


class Emulator:
    """Compiles kernels for the host, and runs them in place of those of a card."""

    def __init__(self, folder: Path) -> None:
        self.backwards = False
        self._folder = folder
        self._libraries: dict[str, ctypes.CDLL] = {}
        self._compile("-O2", "-c", HERE / "run.cpp", "-o", folder / "run.o")

    def _compile(self, *arguments: object) -> None:
        call = ["g++", *FLAGS, *map(str, arguments)]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def _library(self, source: str, options: tuple[str, ...]) -> ctypes.CDLL:
        key = hashlib.sha256(repr((source, options)).encode()).hexdigest()
        if key not in self._libraries:
            text, made = self._folder / f"{key}.cu", self._folder / f"{key}.so"
            text.write_text(source, encoding="utf-8")
            linked = ["-shared", "-Wl,-Bsymbolic", HERE / "kernels.cpp", self._folder / "run.o", "-o", made]
            self._compile("-O1", f'-DSOURCE="{text}"', *options, *linked)
            self._libraries[key] = ctypes.CDLL(str(made))
            self._libraries[key].run.restype = ctypes.c_char_p
        return self._libraries[key]

    def raw_kernel(
        self, source: str, name: str, options: tuple[str, ...], *, shared_bytes: int = 0
    ) -> Callable[..., None]:
        library = self._library(source, options)

        def launch(grid: int, block: int, arguments: list[object]) -> None:
            for output in arguments[5:]:  # so that what is left out is found
                output.fill(np.nan if output.dtype.kind == "f" else -1)
            values = [
                ctypes.c_void_p(one.ctypes.data) if isinstance(one, np.ndarray) else ctypes.c_longlong(one)
                for one in arguments
            ]
            pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(one) for one in values))
            fault = library.run(
                getattr(library, f"call_{name}"), pointers, grid, block, shared_bytes, int(self.backwards)
            )
            assert fault is None, fault.decode()

        return launch


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    if shutil.which("g++") is None:
        pytest.skip("there is no g++ to compile the kernels for the host")
    return Emulator(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def emulator(compiled: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Kernels run on the host, as on a card with one multiprocessor."""
    monkeypatch.setattr(cuda, "raw_kernel", compiled.raw_kernel)
    monkeypatch.setattr(cuda, "n_multiprocessors", lambda array: 1)
    compiled.backwards = False
    return compiled


@pytest.fixture(params=["host", pytest.param("card", marks=pytest.mark.gpu)])
def put(request: pytest.FixtureRequest) -> Iterator[Callable[[np.ndarray], object]]:
    """Where kernels run: takes arrays there, in the memory order they have."""
    if request.param == "host":
        request.getfixturevalue("emulator")
        yield lambda rows: rows
        return
    try:
        device = open_cuda()
    except BackendUnavailableError as error:
        pytest.skip(error.what)
    with device.stream():
        yield device.upload


def mixture(rng, k, t, covariance_type=CovarianceType.DIAG):
    """A mixture whose components overlap."""
    variances = {
        CovarianceType.DIAG: rng.uniform(0.6, 1.6, (k, t)),
        CovarianceType.SPHERICAL: rng.uniform(0.8, 1.2, k),
        CovarianceType.SHARED: rng.uniform(0.5, 2, t),
    }[covariance_type]
    return MixtureParameters(
        rng.dirichlet(10 * np.ones(k)), rng.standard_normal((k, t)) / np.sqrt(t), variances, covariance_type
    )


def rows_of(rng, parameters, n):
    which = rng.choice(parameters.n_components, n, p=parameters.weights)
    spread = np.sqrt(parameters.variances())[which]
    return parameters.means[which] + spread * rng.standard_normal((n, parameters.n_features))


def both(parameters, dtype, frame=None):
    """The model of the kernels, and that of the compiled loops."""
    frame = frame or Frame.of_mixture(parameters)
    return CudaModel(parameters, frame, dtype), FusedModel(parameters, frame, dtype)


def assert_same_sums(found, expected, n, tolerance):
    """Moments are of the size of their weight, in the frame; a ln density is of the size of T."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    weight = np.maximum(expected[:-1, :1], 1e-3 * n)
    np.testing.assert_allclose(found[:-1] / weight, expected[:-1] / weight, rtol=0, atol=4 * tolerance)
    np.testing.assert_allclose(found[-1], expected[-1], rtol=tolerance, atol=tolerance * n)


def assert_plain(model, parameters, rows, sums, tolerance):
    """Moments and likelihood are those of the plain model, in float64."""
    moments, log_likelihood = model.expectation(sums, len(rows))
    centre = rows.mean(axis=0, dtype=np.float64)
    plain, total = PlainModel(parameters, centre)(rows)
    width = np.sqrt(parameters.variances().mean(axis=0))
    np.testing.assert_allclose(moments.weight, plain.weight, rtol=tolerance, atol=tolerance)
    some = plain.weight > 1e-3
    np.testing.assert_allclose(
        ((moments.mean - centre) / width)[some], (plain.mean / width)[some], rtol=tolerance, atol=tolerance
    )
    np.testing.assert_allclose(
        moments.scatter / width**2, plain.scatter / width**2, rtol=tolerance, atol=tolerance * len(rows)
    )
    size = max(1.0, abs(total) / len(rows))
    assert log_likelihood == pytest.approx(total / len(rows), abs=tolerance * size)


SIZES = [
    (1, 1, 1),
    (31, 1, 5),
    (33, 2, 24),
    (1, 4, 24),
    (1000, 4, 24),
    (4000, 4, 24),  # several tiles a block
    (1000, 3, 2),
    (1000, 5, 9),
    (700, 8, 23),
    (500, 6, 40),
    (300, 16, 24),
    (300, 17, 30),
    (65, 2, 110),
    (300, 4, 110),
    (33, 17, 110),
    (100, 32, 4),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "k", "t"), SIZES)
def test_sums_are_those_of_the_compiled_loops_and_the_plain_ones(put, n, k, t, dtype):
    rng = np.random.default_rng([n, k, t])
    parameters = mixture(rng, k, t)
    rows = np.asfortranarray(rows_of(rng, parameters, n).astype(dtype))
    model, loops = both(parameters, dtype)
    sums = model.sums(put(rows))
    rounding = TOLERANCE[dtype] * (1 + t / 20)  # a ln density sums t terms
    assert_same_sums(sums, loops.sums(rows), n, rounding)
    assert_plain(model, parameters, rows, sums, rounding)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "k", "t"), SIZES)
def test_labels_are_those_of_the_compiled_loops(put, n, k, t, dtype):
    rng = np.random.default_rng([n, k, t])
    parameters = mixture(rng, k, t)
    rows = np.asfortranarray(rows_of(rng, parameters, n).astype(dtype))
    model, loops = both(parameters, dtype)
    label, probability = map(home, model.predict(put(rows)))
    assert (label.dtype, probability.dtype, label.shape) == (np.int16, np.float32, (n,))
    np.testing.assert_allclose(probability, loops.predict(rows)[1], rtol=1e-5 * (1 + t / 20))
    share, _ = responsibilities(rows.astype(np.float64), parameters)
    np.testing.assert_allclose(share[np.arange(n), label], share.max(axis=1), rtol=1e-5 * (1 + t / 20))


@pytest.mark.parametrize("covariance_type", [CovarianceType.SPHERICAL, CovarianceType.SHARED])
def test_any_diagonal_type_will_do(put, covariance_type):
    rng = np.random.default_rng(1)
    parameters = mixture(rng, 4, 24, covariance_type)
    rows = rows_of(rng, parameters, 400).astype(np.float32)
    model, loops = both(parameters, np.float32)
    assert_same_sums(model.sums(put(rows)), loops.sums(rows), 400, 1e-5)


def test_no_rows_add_nothing(put):
    parameters = mixture(np.random.default_rng(0), 3, 5)
    model, loops = both(parameters, np.float32)
    none = np.empty((0, 5), np.float32)
    np.testing.assert_array_equal(model.sums(put(none)), loops.sums(none))
    label, probability = map(home, model.predict(put(none)))
    assert (label.dtype, label.shape, probability.dtype, probability.shape) == (
        np.int16,
        (0,),
        np.float32,
        (0,),
    )


def thrice(rows):
    return np.concatenate([rows - 7, rows, rows + 7], axis=1)


LAYOUTS = {
    "rows together": (np.ascontiguousarray, lambda there: there),
    "every other row": (lambda rows: np.repeat(rows, 2, axis=0), lambda there: there[::2]),
    "every other row of columns": (
        lambda rows: np.asfortranarray(np.repeat(rows, 2, axis=0)),
        lambda there: there[1::2],
    ),
    "part of the columns": (thrice, lambda there: there[:, 7:14]),
    "backwards": (lambda rows: np.ascontiguousarray(rows[::-1, ::-1]), lambda there: there[::-1, ::-1]),
    "a part": (lambda rows: np.asfortranarray(np.concatenate([rows[:9] + 7, rows])), lambda there: there[9:]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_order_does_not_matter(put, layout, dtype):
    rng = np.random.default_rng(0)
    parameters = mixture(rng, 3, 7)
    rows = np.asfortranarray(rows_of(rng, parameters, 700).astype(dtype))
    store, view = LAYOUTS[layout]
    model, _ = both(parameters, dtype)
    there = view(put(store(rows)))
    np.testing.assert_array_equal(model.sums(there), model.sums(put(rows)))
    for found, expected in zip(model.predict(there), model.predict(put(rows)), strict=True):
        np.testing.assert_array_equal(home(found), home(expected))


@pytest.mark.parametrize(
    "odd",
    [
        lambda rows: np.broadcast_to(rows[0], rows.shape),
        lambda rows: np.rec.fromarrays([rows, np.zeros(rows.shape, np.int8)])["f0"],
        lambda rows: np.round(4 * rows).astype(np.int32),
    ],
    ids=["one for all", "field of records", "integers"],
)
def test_odd_arrays_are_taken_too(emulator, odd):
    rng = np.random.default_rng(0)
    parameters = mixture(rng, 3, 7)
    rows = odd(rows_of(rng, parameters, 500).astype(np.float32))
    model, _ = both(parameters, np.float32)
    plain = np.ascontiguousarray(rows, np.float32)
    np.testing.assert_array_equal(model.sums(rows), model.sums(plain))


def test_data_of_another_precision_are_worked_on_in_that_of_the_model(put):
    rng = np.random.default_rng(0)
    parameters = mixture(rng, 3, 7)
    rows = rows_of(rng, parameters, 500).astype(np.float32)
    model, _ = both(parameters, np.float64)
    np.testing.assert_array_equal(model.sums(put(rows)), model.sums(put(rows.astype(np.float64))))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_component_without_weight_gets_nothing(put, dtype):
    rng = np.random.default_rng(3)
    whole = mixture(rng, 3, 4)
    parameters = MixtureParameters(
        np.array([0.4, 0.0, 0.6]), whole.means, whole.covariances, whole.covariance_type
    )
    rows = rows_of(rng, parameters, 700).astype(dtype)
    model, loops = both(parameters, dtype)
    sums = model.sums(put(rows))
    np.testing.assert_array_equal(sums[[1, 3]], 0)  # and nor does the one that fills them up
    assert_same_sums(sums, loops.sums(rows), 700, TOLERANCE[dtype])
    assert set(home(model.predict(put(rows))[0])) == {0, 2}


@pytest.mark.parametrize("far", [1e8, 1e20, 1e30])
def test_a_component_out_of_sight_does_no_harm(put, far):
    rng = np.random.default_rng(4)
    parameters = mixture(rng, 3, 4)
    rows = rows_of(rng, parameters, 700).astype(np.float32)
    frame = Frame.of(rows.mean(axis=0, dtype=np.float64), rows.var(axis=0, dtype=np.float64))
    means = parameters.means.copy()
    means[1] = far
    lost = MixtureParameters(parameters.weights, means, parameters.covariances, parameters.covariance_type)
    model, loops = both(lost, np.float32, frame)
    sums = model.sums(put(rows))
    np.testing.assert_array_equal(sums[1], 0)
    assert_same_sums(sums, loops.sums(rows), 700, 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_far_away_belong_to_the_nearest_component_whole(put, dtype):
    parameters = MixtureParameters(
        np.array([0.5, 0.5]), np.array([[0.0], [1.0]]), np.full((2, 1), 1e-4), CovarianceType.DIAG
    )
    rows = np.array([[1e6], [-1e6], [0.0], [1.0]], dtype)
    model, loops = both(parameters, dtype)
    sums = model.sums(put(rows))
    np.testing.assert_allclose(sums, loops.sums(rows), rtol=1e-6)
    np.testing.assert_array_equal(sums[:2, 0], [2, 2])
    label, probability = map(home, model.predict(put(rows)))
    np.testing.assert_array_equal(label, [1, 0, 0, 1])
    np.testing.assert_array_equal(probability, 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [2, 5])
def test_of_components_alike_the_first_is_taken(put, k, dtype):
    rng = np.random.default_rng(5)
    one = mixture(rng, 1, 6)
    parameters = MixtureParameters(
        np.full(k, 1 / k),
        np.repeat(one.means, k, axis=0),
        np.repeat(one.covariances, k, axis=0),
        CovarianceType.DIAG,
    )
    rows = rows_of(rng, parameters, 100).astype(dtype)
    label, probability = map(home, both(parameters, dtype)[0].predict(put(rows)))
    np.testing.assert_array_equal(label, 0)
    np.testing.assert_allclose(probability, 1 / k, rtol=1e-6)


def test_an_offset_costs_single_precision_nothing_but_the_digits_of_the_data(put):
    rng = np.random.default_rng(6)
    parameters = mixture(rng, 3, 4)
    rows = (rows_of(rng, parameters, 2000) + 4096).astype(np.float32)
    moved = MixtureParameters(
        parameters.weights, parameters.means + 4096, parameters.covariances, parameters.covariance_type
    )
    model, _ = both(moved, np.float32)
    assert_plain(model, moved, rows, model.sums(put(rows)), 1e-5)


@pytest.mark.parametrize("scale", [2.0**-100, 2.0**100])
def test_the_unit_does_not_matter(put, scale):
    rng = np.random.default_rng(7)
    here = mixture(rng, 3, 4)
    rows = rows_of(rng, here, 300).astype(np.float32)
    there = MixtureParameters(
        here.weights, here.means * scale, here.covariances * scale**2, here.covariance_type
    )
    one, other = both(here, np.float32)[0], both(there, np.float32)[0]
    scaled = rows * np.float32(scale)
    assert_same_sums(other.sums(put(scaled)), one.sums(put(rows)), 300, 1e-6)


def test_rounding_adds_no_noise_to_the_likelihood(put):
    """In single precision: parameters that differ a little differ in likelihood as they should."""
    rng = np.random.default_rng(8)
    parameters, n = mixture(rng, 4, 24), 5000
    rows = np.asfortranarray(rows_of(rng, parameters, n).astype(np.float32))
    frame, errors = Frame.of_mixture(parameters), []
    for step in range(10):
        nearby = MixtureParameters(
            parameters.weights,
            parameters.means + 1e-5 * step,
            parameters.covariances,
            parameters.covariance_type,
        )
        single, double = CudaModel(nearby, frame, np.float32), FusedModel(nearby, frame, np.float64)
        low, high = single.expectation(single.sums(put(rows)), n), double.expectation(double.sums(rows), n)
        errors.append(low[1] - high[1])
    assert np.std(errors) < 1e-7  # as the compiled loops: 5e-8 over four times the rows


def test_a_model_can_be_sent_to_other_processes(put):
    rng = np.random.default_rng(9)
    parameters = mixture(rng, 3, 4)
    rows = put(rows_of(rng, parameters, 100).astype(np.float32))
    model, _ = both(parameters, np.float32)
    sums = model.sums(rows)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model.sums))(rows), sums)


@pytest.mark.parametrize(("k", "t", "dtype"), [(4, 24, np.float32), (5, 9, np.float64)])
def test_the_order_in_which_threads_come_does_not_matter(emulator, k, t, dtype):
    rng = np.random.default_rng(10)
    parameters = mixture(rng, k, t)
    rows = np.asfortranarray(rows_of(rng, parameters, 4000).astype(dtype))
    model, _ = both(parameters, dtype)
    sums, predicted = model.sums(rows), model.predict(rows)
    emulator.backwards = True
    np.testing.assert_array_equal(model.sums(rows), sums)
    for found, expected in zip(model.predict(rows), predicted, strict=True):
        np.testing.assert_array_equal(found, expected)


BARRIERS = [found.start() for found in re.finditer(re.escape("__syncthreads();"), cuda.source())]


@pytest.mark.parametrize("number", range(len(BARRIERS)))
def test_a_barrier_left_out_would_be_noticed(emulator, monkeypatch, number):
    """Every barrier is needed, and the emulation shows it in one order of threads or the other."""
    rng = np.random.default_rng(11)
    parameters = mixture(rng, 4, 24)
    rows = np.asfortranarray(rows_of(rng, parameters, 4000).astype(np.float32))
    model, _ = both(parameters, np.float32)
    sums, text, at = model.sums(rows), cuda.source(), BARRIERS[number]
    monkeypatch.setattr(cuda, "source", lambda: text[:at] + text[at + len("__syncthreads();") :])
    outcomes = []
    for emulator.backwards in (False, True):
        outcomes.append(np.array_equal(model.sums(rows), sums))
    assert not all(outcomes)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("__syncthreads();", "if (threadIdx.x) __syncthreads();", "never come"),
        (
            "__syncthreads();",
            "if (threadIdx.x)\n__syncthreads();\nelse\n__syncthreads();",
            "different places",
        ),
        ("tile[i] = 0;", "tile[i % 8 + 49152 / sizeof(REAL)] = 0;", "beyond the shared memory"),
    ],
)
def test_the_emulation_refuses_what_a_card_would_not_stand(emulator, monkeypatch, right, wrong, message):
    text = cuda.source().replace(right, wrong, 1)
    monkeypatch.setattr(cuda, "source", lambda: text)
    model, _ = both(mixture(np.random.default_rng(0), 4, 5), np.float32)
    with pytest.raises(AssertionError, match=message):
        model.sums(np.zeros((10, 5), np.float32))


@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("k", range(2, 33, 2))
def test_work_is_divided_within_the_limits_of_any_card(k, itemsize):
    for t in range(4, 400, 4):
        if not fits(k, t, f"f{itemsize}"):
            continue
        shape = Shape.of(k, t, itemsize)
        assert shape.shared_bytes == (k + t) * shape.rows * itemsize <= 48 * 1024
        assert shape.threads <= 256
        assert shape.blocks >= 1
        assert shape.blocks * shape.threads <= 1024


def test_the_usual_size_keeps_every_warp_at_work():
    shape = Shape.of(4, 24, 4)
    assert n_tasks(4, 24) % shape.warps == 0
    assert (shape.warps, shape.each, shape.blocks) == (6, 2, 4)


@pytest.mark.parametrize(
    ("k", "t", "dtype", "expected"),
    [
        (1, 1, "f4", True),
        (32, 24, "f4", True),
        (33, 24, "f4", False),
        (4, 380, "f4", True),
        (4, 381, "f4", False),
        (4, 188, "f8", True),
        (4, 189, "f8", False),
    ],
)
def test_what_fits(k, t, dtype, expected):
    assert fits(k, t, dtype) is expected


def nvrtc() -> ctypes.CDLL:
    """CUDA's compiler, from its wheel or the system's libraries."""
    folders = []
    for name in ("nvidia.cuda_nvrtc", "nvidia.cu13"):
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            continue
        folders += [Path(one) / "lib" for one in (found.submodule_search_locations if found else None) or []]
    for path in (*(one for folder in folders for one in sorted(folder.glob("libnvrtc.so.*"))), "libnvrtc.so"):
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            continue
    pytest.skip("NVRTC, which compiles CUDA kernels, is not installed")


def compile_for(architecture: int, options: tuple[str, ...]) -> bytes:
    """Machine code of the kernels for a card."""
    library, program, size = nvrtc(), ctypes.c_void_p(), ctypes.c_size_t()
    text = [one.encode() for one in (*options, f"--gpu-architecture=sm_{architecture}")]
    source = cuda.source().encode()
    assert library.nvrtcCreateProgram(ctypes.byref(program), source, b"em.cu", 0, None, None) == 0
    status = library.nvrtcCompileProgram(program, len(text), (ctypes.c_char_p * len(text))(*text))
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    assert status == 0, log.value.decode()
    library.nvrtcGetCUBINSize(program, ctypes.byref(size))
    code = ctypes.create_string_buffer(size.value)
    assert library.nvrtcGetCUBIN(program, code) == 0
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return code.raw


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [4, 8, 16])
@pytest.mark.parametrize("architecture", [80, 90])
def test_kernels_compile_for_cards(architecture, k, dtype):
    model, _ = both(mixture(np.random.default_rng(0), k, 24), dtype)
    code = compile_for(architecture, model.options)
    assert b"sum_tiles" in code
    assert b"label_rows" in code


@pytest.mark.parametrize(("k", "t"), [(1, 1), (3, 7), (17, 110)])
def test_kernels_compile_in_odd_sizes(k, t):
    model, _ = both(mixture(np.random.default_rng(0), k, t), np.float32)
    assert b"sum_tiles" in compile_for(90, model.options)
