"""The same numbers in every type that a file may hold them in, and in every unit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

T, SHAPE = 10, (6, 12, 13)
D = ("--mode", "d", "--threshold", "none", "-k", 2)
SOME = ["<f2", ">f4", "|u1", ">u2", "<u8"]
ALL = [
    "<f2",
    ">f2",
    ">f4",
    "<f8",
    ">f8",
    "|u1",
    "|i1",
    "<u2",
    ">u2",
    "<i2",
    "<u4",
    ">i4",
    "<i8",
    ">i8",
    "<u8",
    ">u8",
]

Cluster = Callable[..., object]


@pytest.fixture
def counts(ordering: Callable[..., np.ndarray]) -> np.ndarray:
    """Whole numbers up to 127: every type holds them."""
    return np.clip(np.round(ordering(T, SHAPE) * 10) / 10, 0, 127).round()


@pytest.mark.parametrize("kinds", [SOME, pytest.param(ALL, marks=pytest.mark.campaign)], ids=["some", "all"])
def test_types_make_no_difference(cluster: Cluster, counts: np.ndarray, kinds: list[str]) -> None:
    expected = cluster(counts.astype("<f4"), *D)
    for number, kind in enumerate(kinds):
        told = cluster(counts.astype(kind), *D, name=f"as{number}")
        assert (told.map == expected.map).all(), kind
        assert told.summary["log_likelihood"] == expected.summary["log_likelihood"], kind


def test_extended_precision_is_read_as_double(cluster: Cluster, counts: np.ndarray) -> None:
    assert (cluster(counts.astype(np.longdouble), *D).map == cluster(counts, *D, name="f4").map).all()


@pytest.mark.parametrize("kind", [np.uint16, np.uint64, np.float16])
def test_the_largest_number_of_a_type(cluster: Cluster, counts: np.ndarray, kind: type) -> None:
    """Marks masked voxels: they are named, and do not keep the others from being clustered."""
    info = np.finfo(kind) if kind is np.float16 else np.iinfo(kind)
    marked = counts.astype(kind)
    marked[:, 4] = info.max
    told = cluster(marked, *D)
    assert f"{counts[0, 4].size} voxels have the highest intensity" in told.warnings
    assert sum(told.sizes) == np.count_nonzero((marked > 0).any(axis=0))


@pytest.mark.parametrize("kind", [bool, complex])
def test_what_is_no_number(cluster: Cluster, counts: np.ndarray, kind: type) -> None:
    told = cluster(counts.astype(kind))
    assert told.code == 3
    assert f"numbers were expected, not {np.dtype(kind)}" in told.message


MORE = (-60, -30, -7, 7, 30, 60)


@pytest.mark.parametrize(
    ("options", "powers"),
    [
        (("-k", 2), (-90, 80)),
        pytest.param(("-k", 2), MORE, marks=pytest.mark.campaign),
        pytest.param(D, (-90, 80, *MORE), marks=pytest.mark.campaign),
        pytest.param(
            ("--mode", "s", "-k", 2, "--threshold", "simple"), (-90, 80), marks=pytest.mark.campaign
        ),
    ],
)
def test_the_unit_of_intensity_makes_no_difference(
    cluster: Cluster,
    ordering: Callable[..., np.ndarray],
    options: tuple[object, ...],
    powers: tuple[int, ...],
) -> None:
    """A power of two is exact, so the map is the same bit for bit, and Tc is to the fit's own precision."""
    data = ordering(T, SHAPE).astype(np.float64)
    expected = cluster(data, *options, order=True)
    for power in powers:
        told = cluster(data * 2.0**power, *options, order=True, name=f"times{power}")
        assert (told.map == expected.map).all(), power
        assert told.summary["n_kept"] == expected.summary["n_kept"]
        assert told.summary["log_likelihood"] == expected.summary["log_likelihood"]
        assert told.tc == pytest.approx(expected.tc, abs=0.05), power
    assert expected.tc, "a Tc to compare"


@pytest.mark.parametrize("factor", [1e-60, 1e60])
def test_a_unit_that_is_far_off(cluster: Cluster, counts: np.ndarray, factor: float) -> None:
    told = cluster(counts.astype(np.float64) * factor)
    assert told.code == 3
    assert "beyond 1e-30 to 1e+30" in told.message
    assert "another unit" in told.message


def test_a_unit_that_is_nearly_too_far_off(cluster: Cluster, ordering: Callable[..., np.ndarray]) -> None:
    """Where only peaks are too bright nothing is said of order without a warning."""
    told = cluster(ordering(T, SHAPE).astype(np.float64) * 1e29, "-k", 2)
    assert "voxels are left out: intensities are beyond" in told.warnings
