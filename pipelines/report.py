"""``xtec report``: a run, or a phase diagram, as one page."""

from __future__ import annotations

import logging
import shlex
from contextlib import nullcontext
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from xtec.core.errors import ConfigError, XtecError
from xtec.core.memory import format_bytes
from xtec.core.progress import Progress
from xtec.core.results import ClusteredRun
from xtec.io import Series, open_series
from xtec.io.disk.atomic import write_text
from xtec.io.reading.provenance import Process, read_process
from xtec.io.run.clustered import read_clustered, read_probability
from xtec.io.run.folder import read_summary
from xtec.report import (
    IntensityCollector,
    IntensityVolume,
    Plane,
    Report,
    label_volume,
    render,
    render_diagram,
)
from xtec_pipelines.config import ClusterConfig, load_recipe
from xtec_pipelines.run_folder import changing, run_folder

logger = logging.getLogger(__name__)

_READ_AGAIN = 2 * 10**9
"""Bytes of a series up to which a report reads it again without being asked."""

_BLOCK_BYTES = 64 * 2**20

_FIGURES = {
    "order": ("order_parameter", "wave_vectors"),
    "cell": ("unit_cell", "broken_symmetry", "halos"),
    "selection": ("selection",),
    "threshold": ("threshold", "noise"),
}
_CAPTIONS = {
    "order_parameter": "Mean intensity of each order parameter, its fit, and Tc with its interval",
    "wave_vectors": "Peaks of each order parameter folded into one zone, and its wave vectors",
    "unit_cell": "Reflection classes against clusters",
    "broken_symmetry": "Symmetry operations that are lost on cooling",
    "halos": "Clusters of voxels around Bragg peaks",
    "selection": "Criteria against the number of clusters",
    "threshold": "Voxels by their mean intensity, the background, and the cutoff",
    "noise": "Variance over mean of the intensities, against the mean",
    "phase_diagram": "Transition temperatures of the samples, and the boundaries through them",
    "joint_clusters": "Clusters of the peaks of all samples together",
}


class ReportConfig(BaseModel):
    """What a report is made of, and where it goes.

    `intensity` says whether the series is read again for intensities in the map; by default if it is small
    and still there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    output: str | None = None
    intensity: bool | None = None

    @property
    def path(self) -> Path:
        """Where the page goes."""
        return Path(self.output) if self.output else run_folder(self.run) / "report.html"


def run_report(config: ReportConfig, progress: Progress | None = None) -> Path:
    """Write the report of a run or of a phase diagram; returns its path.

    Raises
    ------
    XtecError
        If the run cannot be read, or the page not be written; with `intensity` also if its series cannot.
    """
    progress = progress or Progress()
    folder = run_folder(config.run)
    with changing(folder) if config.output is None else nullcontext():
        page = _page_of_diagram(folder) or _page_of_run(folder, config, progress)
        with progress.stage("write"):
            write_text(config.path, page)
    return config.path


def _page_of_diagram(folder: Path) -> str:
    """The page of a phase diagram; nothing if the folder has none."""
    if not (folder / "phase_diagram.nxs").exists():
        return ""
    recipe = folder / "run.toml"
    pictures = {name: folder / f"{name}.png" for name in ("phase_diagram", "joint_clusters")}
    return render_diagram(
        read_summary(folder),
        command=_repeating(recipe),
        recipe=recipe.read_text(encoding="utf-8") if recipe.exists() else "",
        figures=[(_CAPTIONS[name], path.read_bytes()) for name, path in pictures.items() if path.exists()],
    )


def _repeating(recipe: Path) -> str:
    return f"xtec run {shlex.quote(str(recipe))} -o OTHER"


def _page_of_run(folder: Path, config: ReportConfig, progress: Progress) -> str:
    with progress.stage("open"):
        run, summary = read_clustered(folder), read_summary(folder)
        process = read_process(folder / "results.nxs")
        labels = label_volume(run.map, read_probability(folder))
        recipe = folder / "run.toml"
    with progress.stage("read"):
        intensities, note = _intensities(config, recipe, run)
    with progress.stage("draw"):
        curves = _curves(run)
    return render(
        Report(
            title=summary["sample"] or run.name,
            summary=summary,
            command=_repeating(recipe),
            recipe=recipe.read_text(encoding="utf-8") if recipe.exists() else "",
            provenance=_provenance(process),
            inputs=process.inputs,
            axes=run.map.axes,
            scan=run.curves.scan,
            planes=_planes(run),
            labels=labels,
            intensities=intensities,
            curves=curves,
            figures=_figures(folder),
            note=note,
        )
    )


def _intensities(config: ReportConfig, recipe: Path, run: ClusteredRun) -> tuple[IntensityVolume | None, str]:
    """Intensities of the series a run was made of, or why there are none."""
    if config.intensity is False:
        return None, ""
    try:
        series = _series(load_recipe(recipe))
        if series.shape != run.map.shape or len(series.scan) != len(run.curves.scan):
            raise ConfigError("the series is not the one of this run any more", file=recipe)
    except XtecError as error:
        if config.intensity:
            raise
        logger.info("no intensities: %s", error)
        return None, f"Without intensities: {error.what}."
    if config.intensity is None and series.nbytes > _READ_AGAIN:
        size = format_bytes(series.nbytes)
        return None, f"Without intensities: the series has {size}; --intensity reads it."
    return _collected(series), ""


def _series(config: ClusterConfig) -> Series:
    region, temperatures = config.bounds
    return open_series(config.inputs, region=region, temperatures=temperatures, options=config.open_options)


def _collected(series: Series) -> IntensityVolume:
    collector = IntensityCollector(series.shape, series.n_temperatures)
    with series.reader() as reader:
        for block in series.blocks(_BLOCK_BYTES):
            collector.add(block, reader.read(block))
    return collector.finish()


def _planes(run: ClusteredRun) -> list[Plane]:
    """The ways to cut the map, that across the slowest axis first."""
    from xtec.plotting.lattice import LatticePlane, in_plane_angle

    axes, angles = run.map.axes, run.map.angles

    def plane(fixed: int | None, y: int, x: int) -> Plane:
        angle = in_plane_angle(axes, angles, fixed or 0)
        drawn = LatticePlane(axes[x], axes[y], angle)
        width, height = drawn.units or (0.0, 0.0)
        return Plane(fixed, x, y, width, height, angle if drawn.sheared else 90.0)

    if len(axes) == 2:
        return [plane(None, 0, 1)]
    if len(axes) == 3:
        cuts = [plane(0, 1, 2), plane(1, 0, 2), plane(2, 0, 1)]
        return [cut for cut in cuts if len(axes[cut.x]) > 1 and len(axes[cut.y]) > 1] or cuts[:1]
    return []


def _curves(run: ClusteredRun) -> dict[str, str]:
    from xtec.plotting import plot_average_intensity, plot_trajectories, svg_text

    rescaled = "Rescaled trajectories of the clusters, mean and standard deviation"
    average = "Average intensity of the clusters, with its standard error"
    return {
        rescaled: svg_text(plot_trajectories(run.curves), rescaled),
        average: svg_text(plot_average_intensity(run.curves), average),
    }


def _figures(folder: Path) -> dict[str, list[tuple[str, bytes]]]:
    """Figures that the run folder has, by the section they belong to."""
    return {
        section: [
            (_CAPTIONS[name], path.read_bytes())
            for name in names
            if (path := folder / "figures" / f"{name}.png").exists()
        ]
        for section, names in _FIGURES.items()
    }


def _provenance(process: Process) -> dict[str, str]:
    seconds = ", ".join(f"{stage} {value:.1f}" for stage, value in process.timings.items() if value >= 0.05)
    return {
        "made by": f"xtec {process.version}, {process.date[:19].replace('T', ' ')} UTC",
        "with": ", ".join(f"{name} {version}" for name, version in process.environment.items()),
        "seconds": seconds,
    }
