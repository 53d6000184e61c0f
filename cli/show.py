"""What a person sees: aligned text as wide as the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from xtec_cli.layout import make_console, make_table, show_line, show_table

if TYPE_CHECKING:
    from rich.table import Table

    from xtec.core.results import ClusterRun, ClusterSummary
    from xtec_pipelines.inspect import Inspection
    from xtec_pipelines.rehearsal import Rehearsal
    from xtec_pipelines.stack import Stacking
    from xtec_pipelines.streaming.plan import RunPlan


def show_json(values: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    from xtec.core.json_text import json_text

    click.echo(json_text(values, compact=True))


def show_run(run: ClusterRun, folder: Path, seconds: dict[str, float]) -> None:
    """The table of a clustering run; `seconds` by stage."""
    console = make_console()
    for head, text in _headlines(run):
        _line(console, head, text)
    show_table(console, _cluster_table(run))
    figures = len(list((folder / "figures").glob("*.png")))
    slow = ", ".join(f"{name} {time:.1f}" for name, time in seconds.items() if time >= 0.05)
    written = f"results.nxs, summary.json, {figures} figures   in {sum(seconds.values()):.1f} s ({slow})"
    _line(console, f"{folder}:", written)


def show_next(run: ClusterRun, folder: str) -> None:
    """What can be done with a run."""
    commands = [f"xtec order-parameter {folder}"]
    if any(one.order_parameter and "Bragg" in one.reading for one in run.clusters):
        commands.append(f"xtec unit-cell {folder}")
    show_line(make_console(), f"next: {'  ·  '.join(commands)}", width=0)


def show_selection(run: ClusterRun) -> None:
    """The sweep over numbers of clusters, and what is recommended."""
    selection = run.selection
    if selection is None:
        return
    console = make_console()
    names = ("K", "BIC", "ICL", "silhouette", "stability", "fidelity", "gain")
    table = make_table(*((name, True) for name in names))
    columns = [selection.bic, selection.icl, selection.silhouette, selection.stability]
    columns += [selection.fidelity, selection.gain]
    for row, number in enumerate(selection.n_clusters):
        mark = " *" if number == selection.recommended else "  "
        cells = [f"{column[row]:,.0f}" for column in columns[:2]]
        cells += [f"{column[row]:.2f}" if column[row] == column[row] else "" for column in columns[2:]]
        table.add_row(f"{number}{mark}", *cells)
    show_table(console, table)
    _line(console, "recommended", selection.reason)
    _line(console, "would change", selection.sensitivity)


def _headlines(run: ClusterRun) -> list[tuple[str, str]]:
    """What was read, kept and fitted, a line each."""
    from xtec.core.memory import format_bytes

    backend = run.process["backend"]
    inputs, counts, mixture, scan = run.process["inputs"], run.counts, run.mixture, run.curves.scan
    given = [Path(item).name for item in run.process["parameters"]["inputs"]]
    name = given[0] + (f" and {len(given) - 1} more" if len(given) > 1 else "")
    span = f"{len(scan)} x {scan.name} {scan.values.min():g}-{scan.values.max():g} {scan.units}".rstrip()
    axes = " x ".join(axis.label.partition(" (")[0] for axis in run.map.axes)
    shape = " x ".join(str(length) for length in run.map.shape)
    size = format_bytes(sum(item["size"] for item in inputs))
    share = 100 * counts.n_kept / counts.n_total
    kept = f"kept {counts.n_kept:,} of {counts.n_total:,} ({share:{'.0f' if share >= 10 else '.2g'}} %)"
    left = f"{counts.n_empty:,} empty, {counts.n_nan:,} with NaN"
    if counts.n_nonpositive:
        left += f", {counts.n_nonpositive:,} not positive"
    found = run.threshold.significance
    cutoffs = [f"ln I > {run.threshold.cutoff:.3f}"] if abs(run.threshold.cutoff) < float("inf") else []
    if found is not None and found.cutoff < float("inf"):
        cutoffs.append(f"chi-square > {found.cutoff:.1f}")
    cutoff = f"{' or '.join(cutoffs)}   " if cutoffs else ""
    lineage = run.process["lineage"]
    source = (f"threshold {run.threshold.method}", f"{cutoff}{kept}, {left}")
    if lineage:
        numbers = ", ".join(map(str, lineage[-1]["kept"]))
        source = (
            "second pass",
            f"clusters {numbers} of {lineage[-1]['n_clusters']} in {lineage[-1]['run']}: {kept}",
        )
    ended = "converged" if mixture.converged else "NOT converged"
    fitted = (
        f"log-likelihood {mixture.log_likelihood:.4f} a trajectory, {mixture.n_iter} iterations, "
        f"{f'best of {mixture.n_init} starts' if mixture.n_init else 'from the clusters before'}, {ended}"
    )
    if run.selection is not None:
        fitted = run.selection.reason.partition(": ")[2]
    plugins = run.process["plugins"]
    made = [f"{slot} {one['name']}" for slot, one in plugins.items() if slot in ("features", "clusterer")]
    if made:
        fitted = ", ".join(made)
    return [
        (name, f"{span}   {axes} = {shape} voxels   {size}"),
        source,
        (f"mode {run.mode}", run.mode_reason),
        (f"backend {backend['name']}", ", ".join(filter(None, (backend.get("device"), backend["reason"])))),
        (f"{len(_there(run))} clusters", fitted),
        *_novelty(run),
        *((one["name"], one["summary"]) for one in plugins.values() if one["summary"]),
    ]


def _novelty(run: ClusterRun) -> list[tuple[str, str]]:
    """What is unlike the reference."""
    if run.novelty is None:
        return []
    name = run.process["plugins"]["novelty"]["name"]
    if run.novel is None:
        return [("novelty", f"{name}: in results.nxs; it has no limit above which a voxel counts as novel")]
    reference = run.process["parameters"]["reference"] or "what the plugin learned"
    count, share = int(run.novel.sum()), 100 * float(run.novel.mean())
    return [("novelty", f"{name}: {count:,} voxels ({share:.2g} %) unlike {reference}")]


def _line(console: Any, head: str, text: str) -> None:
    show_line(console, text, head=head)


def _there(run: ClusterRun) -> list[ClusterSummary]:
    """The clusters, without those whose numbers are only kept from being given again."""
    return [one for one in run.clusters if one.voxels or run.changes is None]


def _cluster_table(run: ClusterRun) -> Table:
    table = make_table(
        *(("#", True), ("voxels", True), ("peaks", True), ("share", True)),
        *((f"with {run.curves.scan.name}", False), ("reads as", False)),
    )
    for cluster in _there(run):
        table.add_row(
            str(cluster.number),
            f"{cluster.voxels:,}",
            f"{cluster.peaks:,}",
            f"{100 * cluster.share:.1f}%",
            cluster.trend,
            cluster.reading,
        )
    return table


def show_rehearsal(found: Rehearsal) -> None:
    """Who would do the work, and where the results would go."""
    console = make_console()
    config, device = found.config, found.device
    _line(console, f"backend {device.device.name}", device.reason)
    _line(console, "clusters", f"{config.clusters}, mode {config.mode}, threshold {config.threshold}")
    _line(console, "would write", f"{config.output}: {', '.join(found.files)}")


def show_stacking(done: Stacking, seconds: dict[str, float]) -> None:
    """The file that was written, and what it depends on."""
    from xtec.core.memory import format_bytes

    console = make_console()
    series = done.series
    shape = " x ".join(map(str, (series.n_temperatures, *series.shape)))
    _line(console, str(done.path), f"{shape} {series.dtype}   {format_bytes(done.nbytes)}")
    for bad in series.dropped:
        _line(console, "note", f"{bad.file} left out: {bad.reason}")
    if done.virtual:
        where = f"{format_bytes(series.nbytes)} in {len(series.rows)} files"
        _line(console, "virtual", f"{where}, each tried; it needs them where they are")
    else:
        _line(console, "copy", f"of {format_bytes(series.nbytes)} in {sum(seconds.values()):.1f} s")
    _line(console, "next", f"xtec cluster {done.path} -o RUN")


def show_inspection(inspection: Inspection) -> None:
    """What is in a series."""
    from xtec.core.memory import format_bytes

    console = make_console()
    series, plan = inspection.series, inspection.plan
    signal = series.source.refs[0]
    files = f"{len(series.inputs)} files, first " if len(series.inputs) > 1 else ""
    _line(console, series.name, f"{files}{series.inputs[0]}")
    _line(console, "signal", f"{signal.file.name}:{signal.path}")
    values = " ".join(f"{value:g}" for value in series.scan.values[:12]) + (
        " ..." if len(series.scan) > 12 else ""
    )
    _line(console, series.scan.name, f"{len(series.scan)}: {values} {series.scan.units}")
    for axis in series.axes:
        low, high = axis.values[0], axis.values[-1]
        _line(console, axis.name, f"{len(axis)}: {low:g} to {high:g} {axis.units}, step {axis.step:.4g}")
    stored = ", ".join(signal.filters) or "uncompressed"
    chunks = "contiguous" if signal.chunks is None else f"chunks {' x '.join(map(str, signal.chunks))}"
    virtual = ", virtual" if signal.virtual else ""
    _line(
        console,
        "stored",
        f"{signal.dtype}, {chunks}, {stored}{virtual}, {format_bytes(series.nbytes)} decompressed",
    )
    for number, line in enumerate(inspection.tree):
        _line(console, "" if number else "tree", line)
    for note in inspection.notes:
        _line(console, "note", note)
    for line in _plan_lines(plan):
        _line(console, "plan", line)


def _plan_lines(plan: RunPlan) -> list[str]:
    """Blocks, memory and time."""
    from xtec.core.memory import format_bytes

    blocks = " x ".join(map(str, plan.block_shape))
    count = "one block of" if plan.n_blocks == 1 else f"{plan.n_blocks} blocks of up to"
    time = f"{plan.seconds:.0f} s" if plan.seconds >= 1 else "under a second"
    spilled = plan.spilled_bytes
    beyond = f", {format_bytes(spilled)} in the scratch folder" if spilled else ""
    return [
        f"{count} {blocks} voxels in {len(plan.shards)} shards, {plan.n_workers} at a time; "
        f"{time} to read at 400 MB/s",
        f"{format_bytes(plan.peak_bytes)} of memory{beyond}, if a tenth of the voxels is kept "
        f"(limit {format_bytes(plan.limit)})",
    ]
