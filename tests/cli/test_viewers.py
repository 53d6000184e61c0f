"""Every file shows the same plot by default in NeXpy, silx view and h5web, and can be read in full."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

h5grove = pytest.importorskip("h5grove.content", reason="h5grove reads files for h5web")

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
DEFAULTS = {
    "run/results.nxs": "trajectories",
    "run/order_parameter.nxs": "order_parameter_1",
    "run/unit_cell.nxs": "curves",
    "diagram/phase_diagram.nxs": "boundary_1",
    "stack.nxs": "data",
}


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    simulate_into: Callable[..., Path],
    cluster_into: Callable[..., Path],
) -> Path:
    from xtec_pipelines.order_parameter import OrderConfig, run_order_parameter
    from xtec_pipelines.phase_diagram import PhaseDiagramConfig, run_phase_diagram
    from xtec_pipelines.stack import StackConfig, run_stack
    from xtec_pipelines.unit_cell import UnitCellConfig, run_unit_cell

    there = tmp_path_factory.mktemp("viewers")
    series = simulate_into(there / "tiny.nxs", "tiny")
    run = str(cluster_into(there / "run", series, clusters=3))
    run_order_parameter(OrderConfig(run=run, figures=False))
    run_unit_cell(UnitCellConfig(run=run, figures=False))
    diagram = {"inputs": (run,), "values": {"run": 0.0}, "against": "composition", "figures": False}
    run_phase_diagram(PhaseDiagramConfig(**diagram, output=str(there / "diagram")))
    run_stack(StackConfig(inputs=(str(SAMPLES / "nxrefine"),), output=str(there / "stack.nxs")))
    return there


class H5Web:
    """What h5web asks its server for: metadata, attributes, and values as they are drawn."""

    def __init__(self, file: h5py.File) -> None:
        self.file = file

    def entity(self, path: str) -> Any:
        return h5grove.create_content(self.file, path)

    def attribute(self, path: str, name: str) -> Any:
        return self.entity(path).attributes([name])[name]

    def everything(self, path: str = "/") -> list[str]:
        """All there is below, each of it read."""
        content = self.entity(path)
        metadata = content.metadata()
        content.attributes()
        json.dumps(metadata, default=str)
        if metadata["kind"] == "dataset":
            content.data()
        found = [path]
        for child in metadata.get("children", []):
            found += self.everything(f"{path.rstrip('/')}/{child['name']}")
        return found

    def default(self) -> str:
        """The group that is drawn first: ``@default`` until an NXdata."""
        path = "/"
        while self.entity(path).attributes().get("NX_class") != "NXdata":
            path = f"{path.rstrip('/')}/{self.attribute(path, 'default')}"
        return path


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_default_plot(folder: Path, name: str) -> None:
    import silx.io
    from nexusformat.nexus import nxload
    from silx.io import nxdata

    expected = f"/entry/{DEFAULTS[name]}"
    with h5py.File(folder / name) as file:
        viewer = H5Web(file)
        assert viewer.default() == expected
        signal = viewer.attribute(expected, "signal")
        values = viewer.entity(f"{expected}/{signal}").data(None, False, "safe")
        np.testing.assert_array_equal(values, np.asarray(file[f"{expected}/{signal}"]).astype(values.dtype))
        axes = np.ravel(viewer.attribute(expected, "axes"))
        assert [viewer.entity(f"{expected}/{axis}").metadata()["shape"][0] for axis in axes] == list(
            values.shape
        )
    with silx.io.open(str(folder / name)) as file:
        plot = nxdata.get_default(file)
        assert plot.group.name == expected
        assert plot.is_valid
        assert plot.signal_dataset_name == signal
    with nxload(str(folder / name)) as root:
        shown = root.get_default()
        assert shown.nxpath == expected
        assert root.plottable_data.nxpath == expected
        assert shown.nxsignal.nxname == signal


@pytest.mark.parametrize("name", DEFAULTS)
def test_nothing_that_h5web_cannot_read(folder: Path, name: str) -> None:
    with h5py.File(folder / name) as file:
        read = H5Web(file).everything()
        there: list[str] = []
        file.visit(lambda path: there.append(f"/{path}"))
    assert set(read) == {"/", *there}


@pytest.mark.parametrize("name", DEFAULTS)
def test_nexusformat_finds_nothing_wrong(
    folder: Path, name: str, nexus_problems: Callable[[Path], tuple[int, int]]
) -> None:
    assert tuple(nexus_problems(folder / name))[:2] == (0, 0)
