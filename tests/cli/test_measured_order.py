"""``xtec order-parameter`` on a measured powder series, Co2SiO4 through its Neel temperature."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RunCli = Callable[..., Any]


@pytest.mark.parametrize(
    ("scan", "tc"),
    [((), 51.6), (("--scan", "temperature_regulation"), 50.0)],
    ids=["temperature", "regulation"],
)
def test_one_magnetic_transition(
    validation_data: Path, tmp_path: Path, run_cli: RunCli, scan: tuple[str, ...], tc: float
) -> None:
    """T_N = 50 K on the regulating sensor, 51 to 52 K on the sample's own."""
    powder, run = validation_data / "co2sio4-d20.nxs", tmp_path / "run"
    done = run_cli("cluster", powder, "-o", run, "-k", 6, "--no-figures", *scan)
    assert done.code == 0, done.stderr
    done = run_cli("order-parameter", run, "--json")
    assert done.code == 0, done.stderr
    shown = json.loads(done.stdout)
    (found,) = shown["order_parameters"]
    assert found["kind"] == "second-order"
    assert found["tc"]["value"] == pytest.approx(tc, abs=2)
    assert found["tc"]["low"] <= found["tc"]["value"] <= found["tc"]["high"]
    assert found["tc"]["units"] == "K"
    assert found["side"] == "below"
    assert found["branch"] == ""
    assert shown["wave_vectors"] == []
    assert (run / "figures" / "order_parameter.png").exists()
    assert not (run / "figures" / "wave_vectors.png").exists()
