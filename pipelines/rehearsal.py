"""``--dry-run``: what a clustering run would do, and everything that would stop it; no voxel is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xtec.core.parallel import n_cores
from xtec.io.run.folder import check_output
from xtec_pipelines.clustering.plugged import RunPlugins
from xtec_pipelines.clustering.second_pass import load_parent
from xtec_pipelines.clustering.writers import check_writers
from xtec_pipelines.config import ClusterConfig
from xtec_pipelines.inspect import Inspection, inspect_series
from xtec_pipelines.streaming.devices import DeviceChoice, choose_device, device_bytes
from xtec_pipelines.streaming.plan import plan_run


@dataclass(frozen=True)
class Rehearsal:
    """What would be done.

    Attributes
    ----------
    config : ClusterConfig
    inspection : Inspection
        Of the input, with the plan for these options.
    device : DeviceChoice
    """

    config: ClusterConfig
    inspection: Inspection
    device: DeviceChoice

    @property
    def files(self) -> list[str]:
        """What would be in the run folder, in the order in which it would be written."""
        learned = (
            ["plugins"] if any((self.config.features, self.config.clusterer, self.config.novelty)) else []
        )
        figures = ["figures"] if self.config.figures else []
        return ["results.nxs", *learned, "run.toml", "run.log", *figures, "summary.json"]

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "dry_run": True,
            "output": self.config.output,
            "files": self.files,
            "backend": self.device.record(),
            **self.inspection.as_json(),
        }


def rehearse(config: ClusterConfig) -> Rehearsal:
    """Look at everything a run would begin with, and create nothing.

    Raises
    ------
    XtecError
        What the run would have raised before it reads.
    """
    folder = Path(config.output)
    check_writers(config)
    check_output(folder, [Path(item) for item in config.inputs], force=config.force, resume=config.resume)
    inspection = inspect_series(config)
    series = inspection.series
    check_output(folder, series.inputs, force=config.force, resume=config.resume)
    RunPlugins.open(config, series.scan.values)
    if config.from_run:
        load_parent(config, series)
    device = choose_device(config.backend, config.scheduler, series)
    plan = plan_run(
        series,
        config.memory_bytes,
        config.workers or n_cores(),
        threshold=config.threshold != "none",
        figures=config.figures,
        device_bytes=device_bytes(device),
    )
    return Rehearsal(config, replace(inspection, tree=(), plan=plan), device)
