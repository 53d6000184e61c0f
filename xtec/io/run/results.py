"""A clustering run as results.nxs: every group plots by itself in NeXpy, silx and h5web."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.parallel import block_threads
from xtec.core.results import ClusterRun, FittedMixture, PeakMaxima, PeakTable, Selection
from xtec.core.types import (
    BackgroundThreshold,
    ClusterCurves,
    ClusterMap,
    Float64Array,
    Significance,
    VoxelCounts,
)
from xtec.io.hdf5.output import new_hdf5
from xtec.io.nexus.sample import write_sample_info
from xtec.io.nexus.writer import new_data, new_group, now, start_file, write_axis, write_parameters

_CHUNK = 64
_COLUMN_CHUNK = 2**16
_LEVEL = 1
"""Of gzip: the highest levels take ten times as long for a few percent."""


def write_results(path: Path, run: ClusterRun) -> None:
    """Write a run as one NeXus file, whole or not at all.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with new_hdf5(path) as file:
        start_file(file, "xtec-pipeline", str(run.process["version"]))
        file.attrs["file_name"] = path.name
        entry = new_group(file, "entry", "NXentry")
        entry.attrs["default"] = "trajectories"
        entry["title"] = run.title
        entry["start_time"] = run.process["start_time"]
        _write_sample(entry, run)
        _write_curves(entry, run.curves)
        _write_map(entry, run.map)
        _write_voxels(entry, run)
        _write_peaks(entry, run.peaks, run.curves.scan, run.map)
        _write_maxima(entry, run.peaks.maxima, run.map)
        _write_mixture(entry, run.mixture, run.curves.scan)
        if run.selection is not None:
            _write_selection(entry, run.selection)
        _write_threshold(entry, run.threshold, run.counts)
        if run.threshold.significance is not None:
            _write_noise(entry, run.threshold.significance)
        _write_process(entry, run.process, {"mode": run.mode, "variance_over_mean": run.count_scale})


def _write_sample(entry: h5py.Group, run: ClusterRun) -> None:
    write_axis(write_sample_info(entry, run.sample), run.curves.scan)


def _write_curves(entry: h5py.Group, curves: ClusterCurves) -> None:
    names = [f"cluster_{k + 1}" for k in range(curves.n_clusters)]
    groups = (
        ("trajectories", "rescaled trajectories", curves.rescaled_mean, curves.rescaled_std),
        ("average_intensity", "average intensity", curves.intensity_mean, curves.intensity_error),
    )
    for name, title, mean, error in groups:
        group = new_data(entry, name, title=title, signals=names, axes=[curves.scan])
        for k, signal in enumerate(names):
            group[signal] = mean[k]
            group[f"{signal}_errors"] = error[k]


def _write_map(entry: h5py.Group, cluster_map: ClusterMap) -> None:
    group = new_data(
        entry,
        "cluster_map",
        title="cluster of each voxel, 0 = not clustered",
        signals=["cluster_map"],
        axes=cluster_map.axes,
    )
    if cluster_map.angles is not None:
        group.attrs["angles"] = cluster_map.angles
    if len(cluster_map.shape) > 2:
        middle = str(cluster_map.shape[0] // 2)
        group.attrs["default_slice"] = np.array([middle, ".", "."], dtype=h5py.string_dtype())
    chunks = tuple(min(_CHUNK, size) for size in cluster_map.shape)
    data = group.create_dataset(
        "cluster_map", cluster_map.shape, "i2", chunks=chunks, compression="gzip", compression_opts=_LEVEL
    )
    with block_threads() as run:
        for start in range(0, cluster_map.shape[0], chunks[0]):
            slab = _whole_chunks(
                cluster_map.slab(start, min(start + chunks[0], cluster_map.shape[0])), chunks
            )
            corners = list(
                product(*(range(0, size, length) for size, length in zip(slab.shape, chunks, strict=True)))
            )
            for corner, packed in zip(corners, run(partial(_pack, slab, chunks), corners), strict=True):
                if packed is not None:
                    data.id.write_direct_chunk((start, *corner[1:]), packed)


def _whole_chunks(slab: NDArray[np.int16], chunks: tuple[int, ...]) -> NDArray[np.int16]:
    """Labels with the last chunk along each axis filled up with zeros."""
    missing = [(0, -size % length) for size, length in zip(slab.shape, chunks, strict=True)]
    return np.pad(slab, missing)


def _pack(slab: NDArray[np.int16], chunks: tuple[int, ...], corner: tuple[int, ...]) -> bytes | None:
    """One chunk as gzip stores it; None if nothing in it is clustered, which is what a missing chunk says."""
    part = slab[tuple(slice(at, at + length) for at, length in zip(corner, chunks, strict=True))]
    return zlib.compress(part.tobytes(), _LEVEL) if part.any() else None


def _write_voxels(entry: h5py.Group, run: ClusterRun) -> None:
    voxels = new_group(entry, "voxels", "NXcollection")
    _write_column(voxels, "index", run.map.index)
    _write_column(voxels, "label", run.map.label)
    _write_column(voxels, "probability", run.probability)
    voxels["index"].attrs["long_name"] = "flat C-order index into cluster_map"
    if run.voxel_changes is not None:
        _write_column(voxels, "intensity", run.voxel_changes.intensity)
        _write_column(voxels, "change", run.voxel_changes.change)
        voxels["intensity"].attrs["long_name"] = "mean intensity"
        voxels["change"].attrs["long_name"] = "mean intensity, the lowest third of the scan minus the highest"
    if run.novelty is not None:
        _write_column(voxels, "novelty", run.novelty)
        voxels["novelty"].attrs["long_name"] = "the higher, the less like the reference"
        if run.novelty_limit is not None:
            voxels["novelty"].attrs["limit"] = run.novelty_limit


def _write_column(group: h5py.Group, name: str, values: NDArray[Any]) -> None:
    """One value a voxel, shuffled and gzipped by all cores."""
    length = min(_COLUMN_CHUNK, max(values.size, 1))
    data = group.create_dataset(
        name,
        values.shape,
        values.dtype,
        chunks=(length,),
        compression="gzip",
        compression_opts=_LEVEL,
        shuffle=True,
    )
    starts = range(0, values.size, length)
    with block_threads() as run:
        packed = run(lambda start: _shuffled(values[start : start + length], length), starts)
        for start, chunk in zip(starts, packed, strict=True):
            data.id.write_direct_chunk((start,), chunk)


def _shuffled(part: NDArray[Any], length: int) -> bytes:
    """A chunk as HDF5 stores it: the first bytes of all values, then the second; gzipped."""
    whole = np.pad(part, (0, length - part.size))
    return zlib.compress(whole.view(np.uint8).reshape(length, -1).T.tobytes(), _LEVEL)


def _write_peaks(entry: h5py.Group, peaks: PeakTable, scan: Axis, cluster_map: ClusterMap) -> None:
    number = Axis("peak", np.arange(1, len(peaks.label) + 1, dtype=np.float64))
    names = ", ".join(axis.name for axis in cluster_map.axes)
    title = "integrated intensity of each peak"
    group = new_data(entry, "peaks", title=title, signals=["intensity"], axes=[number, scan])
    for name in ("intensity", "maximum", "spread"):
        group[name] = getattr(peaks, name)
    group["spread"].attrs.update({"units": "voxel", "long_name": "integrated intensity over maximum"})
    group["label"] = peaks.label
    group["size"] = peaks.size
    group["centroid"] = peaks.centroid
    group["centroid"].attrs.update({"long_name": names, "dimensions": ["peak", "axis"]})
    shape = peaks.shapes
    chosen = Axis("peak", shape.peak.astype(np.float64) + 1)
    title = "width of each peak along the first axis"
    group = new_data(entry, "peak_shapes", title=title, signals=["first_width"], axes=[chosen, scan])
    group["first_width"] = shape.width[..., 0]
    for name in ("displacement", "width", "asymmetry"):
        group[name] = getattr(shape, name)
        group[name].attrs.update({"long_name": names, "dimensions": ["peak", scan.name, "axis"]})


def _write_maxima(entry: h5py.Group, maxima: PeakMaxima, cluster_map: ClusterMap) -> None:
    if not maxima.peak.size:
        return
    number = Axis("maximum", np.arange(1, len(maxima.peak) + 1, dtype=np.float64))
    title = "where intensity changes most: the lowest third of the scan minus the highest"
    group = new_data(entry, "maxima", title=title, signals=["change"], axes=[number])
    group["change"] = maxima.change
    group["peak"] = maxima.peak + 1
    for name in ("position", "error", "whole"):
        group[name] = getattr(maxima, name)
        group[name].attrs["long_name"] = ", ".join(axis.name for axis in cluster_map.axes)
        group[name].attrs["dimensions"] = ["maximum", "axis"]


def _write_mixture(entry: h5py.Group, mixture: FittedMixture, scan: Axis) -> None:
    component = Axis("component", np.arange(1, len(mixture.weights) + 1, dtype=np.float64))
    group = new_data(entry, "mixture", title="component means", signals=["means"], axes=[component, scan])
    for name in ("means", "weights", "covariances", "covariance_type", "log_likelihood", "bic"):
        group[name] = getattr(mixture, name)
    for name in ("n_iter", "n_init", "converged", "n_reseeded"):
        group[name] = getattr(mixture, name)
    group["log_likelihood"].attrs["long_name"] = "mean log-likelihood of a trajectory"


def _write_selection(entry: h5py.Group, selection: Selection) -> None:
    number = Axis("n_clusters", selection.n_clusters.astype(np.float64))
    names = ["bic", "icl", "silhouette", "stability", "size", "fidelity", "gain"]
    group = new_data(entry, "selection", title="number of clusters", signals=names, axes=[number])
    for name in names:
        group[name] = getattr(selection, name)
    for name in ("recommended", "reason", "sensitivity"):
        group[name] = getattr(selection, name)
    frontier = new_group(group, "frontier", "NXcollection")
    for column, name in enumerate(("n_clusters", "size", "fidelity")):
        frontier[name] = selection.frontier[:, column]
        frontier[name].attrs["dimensions"] = ["clustering"]


def _write_threshold(entry: h5py.Group, threshold: BackgroundThreshold, counts: VoxelCounts) -> None:
    edges = threshold.edges
    centres = (edges[1:] + edges[:-1]) / 2 if edges.size else np.zeros(1)
    axis = Axis("log_intensity", centres, "", {"long_name": "ln of the mean intensity"})
    group = new_data(
        entry,
        "threshold",
        title="voxels by ln of their mean intensity",
        signals=["density", "background"],
        axes=[axis],
    )
    group["density"] = threshold.density if edges.size else np.zeros(1)
    group["background"] = gaussian_background(threshold, centres)
    for name in ("method", "cutoff", "credible", "background_mean", "background_std", "n_steps"):
        group[name] = getattr(threshold, name)
    for name in ("n_total", "n_kept", "n_empty", "n_nan", "n_nonpositive"):
        group[name] = getattr(counts, name)


def _write_noise(entry: h5py.Group, found: Significance) -> None:
    axis = Axis("intensity", found.intensity, "", {"long_name": "mean intensity"})
    names = ("lower_quartile", "median", "upper_quartile", "model")
    signals = ["median", "lower_quartile", "upper_quartile", "model"]
    title = "variance over mean of intensities, against the mean"
    group = new_data(entry, "noise", title=title, signals=signals, axes=[axis])
    model = found.scale + found.systematic**2 * found.intensity
    for name, values in zip(names, [*found.variance_over_mean, model], strict=True):
        group[name] = values
    for name in ("fdr", "cutoff", "n_waves", "n_significant", "scale", "systematic", "cell_scale"):
        group[name] = getattr(found, name)
    group["cutoff"].attrs["long_name"] = "chi-square above which a voxel varies significantly"
    group["cell_scale"].attrs["long_name"] = "variance over mean in equal parts of the grid"


def gaussian_background(threshold: BackgroundThreshold, at: Float64Array) -> Float64Array:
    """Gaussian of the background, scaled to the voxels below the cutoff; zero where there is none."""
    mean, std = threshold.background_mean, threshold.background_std
    if not (np.isfinite(mean) and std > 0):
        return np.zeros_like(at)
    below = threshold.edges[:-1] < threshold.cutoff
    share = float(np.sum(threshold.density[below] * np.diff(threshold.edges)[below]))
    curve: Float64Array = share * np.exp(-((at - mean) ** 2) / (2 * std**2)) / (std * np.sqrt(2 * np.pi))
    return curve


def _write_process(entry: h5py.Group, process: Mapping[str, Any], outcome: Mapping[str, Any]) -> None:
    group = new_group(entry, "process", "NXprocess")
    write_parameters(group, "outcome", outcome)
    group["program"] = "xtec"
    group["version"] = process["version"]
    group["date"] = now()
    group["sequence_index"] = 1
    for name in ("parameters", "environment", "backend"):
        write_parameters(group, name, process[name])
    write_parameters(group, "timings", process["timings"], units="s")
    inputs = new_group(group, "inputs", "NXcollection")
    for name in process["inputs"][0]:
        inputs[name] = [source[name] for source in process["inputs"]]
    for number, ancestor in enumerate(process["lineage"], start=1):
        write_parameters(group, f"pass_{number}", ancestor)
    for slot, record in process.get("plugins", {}).items():
        write_parameters(group, f"plugin_{slot}", record)
    dropped = process["dropped"]
    if dropped:
        write_parameters(
            group, "dropped", {f"temperature_{i:03d}": text for i, text in enumerate(dropped, 1)}
        )
    if process["warnings"]:
        note = new_group(group, "warnings", "NXnote")
        note["type"] = "text/plain"
        note["data"] = "\n".join(process["warnings"])
