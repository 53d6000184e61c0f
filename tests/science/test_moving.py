"""Peaks that move with temperature are told from order, on simulated series whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xtec.core.order import OrderFindings
from xtec.io.run.clustered import read_clustered
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config
from xtec_pipelines.order_parameter import OrderConfig, find_order

TEMPERATURE = np.linspace(10.0, 300.0, 30)
TC, BACKGROUND, WIDTH = 120.0, 60.0, 1.3
"""Of the order, in K; counts; standard deviation of a peak, in voxels."""

PATTERN = {"q": np.arange(0.5, 8.5, 0.01)}
VOLUME = {
    "Ql": np.arange(-1.0, 1.001, 0.1),
    "Qk": np.arange(3.0, 5.001, 0.1),
    "Qh": np.arange(8.0, 10.001, 0.1),
}

Read = Callable[..., OrderFindings]


def peaks(axes: dict[str, np.ndarray], at: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Gaussians of one width at places (P, ndim)."""
    total = np.zeros([len(values) for values in axes.values()])
    for place, height in zip(at, heights, strict=True):
        factors = [
            np.exp(-((values - x) ** 2) / (2 * (WIDTH * (values[1] - values[0])) ** 2))
            for values, x in zip(axes.values(), place, strict=True)
        ]
        total += height * np.einsum("i,j,k->ijk" if len(factors) == 3 else "i->i", *factors)
    return total


def simulated(
    axes: dict[str, np.ndarray], expansion: float, order: float, seed: int = 0, beside: float = 0.0
) -> np.ndarray:
    """Counts (T, ...): Bragg peaks with d ln q/dT = -expansion, and order at fixed places below Tc.

    `beside` puts the order so many widths from Bragg peaks, in place of halfway between them.
    """
    rng = np.random.default_rng(seed)
    if len(axes) == 1:
        bragg = np.arange(1.0, 8.4, 0.6)[:, None] + rng.uniform(-0.1, 0.1, (13, 1))
        magnetic = bragg[3:9] + (beside * WIDTH * 0.01 or 0.3)
    else:
        bragg = np.stack(np.meshgrid([-1, 0, 1], [3, 4, 5], [8, 9, 10], indexing="ij"), -1).reshape(-1, 3)
        magnetic = bragg[bragg[:, 0] == 0] + ([0.0, 0.0, beside * WIDTH * 0.1] if beside else [0.0, 0.5, 0.5])
    strong, weak = rng.uniform(1500, 4000, len(bragg)), rng.uniform(600, 900, len(magnetic))
    shape = tuple(map(len, axes.values()))
    data = np.empty((len(TEMPERATURE), *shape), np.float32)
    for t, temperature in enumerate(TEMPERATURE):
        moved = bragg * (1 - expansion * (temperature - TEMPERATURE.mean()))
        depth = max(0.0, 1 - temperature / TC) ** 0.6
        mean = BACKGROUND + peaks(axes, moved, strong) + order * peaks(axes, magnetic, depth * weak)
        data[t] = rng.poisson(mean)
    return data


@pytest.fixture
def read(write_series: Callable[..., Path], tmp_path: Path) -> Read:
    """Write, cluster and read off: ``read(axes, expansion, order, seed=0, mode="d")``."""

    def run(axes: dict[str, np.ndarray], *truth: float, mode: str = "auto", **more: float) -> OrderFindings:
        series = write_series(simulated(axes, *truth, **more), {"temperature": TEMPERATURE, **axes})
        folder = tmp_path / "run"
        options = {"mode": mode, "figures": False}
        run_cluster(make_config({"inputs": [str(series)], "output": str(folder), **options}))
        return find_order(read_clustered(folder), OrderConfig(run=str(folder)))

    return run


SERIES = [pytest.param(PATTERN, "auto", id="1-D"), pytest.param(VOLUME, "d", id="3-D")]
EXPANSION = 1e-5


@pytest.mark.parametrize(("axes", "mode"), SERIES)
def test_expansion_is_named_and_is_no_order(read: Read, axes: dict[str, np.ndarray], mode: str) -> None:
    found = read(axes, EXPANSION, 0.0, mode=mode)
    assert not found.order_parameters
    assert len(found.moving) >= 2
    for one in found.moving:
        assert one.name == "peaks move (thermal expansion)"
        assert one.partners
        assert one.shift is not None
        assert one.shift.value == pytest.approx(-EXPANSION, rel=0.1)
        reason = next(other.reason for other in found.others if one.cluster in other.clusters)
        assert reason.startswith(one.name)


@pytest.mark.parametrize(("axes", "mode"), SERIES)
@pytest.mark.parametrize("beside", [0.0, 2.5])
def test_order_at_fixed_places_never_moves(
    read: Read, axes: dict[str, np.ndarray], mode: str, beside: float
) -> None:
    found = read(axes, 0.0, 1.0, mode=mode, beside=beside)
    assert not found.moving
    assert found.order_parameters
    for one in found.order_parameters:
        assert one.transitions[0].tc.value == pytest.approx(TC, abs=10)


@pytest.mark.parametrize(("axes", "mode"), SERIES)
def test_both_at_once(read: Read, axes: dict[str, np.ndarray], mode: str) -> None:
    found = read(axes, EXPANSION, 1.0, mode=mode)
    assert len(found.moving) >= 2
    assert all(one.name == "peaks move (thermal expansion)" for one in found.moving)
    moving = {one.cluster for one in found.moving}
    assert found.order_parameters
    for one in found.order_parameters:
        assert [each.tc.value for each in one.transitions] == [pytest.approx(TC, abs=10)]
        assert not set(one.clusters) & moving
