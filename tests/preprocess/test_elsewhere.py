"""Masks, thresholds and rescaling on arrays that are not NumPy's, beside the compiled loops."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from xtec.core.arrays import home
from xtec.core.device import Device
from xtec.core.errors import InputError
from xtec.core.shards import Local
from xtec.core.types import Rescale
from xtec.preprocess import (
    Cells,
    CountScale,
    Judged,
    MaskRules,
    Tally,
    VoxelSums,
    find_significance,
    find_threshold,
    noise_of_rescaled,
    rescale,
    split_variation,
    usable_voxels,
    varying,
)

SHAPE = (6, 40, 50)
N_TEMPERATURES = 14


def volume(seed: int = 0) -> np.ndarray:
    """Counts on a background; peaks that fall with temperature; voxels that are empty or not a number."""
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.normal(2.0, 0.3, SHAPE))
    mean[:, ::10, ::10] *= 12
    course = np.linspace(1.4, 0.6, N_TEMPERATURES)[:, None, None, None]
    counts = rng.poisson(np.where(mean > 40, course, 1.0) * mean).astype(np.float32)
    counts[:, 0, 3, 5] = 0
    counts[4, 1, 2, 3] = np.nan
    counts[2, 1, 2, 4] = np.inf
    return counts


def usable(counts: np.ndarray) -> np.ndarray:
    """Trajectories (T, n) of voxels with intensity."""
    rows = counts.reshape(len(counts), -1)
    return rows[:, np.isfinite(rows).all(axis=0) & (rows.mean(axis=0) > 0)]


@pytest.mark.parametrize("rules", [MaskRules(), MaskRules(False, True), MaskRules(False, False, True)])
def test_the_same_voxels_are_usable(device: Device, rules: MaskRules) -> None:
    counts = volume()
    here, there = VoxelSums.of_volume(counts), VoxelSums.of_volume(device.upload(counts))
    assert there.n_temperatures == here.n_temperatures
    np.testing.assert_array_equal(home(there.total), here.total)
    np.testing.assert_array_equal(home(there.minimum), here.minimum)
    mine, theirs = usable_voxels(here, rules), usable_voxels(there, rules)
    assert theirs[1] == mine[1]
    np.testing.assert_array_equal(home(theirs[0]), mine[0])


def test_variation_is_split_the_same_way(device: Device) -> None:
    rows = usable(volume())
    mean = rows.mean(axis=0, dtype=np.float64)
    here = split_variation(rows, mean)
    there = home(split_variation(device.upload(rows), device.upload(mean)))
    for mine, theirs in zip(here, there, strict=True):
        assert theirs.dtype == np.float32
        np.testing.assert_allclose(theirs, mine, rtol=2e-4, atol=1e-5)  # differences of single precision


@pytest.mark.parametrize("method", ["kl", "simple", 2.5])
def test_the_same_cutoff(device: Device, method: str | float) -> None:
    logs = np.log(usable(volume()).mean(axis=0, dtype=np.float64))
    parts = np.array_split(logs, 5)
    here = find_threshold(Local(parts), method)
    there = find_threshold(Local([device.upload(part) for part in parts]), method)
    for one in fields(here):
        mine, theirs = getattr(here, one.name), getattr(there, one.name)
        if isinstance(mine, np.ndarray | float):
            np.testing.assert_allclose(theirs, mine, rtol=1e-9)
        else:
            assert theirs == mine


def test_the_quartiles_of_many_values(device: Device) -> None:
    values = np.random.default_rng(1).normal(size=600_000)  # more than may be sorted at once
    here = find_threshold(values, "kl")
    parts = [*np.array_split(values, 2), values[:0]]  # a shard may have nothing that can be judged
    for there in (device.upload(values), Local([device.upload(part) for part in parts])):
        assert find_threshold(there, "kl").cutoff == pytest.approx(here.cutoff, rel=1e-12)


def test_the_same_voxels_vary_significantly(device: Device) -> None:
    rows = usable(volume())
    cells = Cells(SHAPE)
    mean = rows.mean(axis=0, dtype=np.float64)
    cell = np.zeros(mean.size, np.uint8)
    found = []
    for place in (lambda array: array, device.upload):
        smooth, rough = split_variation(place(rows), place(mean))
        tally, judged = Tally(), Judged(place(np.log(mean)), smooth, place(cell))
        tally.add(judged.log_mean, rough, judged.cell)
        found.append((tally.table, find_significance(Local([judged]), tally, cells, len(rows), 0.01)))
    (table, here), (other, there) = found
    assert np.abs(table - other).sum() <= 1e-3 * table.sum()  # values on an edge between two bins
    assert there.cutoff == pytest.approx(here.cutoff, rel=0.02)
    assert there.scale == pytest.approx(here.scale, rel=1e-3)
    assert there.n_significant == pytest.approx(here.n_significant, abs=3)
    assert here.n_significant > 100


@pytest.mark.parametrize("how", list(Rescale))
def test_rescaled_trajectories_are_the_same(device: Device, how: Rescale) -> None:
    rows = usable(volume()).T + np.float32(1)
    here, there = rescale(rows, how), rescale(device.upload(rows), how)
    for name in ("rows", "scale", "offset"):
        theirs = home(getattr(there, name))
        assert theirs.dtype == np.float32
        np.testing.assert_allclose(theirs, getattr(here, name), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(home(there.intensity()), rows, rtol=1e-5)
    np.testing.assert_array_equal(home(varying(there.rows, 0.3)), varying(here.rows, 0.3))
    mean = rows.mean(axis=1, dtype=np.float64)
    scale = CountScale.constant(2.0)
    np.testing.assert_allclose(
        home(noise_of_rescaled(scale, device.upload(mean), there)),
        noise_of_rescaled(scale, mean, here),
        rtol=1e-6,
    )


def test_what_cannot_be_rescaled_is_refused_there_too(device: Device) -> None:
    rows = np.ones((3, 5), np.float32)
    rows[1, 2] = 0
    with pytest.raises(InputError):
        rescale(device.upload(rows), Rescale.LOG_MEAN)
    with pytest.raises(InputError):
        rescale(device.upload(np.zeros((3, 5), np.float32)), Rescale.MEAN)
