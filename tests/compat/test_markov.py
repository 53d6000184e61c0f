"""The matrix of label smoothing: the reference's entries, its kernel's closed form, the engine's averages."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from xtec.core.errors import ConfigError
from xtec.GMM import GMM_kernels
from xtec.mixture.smoothing import LocalKernel, PeriodicKernel, average, neighbourhood

REFERENCE = """
from xtec.GMM import GMM_kernels
cell = inputs["cell"] if "cell" in inputs else None
for name in ("plane", "volume"):
    for uniform in (False, True):
        made = GMM_kernels.Build_Markov_Matrix(
            inputs[name], float(inputs["length"]), str(inputs["kernel"]),
            None if cell is None else cell[: inputs[name].shape[1]], uniform, float(inputs["cutoff"]))
        made.sort_indices()
        for part in ("data", "indices", "indptr"):
            outputs[f"{name}.{uniform}.{part}"] = getattr(made, part)
"""


def voxels(*shape: int, share: float = 0.2) -> np.ndarray:
    return np.argwhere(np.random.default_rng(len(shape)).random(shape) < share)


VOXELS = {"plane": voxels(50, 41), "volume": voxels(8, 21, 19)}


@pytest.mark.parametrize(
    ("kernel", "length", "cell", "cutoff"),
    [
        ("local", 1, None, 1e-2),
        ("local", 2.3, None, 1e-2),
        ("local", 1, None, 0.3),
        ("local", 0.05, None, 1e-2),
        ("periodic", 0.2, (10, 7, 5), 1e-2),
        ("periodic", 0.05, (20, 20, 4), 1e-2),
        ("periodic", 0.3, (9.5, 6.25, 7.0), 0.1),
    ],
)
def test_entries_are_those_of_the_reference(
    kernel: str,
    length: float,
    cell: tuple[float, ...] | None,
    cutoff: float,
    reference: Callable[..., dict[str, np.ndarray]],
) -> None:
    settings = {"kernel": kernel, "length": length, "cutoff": cutoff, **({"cell": cell} if cell else {})}
    theirs = reference(REFERENCE, **VOXELS, **{name: np.array(value) for name, value in settings.items()})
    for name, index in VOXELS.items():
        for uniform in (False, True):
            shape = None if cell is None else np.array(cell)[: index.shape[1]]
            ours = GMM_kernels.Build_Markov_Matrix(index, length, kernel, shape, uniform, cutoff)
            assert ours.format == "csr"
            np.testing.assert_array_equal(ours.indptr, theirs[f"{name}.{uniform}.indptr"])
            np.testing.assert_array_equal(ours.indices, theirs[f"{name}.{uniform}.indices"])
            np.testing.assert_allclose(ours.data, theirs[f"{name}.{uniform}.data"], rtol=1e-9)
            np.testing.assert_allclose(ours.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("uniform", [False, True])
def test_local_entries_are_the_kernels(uniform: bool) -> None:
    index = VOXELS["volume"]
    squares = ((index[:, None] - index) ** 2).sum(axis=2)
    kernel = np.exp(-squares / 1.5**2)
    kernel = np.where(kernel > 1e-2, 1.0 if uniform else kernel, 0)
    matrix = GMM_kernels.Build_Markov_Matrix(index, 1.5, uniform_similarity=uniform).toarray()
    np.testing.assert_allclose(matrix, kernel / kernel.sum(axis=1, keepdims=True), atol=1e-14)


@pytest.mark.parametrize(("kernel", "length"), [("local", 1.7), ("periodic", 0.3)])
@pytest.mark.parametrize("uniform", [False, True])
def test_the_engine_averages_alike(kernel: str, length: float, uniform: bool) -> None:
    index, shape, cell = VOXELS["volume"], (8, 21, 19), (4, 7, 5)
    matrix = GMM_kernels.Build_Markov_Matrix(index, length, kernel, cell, uniform)
    shares = np.random.default_rng(0).dirichlet(np.ones(3), len(index))
    ours = (
        LocalKernel(length, not uniform) if kernel == "local" else PeriodicKernel(length, cell, not uniform)
    )
    flat = np.ravel_multi_index(tuple(index.T), shape)
    hood = neighbourhood(ours, shape, (((slice(0, 8), slice(0, 21), slice(0, 19)),),))
    np.testing.assert_allclose(average(hood, flat, shares), matrix @ shares, atol=1e-12)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kernel_type": "Local"},
        {"kernel_type": "periodic"},
        {"L_scale": 0},
        {"zero_cutoff": 0},
        {"zero_cutoff": 1},
    ],
)
def test_a_kernel_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        GMM_kernels.Build_Markov_Matrix(VOXELS["plane"], **wrong)
