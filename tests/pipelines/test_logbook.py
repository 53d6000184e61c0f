"""A log that cannot be written costs no run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xtec.core.errors import OutputError
from xtec_pipelines.logbook import LogFile, appended_log

FULL = Path("/dev/full")
WriteSeries = Callable[..., Path]

full_disk = pytest.mark.skipif(not FULL.exists(), reason="Linux has a file that is always full")


@full_disk
def test_a_full_disk_is_told_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    with appended_log(FULL):
        for number in range(3):
            logging.getLogger("xtec").warning("line %d", number)
    assert capsys.readouterr().err.count("WARNING: cannot write /dev/full (No space left on device)\n") == 1


@full_disk
def test_a_run_goes_on(write_series: WriteSeries, tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    done = run_cli("inspect", write_series(np.ones((4, 3, 4, 5))), "--log-file", FULL)
    assert done.code == 0
    assert "Traceback" not in done.stderr


def test_lines_are_there_when_the_log_is_closed(tmp_path: Path) -> None:
    with appended_log(tmp_path / "run.log"):
        logging.getLogger("xtec").info("one")
        assert "one" in (tmp_path / "run.log").read_text(encoding="utf-8")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write the log"):
        LogFile(tmp_path / "nowhere" / "run.log")
