"""The plan covers every voxel once and keeps to the limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xtec.core.errors import ConfigError
from xtec.io import open_series
from xtec_pipelines.plan import plan_run

WriteSeries = Callable[..., Path]


@pytest.mark.parametrize("chunks", [None, (1, 3, 4, 5), (4, 9, 1, 1)])
@pytest.mark.parametrize("n_workers", [1, 2, 7])
def test_every_voxel_is_in_one_shard(
    write_series: WriteSeries, monkeypatch: pytest.MonkeyPatch, chunks: tuple[int, ...] | None, n_workers: int
) -> None:
    monkeypatch.setattr("xtec_pipelines.plan._BLOCK_BYTES", 1000)
    monkeypatch.setattr("xtec_pipelines.plan._SHARD_BYTES", (2000, 5000))
    series = open_series(write_series(np.ones((4, 9, 10, 11), np.float32), chunks=chunks))
    plan = plan_run(series, 2**30, n_workers)
    seen = np.zeros(series.shape, int)
    for shard in plan.shards:
        for block in shard.blocks:
            seen[block] += 1
    assert (seen == 1).all()
    assert [shard.number for shard in plan.shards] == list(range(len(plan.shards)))
    assert len(plan.shards) > 4


def test_a_limit_below_the_program_is_refused(write_series: WriteSeries) -> None:
    series = open_series(write_series(np.ones((4, 9, 10, 11), np.float32)))
    with pytest.raises(ConfigError, match=r"memory limit of 2 MB is too little(?s:.*)--workers 1"):
        plan_run(series, 2_000_000, 2)


def test_what_the_limit_leaves_no_room_for_is_spilled(write_series: WriteSeries) -> None:
    series = open_series(write_series(np.ones((4, 40, 50, 60), np.float32)))
    roomy, narrow = plan_run(series, 2**30, 1), plan_run(series, 190_000_000, 1)
    assert roomy.spilled_bytes == 0
    assert narrow.spilled_bytes > 0
    assert narrow.peak_bytes <= 190_000_000
