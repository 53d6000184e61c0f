"""``xtec order-parameter``: which clusters of a run order, at what temperature, with which wave vectors."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from xtec.core.order import MovingPeaks, OrderFindings, OrderParameter, PeakOnsets, WaveVector
from xtec.core.progress import Progress
from xtec.core.results import ClusteredRun
from xtec.core.types import Float64Array
from xtec.core.wording import plain
from xtec.io.run.clustered import read_clustered
from xtec.io.run.findings import write_order_parameter
from xtec.io.run.tables import write_peaks
from xtec.order_parameter import ClusterPeaks, onsets_of_peaks, order_parameters
from xtec.plugins import open_plugin, parse_plugin
from xtec.reciprocal import (
    Lattice,
    find_wave_vectors,
    make_lattice,
    moving_peaks,
    near,
    without_wings,
)
from xtec_pipelines.clustering.labelled import low_minus_high
from xtec_pipelines.findings.curve_method import read_by
from xtec_pipelines.findings.places import in_reciprocal_space, peak_positions
from xtec_pipelines.logbook import logbook
from xtec_pipelines.run_folder import change_summary, changing, check_run_folder, remove, run_folder

logger = logging.getLogger(__name__)


class OrderConfig(BaseModel):
    """What decides the result of ``xtec order-parameter``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    per_peak: bool = False
    symmetry: str | None = None
    method: str | None = None
    seed: int = Field(default=0, ge=0)
    figures: bool = True


def run_order_parameter(config: OrderConfig, progress: Progress | None = None) -> OrderFindings:
    """Find order parameters and wave vectors of a run, and write them into its folder.

    Raises
    ------
    XtecError
        If the run cannot be read, or its folder not be written.
    """
    progress = progress or Progress()
    folder = run_folder(config.run)
    with logbook() as book, changing(folder):
        with progress.stage("open"):
            run = read_clustered(folder)
            check_run_folder(folder)
        with progress.stage("fit"):
            findings = find_order(run, config)
        findings = replace(findings, warnings=tuple(book.warnings))
        with progress.stage("write"):
            remove(folder, "peak_onsets.csv", "figures/order_parameter.png", "figures/wave_vectors.png")
            parameters = {f"method_{name}": value for name, value in findings.method.items()}
            write_order_parameter(folder, findings, {**config.model_dump(mode="json"), **parameters})
            if not write_peaks(folder / "peaks.csv", run):
                logger.info("peaks.csv would be very large and is left out: they are in results.nxs")
        if config.figures:
            with progress.stage("draw"):
                draw_findings(folder / "figures", findings, run)
        change_summary(folder, order_summary(findings))
    return findings


def find_order(run: ClusteredRun, config: OrderConfig) -> OrderFindings:
    """Order parameters and wave vectors; nothing is written."""
    method = None
    if config.method is not None:
        method = open_plugin("order_parameters", parse_plugin(config.method), seed=config.seed)
    lattice = None
    if in_reciprocal_space(run):
        lattice = make_lattice(run.sample, run.map.axes, run.map.angles, config.symmetry)
    kinds = _kinds(run, lattice)
    peaks = ClusterPeaks(
        run.curves.scan,
        run.peaks.label,
        run.peaks.size,
        run.peaks.intensity,
        run.count_scale,
        run.systematic,
        kinds,
    )
    moving = _moving(run)
    every = [*order_parameters(_of_clusters(peaks, moving, others=True), config.seed)]
    every += [not_order for one in moving for not_order in _without_order(peaks, one, config.seed)]
    if method is not None:
        every = [read_by(method, one) for one in every]
    found = [one for one in every if one.transitions]
    onsets = None
    if config.per_peak:
        onsets = _together([onsets_of_peaks(peaks, one) for one in found])
    return OrderFindings(
        run=run.name,
        sample=run.sample,
        order_parameters=found,
        others=sorted(
            (one for one in every if not one.transitions), key=lambda one: (one.branch, one.clusters)
        ),
        wave_vectors=_wave_vectors(run, found, lattice),
        symmetry="" if lattice is None else f"{lattice.laue}, {lattice.source}",
        onsets=onsets,
        method={} if method is None else method.record,
        moving=moving,
    )


def _moving(run: ClusteredRun) -> tuple[MovingPeaks, ...]:
    """Clusters that change because peaks move; none where an earlier version made the run."""
    if run.voxel_changes is None:
        return ()
    scan = run.curves.scan.values
    return moving_peaks(run.map, run.voxel_changes, run.curves, float(low_minus_high(scan) @ scan))


def _of_clusters(peaks: ClusterPeaks, moving: Sequence[MovingPeaks], *, others: bool = False) -> ClusterPeaks:
    """Peaks with the labels of some clusters only, or of all others."""
    chosen = np.isin(peaks.label, [one.cluster for one in moving]) ^ others
    return replace(peaks, label=np.where(chosen, peaks.label, 0).astype(np.int16))


def _without_order(peaks: ClusterPeaks, moving: MovingPeaks, seed: int) -> Iterator[OrderParameter]:
    """Peaks of a cluster on flanks: an onset in its curve says where they are, not how strong."""
    for one in order_parameters(_of_clusters(peaks, [moving]), seed):
        onsets = ", ".join(f"{plain(each.tc)} {each.tc.units}".rstrip() for each in one.transitions)
        more = f"; its onset at {onsets} is of their place" if onsets else ""
        yield replace(one, transitions=(), tail=None, reason=moving.text + more)


def _kinds(run: ClusteredRun, lattice: Lattice | None) -> dict[int, str]:
    """The commonest wave vector of what changes in each cluster, in words; empty if there is none.

    Wings of the peaks of a brighter cluster count as these peaks.
    """
    brightest: list[tuple[float, int, WaveVector, Float64Array]] = []
    for number in range(1, run.n_clusters + 1):
        members = np.flatnonzero(run.peaks.label == number)
        vectors = _vectors(run, members, (number,), lattice)
        if vectors:
            positions = peak_positions(run, members)
            brightest.append((float(positions.weight.sum()), number, vectors[0], positions.pixel))
    kinds: dict[int, tuple[str, WaveVector]] = {}
    for _, number, vector, pixel in sorted(brightest, key=lambda one: -one[0]):
        same = (text for text, other in kinds.values() if near(vector, other, pixel))
        kinds[number] = next(same, vector.text), vector
    return {number: text for number, (text, _) in kinds.items()}


def _vectors(
    run: ClusteredRun, members: NDArray[np.intp], clusters: tuple[int, ...], lattice: Lattice | None
) -> list[WaveVector]:
    if lattice is None or not members.size:
        return []
    positions = peak_positions(run, members)
    return without_wings(find_wave_vectors(positions, lattice, clusters), positions)


def _wave_vectors(
    run: ClusteredRun, found: Sequence[OrderParameter], lattice: Lattice | None
) -> list[WaveVector]:
    """Of each order parameter, by the peaks that are its own."""
    return [
        replace(vector, order_parameter=number)
        for number, one in enumerate(found, start=1)
        for vector in _vectors(run, one.members, one.clusters, lattice)
    ]


def _together(parts: Sequence[tuple[NDArray[Any], ...]]) -> PeakOnsets:
    """Onsets of the peaks of all order parameters, those that show one."""
    columns = [
        (peak, np.full(peak.size, number), *values) for number, (peak, *values) in enumerate(parts, start=1)
    ]
    if not columns:
        nothing = np.empty(0)
        return PeakOnsets(np.empty(0, np.intp), np.empty(0, np.intp), nothing, nothing, nothing)
    return PeakOnsets(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def order_summary(findings: OrderFindings) -> dict[str, Any]:
    """What is added to summary.json."""
    units = findings.order_parameters[0].scan.units if findings.order_parameters else ""
    return {
        "order_parameters": [
            {
                "cluster": one.clusters[0],
                "clusters": list(one.clusters),
                "branch": one.branch,
                "side": one.side,
                "tc": each.tc.as_json(),
                "beta": each.beta.as_json() if each.beta else None,
                "kind": each.kind,
                "amplitude": each.amplitude.as_json(),
                "width": each.width.as_json() if each.width else None,
                "tail": one.tail.as_json() if one.tail else None,
                "peaks": one.peaks,
                "reason": one.reason,
                "facts": dict(one.facts),
            }
            for one in findings.order_parameters
            for each in one.transitions
        ],
        "not_ordering": [
            {"cluster": number, "branch": one.branch, "reason": one.reason, "facts": dict(one.facts)}
            for one in findings.others
            for number in one.clusters
        ],
        "moving_peaks": [
            {
                "cluster": one.cluster,
                "partners": list(one.partners),
                "reading": one.name,
                "opposite": one.opposite,
                "explained": one.explained,
                "maxima": one.maxima,
                "shift_of": one.quantity,
                "shift": one.shift.as_json() if one.shift else None,
            }
            for one in findings.moving
        ],
        "wave_vectors": [_vector_summary(vector) for vector in findings.wave_vectors],
        "method": dict(findings.method),
        "symmetry": findings.symmetry,
        "scan_units": units,
    }


def _vector_summary(vector: WaveVector) -> dict[str, Any]:
    return {
        "cluster": vector.clusters[0],
        "clusters": list(vector.clusters),
        "order_parameter": vector.order_parameter,
        "q": vector.q.tolist(),
        "fraction": list(vector.fraction),
        "uncertainty": vector.uncertainty.tolist(),
        "units": "r.l.u.",
        "peaks": vector.peaks,
        "multiplicity": vector.multiplicity,
        "arms": [
            {
                "q": arm.q.tolist(),
                "uncertainty": arm.uncertainty.tolist(),
                "peaks": arm.peaks,
                "zones": arm.zones,
            }
            for arm in vector.arms
        ],
        "zones": vector.zones,
        "zones_measured": vector.zones_measured,
    }


def draw_findings(folder: Path, findings: OrderFindings, run: ClusteredRun) -> None:
    """Order parameters against temperature, and peaks folded into one zone."""
    from xtec.plotting import plot_order_parameters, plot_wave_vectors, save_figure

    folder.mkdir(exist_ok=True)
    if findings.order_parameters:
        found = findings.order_parameters
        names = [one.title([vector.text for vector in findings.wave_vectors_of(one)]) for one in found]
        save_figure(plot_order_parameters(found, names), folder / "order_parameter.png")
    if findings.wave_vectors:
        numbers = [vector.order_parameter - 1 for vector in findings.wave_vectors]
        clouds = [peak_positions(run, findings.order_parameters[i].members).hkl for i in numbers]
        save_figure(plot_wave_vectors(findings.wave_vectors, clouds), folder / "wave_vectors.png")
