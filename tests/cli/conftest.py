"""Runs to read findings off, and what other programs make of the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config
from xtec_pipelines.simulate import make_simulate_config, run_simulate


@pytest.fixture(scope="session")
def cluster_into() -> Callable[..., Path]:
    """Run ``xtec cluster`` without figures: ``cluster_into(folder, series, clusters=4, ...)``."""

    def cluster(folder: Path, series: Path, **options: object) -> Path:
        run_cluster(
            make_config({"inputs": [str(series)], "output": str(folder), "figures": False, **options})
        )
        return folder

    return cluster


@pytest.fixture(scope="session")
def simulate_into() -> Callable[..., Path]:
    """Write a simulated series: ``simulate_into(path, "tiny", no_transition=True)``."""

    def simulate(path: Path, preset: str, **options: object) -> Path:
        run_simulate(make_simulate_config({"preset": preset, "output": path, **options}))
        return path

    return simulate


@pytest.fixture(scope="session")
def nexus_problems() -> Callable[[Path], tuple[int, int]]:
    """Warnings and errors of nexusformat's checker."""
    from nexusformat.nexus.validate import validate_file

    return lambda path: validate_file(str(path))


@pytest.fixture(scope="session")
def valid_plots() -> Callable[[Path], set[str]]:
    """Names of the NXdata groups of /entry; silx finds no issue with any, nor with the default."""
    import silx.io
    from silx.io import nxdata

    def check(path: Path) -> set[str]:
        with silx.io.open(str(path)) as file:
            default = nxdata.get_default(file)
            assert default is not None
            assert default.is_valid
            plots = {
                name: group
                for name, group in file["entry"].items()
                if group.attrs.get("NX_class") == "NXdata"
            }
            for name, group in plots.items():
                plot = nxdata.NXdata(group)
                assert (plot.is_valid, plot.issues) == (True, []), name
                assert None not in plot.axes_dataset_names, name
            return set(plots)

    return check


@pytest.fixture(scope="session")
def quantities() -> Callable[[Any], list[dict[str, Any]]]:
    """Every quantity in a summary, however deep; its keys and the order in its interval are checked."""

    def walk(part: Any) -> Iterator[dict[str, Any]]:
        if isinstance(part, dict) and "value" in part:
            yield part
        elif isinstance(part, dict | list):
            for one in part.values() if isinstance(part, dict) else part:
                yield from walk(one)

    def check(part: Any) -> list[dict[str, Any]]:
        found = list(walk(part))
        for one in found:
            assert set(one) == {"value", "low", "high", "units"}
            assert isinstance(one["units"], str)
            assert one["low"] is None or one["low"] <= one["value"]
            assert one["high"] is None or one["value"] <= one["high"]
        return found

    return check
