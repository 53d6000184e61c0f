"""The series that novelty is told against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xtec.core.errors import ConfigError
from xtec.core.progress import Progress
from xtec.core.shards import Workers
from xtec.core.types import FloatArray, Mode
from xtec.io import Series, open_series
from xtec.mixture import Trajectories
from xtec_pipelines.clustering.gathering import averaged, backdrop_of, ingest_options, rescaled
from xtec_pipelines.clustering.modes import choose_mode
from xtec_pipelines.config import ClusterConfig, load_recipe
from xtec_pipelines.streaming.ingest import ingest
from xtec_pipelines.streaming.plan import RunPlan, plan_run
from xtec_pipelines.streaming.sampling import some_rows

_SPACING = 0.25
"""By how much temperatures may differ, as a share of their distance."""


@dataclass(frozen=True)
class Reference:
    """Trajectories of another series, kept and rescaled as those of the series clustered.

    Attributes
    ----------
    config : ClusterConfig
        Whose `reference` names a series or a run.
    series : Series
        The one clustered: temperatures must be the same.
    workers : Workers
    plan : RunPlan
        Of the series clustered.
    progress : Progress
    """

    config: ClusterConfig
    series: Series
    workers: Workers
    plan: RunPlan
    progress: Progress

    def rows(self, mode: Mode, size: int) -> FloatArray:
        """Some trajectories, shape (n, T): of voxels, or of peaks in mode s.

        Raises
        ------
        InputError
            If the reference cannot be read.
        ConfigError
            If its temperatures differ.
        """
        config = self._config()
        region, temperatures = config.bounds
        with self.progress.stage("reference"):
            series = open_series(
                config.inputs, region=region, temperatures=temperatures, options=config.open_options
            )
            self._check(series)
            judged = config.threshold != "none"
            plan = plan_run(series, self.plan.limit, self.plan.n_workers, threshold=judged, figures=False)
            kept = ingest(series, ingest_options(config), self.workers, plan.shards)
            backdrop = backdrop_of(kept, series.scan)
            choice = choose_mode(mode, kept, series, config.cluster_range[1])
            if choice.mode is Mode.PEAKS and choice.peaks is not None:
                rows = averaged(choice.peaks, series, backdrop, kept.device, config, None, Progress()).rows
            else:
                rows = rescaled(choice, kept, config, None, Progress()).rows
            return some_rows(Trajectories(rows), size, config.seed)

    def _config(self) -> ClusterConfig:
        """As of the run, with the reference for its input; of a reference that is a run, with its input."""
        name = Path(str(self.config.reference))
        inputs = {"inputs": (str(name),)}
        recipe = name / "run.toml"
        if recipe.is_file():
            earlier = load_recipe(recipe)
            inputs = {one: getattr(earlier, one) for one in ("inputs", "entry", "group", "scan", "reader")}
        return self.config.model_copy(update={**inputs, "noise": "none"})

    def _check(self, series: Series) -> None:
        mine, other = self.series.scan, series.scan
        if len(mine) == len(other):
            steps = np.abs(np.gradient(mine.values))
            if (np.abs(mine.values - other.values) <= _SPACING * steps).all():
                return
        raise ConfigError(
            f"the reference has other values of {mine.name}: {len(other)} from {other.values.min():g} to "
            f"{other.values.max():g}, not {len(mine)} from {mine.values.min():g} to {mine.values.max():g}",
            file=series.inputs[0],
            hint="choose those both have with --temperatures",
        )
