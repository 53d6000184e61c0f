"""Writing the run folder: results.nxs, summary.json, run.toml, run.log and figures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from xtec.core.errors import OutputError
from xtec.core.progress import Progress
from xtec.core.results import ClusterRun, Selection
from xtec.core.types import Mode, Significance
from xtec.io import write_results
from xtec.io.disk.atomic import make_folder, replacing, write_json, write_text
from xtec.io.disk.sole_use import sole_use
from xtec.io.run.folder import create_folder, read_summary
from xtec_pipelines.config import ClusterConfig, dump_recipe


def write_run(
    folder: Path, run: ClusterRun, config: ClusterConfig, log: Sequence[str], progress: Progress
) -> None:
    """Write all files of a run; each appears whole.

    Raises
    ------
    OutputError
        If one cannot be written.
    """
    create_folder(folder, figures=config.figures)
    with progress.stage("write"):
        write_results(folder / "results.nxs", run)
        write_learned(folder, run)
        write_text(folder / "run.toml", dump_recipe(config))
        write_text(folder / "run.log", "".join(f"{line}\n" for line in log))
    if config.figures:
        with progress.stage("draw"):
            draw_figures(folder / "figures", run)
    write_json(folder / "summary.json", summary(run))


def write_learned(folder: Path, run: ClusterRun) -> None:
    """What plugins learned, for another run to begin with.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    for name, state in run.learned.items():
        path = folder / "plugins" / f"{name}.npz"
        make_folder(path.parent)
        with replacing(path) as temporary:
            temporary.write_bytes(state)


def summary(run: ClusterRun) -> dict[str, Any]:
    """The run in the keys that scripts rely on; quantities as value, interval and units."""
    counts = run.counts
    scan_units = run.curves.scan.units
    return {
        "sample": run.sample.name,
        "status": {"state": "done", "converged": run.mixture.converged, "warnings": list(run.warnings)},
        "mode": run.mode,
        "mode_reason": run.mode_reason,
        "n_clusters": len(run.clusters),
        "seed": run.process["parameters"]["seed"],
        "n_total": counts.n_total,
        "n_kept": counts.n_kept,
        "n_empty": counts.n_empty,
        "n_nan": counts.n_nan,
        "n_nonpositive": counts.n_nonpositive,
        "cutoff": quantity(run.threshold.cutoff, "ln(intensity)"),
        "significance": _significance(run.threshold.significance),
        "log_likelihood": run.mixture.log_likelihood,
        "clusters": [
            {
                "number": cluster.number,
                "voxels": cluster.voxels,
                "peaks": cluster.peaks,
                "share": cluster.share,
                "trend": cluster.trend,
                "reading": cluster.reading,
                "order_parameter": cluster.order_parameter,
                "onset": None if cluster.onset is None else quantity(cluster.onset, scan_units),
            }
            for cluster in run.clusters
        ],
        "lineage": list(run.process["lineage"]),
        "plugins": dict(run.process.get("plugins", {})),
        "novelty": novelty_summary(run),
        "selection": None if run.selection is None else selection_summary(run.selection),
        "dropped": list(run.process["dropped"]),
        "timings": {f"{stage} (s)": seconds for stage, seconds in run.process["timings"].items()},
    }


def novelty_summary(run: ClusterRun) -> dict[str, Any] | None:
    """How many voxels count as novel, in all and in each cluster; None where that was not asked for."""
    if run.novelty is None:
        return None
    if run.novel is None:
        return {"limit": None, "voxels": None, "share": None, "clusters": None}
    each = np.bincount(run.map.label[run.novel], minlength=len(run.clusters) + 1)[1:]
    return {
        "limit": run.novelty_limit,
        "voxels": int(each.sum()),
        "share": float(run.novel.mean()),
        "clusters": [int(n) for n in each],
    }


def run_folder(path: str | Path) -> Path:
    """The folder of a run that was named by its folder, or by the results in it."""
    path = Path(path)
    return path.parent if path.name == "results.nxs" else path


def check_run_folder(folder: Path) -> None:
    """Refuse a run that nothing can be added to, before any work is done.

    Raises
    ------
    InputError
        If it has no summary.
    OutputError
        If it cannot be written.
    """
    read_summary(folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError("cannot write into this run", file=folder, hint="a copy of it")


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Sole use of a run that something is added to; what is no run is for the block to refuse.

    Raises
    ------
    OutputError
        If the run cannot be written, or somebody else is at work there.
    """
    if not (folder / "summary.json").exists():
        yield
        return
    check_run_folder(folder)
    with sole_use(folder):
        yield


def remove(folder: Path, *names: str) -> None:
    """Take away what an earlier call left in a run and this one may not write again."""
    for name in names:
        (folder / name).unlink(missing_ok=True)


def change_summary(folder: Path, changes: Mapping[str, Any]) -> None:
    """Add to the summary of a run, or replace what a command has added before.

    Raises
    ------
    InputError
        If there is no summary, or it cannot be read.
    OutputError
        If it cannot be written.
    """
    write_json(folder / "summary.json", {**read_summary(folder), **changes})


def _significance(found: Significance | None) -> Mapping[str, Any] | None:
    if found is None:
        return None
    return {
        "fdr": found.fdr,
        "chi_square": quantity(found.cutoff, ""),
        "degrees_of_freedom": found.n_waves,
        "n_significant": found.n_significant,
        "variance_over_mean": quantity(found.scale, ""),
        "systematic": quantity(found.systematic, ""),
    }


def selection_summary(selection: Selection) -> dict[str, Any]:
    """The sweep as plain values; null where there is none."""
    names = ("bic", "icl", "silhouette", "stability", "size", "fidelity", "gain")
    columns = {name: getattr(selection, name).tolist() for name in names}
    return {
        "recommended": selection.recommended,
        "reason": selection.reason,
        "sensitivity": selection.sensitivity,
        "n_clusters": selection.n_clusters.tolist(),
        **{name: [x if x == x else None for x in values] for name, values in columns.items()},
    }


def quantity(
    value: float, units: str, low: float | None = None, high: float | None = None
) -> Mapping[str, Any] | None:
    """A number with its 95 % interval (null where it cannot be given); None if it is not finite."""
    if not abs(value) < float("inf"):
        return None
    return {"value": value, "low": low, "high": high, "units": units}


def draw_figures(folder: Path, run: ClusterRun) -> None:
    """Threshold and noise, trajectories, average intensity and q-map."""
    from xtec.plotting import (
        plot_average_intensity,
        plot_noise,
        plot_qmap,
        plot_selection,
        plot_threshold,
        plot_trajectories,
        save_figure,
    )

    labels = [_legend(run, number) for number in range(len(run.clusters))]
    save_figure(plot_threshold(run.threshold, run.counts), folder / "threshold.png")
    if run.threshold.significance is not None:
        save_figure(plot_noise(run.threshold.significance), folder / "noise.png")
    save_figure(plot_trajectories(run.curves, labels), folder / "trajectories.png")
    save_figure(plot_average_intensity(run.curves, labels), folder / "average_intensity.png")
    save_figure(plot_qmap(run.map), folder / "qmap.png")
    if run.selection is not None:
        save_figure(plot_selection(run.selection), folder / "selection.png")


def _legend(run: ClusterRun, position: int) -> str:
    cluster = run.clusters[position]
    if run.mode != Mode.PEAKS:
        return f"{cluster.voxels:,} voxels"
    return f"{cluster.peaks:,} peaks"
