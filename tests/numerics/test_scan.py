"""Scans from two temperatures to thousands, in any order and unit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

D = ("--mode", "d", "--threshold", "none", "-k", 2)

Cluster = Callable[..., object]
Ordering = Callable[..., np.ndarray]


def temperatures(values: object) -> dict[str, np.ndarray]:
    """Axes of volumes of 4 x 8 x 9 voxels."""
    q = {name: np.arange(size) / 10 for name, size in (("Ql", 4), ("Qk", 8), ("Qh", 9))}
    return {"temperature": np.asarray(values, float), **q}


def orders(data: np.ndarray) -> np.ndarray:
    """Which voxels of `ordering` order: bright at first, background in the end."""
    return (data[0] > 20) & (data[-1] < 20)


@pytest.mark.parametrize(
    "n", [2, 4, 7, 300, *(pytest.param(n, marks=pytest.mark.campaign) for n in (3, 8, 50))]
)
def test_any_number_of_temperatures(cluster: Cluster, ordering: Ordering, n: int) -> None:
    data = ordering(n, (4, 8, 9))
    told = cluster(data, *D, order=n < 50)
    labels = told.map[orders(data)]
    assert (labels == labels[0]).all()
    assert (told.map == labels[0]).sum() == labels.size
    assert ("clusters tell what rises from what falls" in told.warnings) == (n < 4)
    if n < 8:
        assert told.tc == []
        assert "fewer than 8 temperatures" in told.summary["not_ordering"][0]["reason"]


@pytest.mark.campaign
@pytest.mark.parametrize("covariance", ["diag", "spherical"])
def test_two_thousand_temperatures(cluster: Cluster, ordering: Ordering, covariance: str) -> None:
    data = ordering(2000, (3, 7, 7))
    told = cluster(data, *D, "--covariance", covariance, "--n-init", 4)
    assert set(told.map[orders(data)]).isdisjoint(told.map[~orders(data)])


@pytest.mark.parametrize("covariance", ["full", pytest.param("tied", marks=pytest.mark.campaign)])
def test_more_temperatures_than_voxels(cluster: Cluster, ordering: Ordering, covariance: str) -> None:
    """Covariances that are singular: the floor keeps them, and the user is told."""
    data = ordering(200, (3, 7, 7))
    told = cluster(data, *D, "--covariance", covariance, "--n-init", 4)
    assert "trust their shapes, not widths" in told.warnings
    assert set(told.map[orders(data)]).isdisjoint(told.map[~orders(data)])


def test_one_temperature(cluster: Cluster, ordering: Ordering) -> None:
    told = cluster(ordering(8, (4, 8, 9))[:1])
    assert told.code == 3
    assert "one temperature only" in told.message


@pytest.mark.parametrize("options", [("-k", "1:3"), ("-k", 2, "--noise", "poisson")])
def test_noise_of_few_temperatures_is_not_guessed(
    cluster: Cluster, ordering: Ordering, options: tuple[object, ...]
) -> None:
    told = cluster(ordering(3, (4, 8, 9)), "--threshold", "none", *options)
    assert told.code == 3
    assert "too few to tell counting noise" in told.message


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ([10, 20, 30, 30, 40, 50, 60, 70, 80, 90], "duplicate values of temperature: 30 K"),
        ([50] * 10, "duplicate values of temperature: 50 K"),
        ([10, 20, np.nan, 40, 50, 60, 70, 80, 90, 100], "1 of 10 values of this axis are not finite"),
        ([10, 20, 30, 40, 50, 60, 70, 80, 90, np.inf], "1 of 10 values of this axis are not finite"),
    ],
)
def test_temperatures_that_are_none(
    cluster: Cluster, ordering: Ordering, values: list[float], what: str
) -> None:
    told = cluster(ordering(10, (4, 8, 9)), axes=temperatures(values))
    assert told.code == 3
    assert what in told.message


def test_order_of_temperatures_makes_no_difference(cluster: Cluster, ordering: Ordering) -> None:
    """Files come as they were measured: falling, or the points in between added later."""
    data, values = ordering(12, (4, 8, 9)), 10.0 * np.arange(1, 13)
    expected = cluster(data, *D, axes=temperatures(values), order=True)
    falling = cluster(data[::-1], *D, axes=temperatures(values[::-1]), order=True, name="falling")
    assert (falling.map == expected.map).all()
    assert falling.tc == pytest.approx(expected.tc, abs=0.05)
    tc = expected.summary["order_parameters"][0]["tc"]
    assert tc["low"] < 65 < tc["high"]


def test_zero_lies_within_the_scan(cluster: Cluster, ordering: Ordering) -> None:
    """As fields and strains do."""
    told = cluster(ordering(12, (4, 8, 9)), *D, axes=temperatures(10.0 * np.arange(-6, 6)), order=True)
    tc = told.summary["order_parameters"][0]["tc"]
    assert tc["low"] < -5 < tc["high"]


def test_uneven_steps(cluster: Cluster, ordering: Ordering) -> None:
    """The same intensities at the temperatures of a geometric scan: the onset is where they set in."""
    values = np.geomspace(5, 500, 14)
    data = ordering(14, (4, 8, 9))
    peaks = orders(data)
    data[:, peaks] = 1 + 100 * np.sqrt(np.clip(1 - values / 120, 0, None))[:, None]
    told = cluster(data, *D, axes=temperatures(values), order=True)
    assert told.tc == pytest.approx([120.0], rel=0.15)
