"""``xtec unit-cell``: order inside the unit cell, from reflection classes and clusters."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from xtec.core.errors import ConfigError, NothingToClusterError
from xtec.core.order import OrderFindings
from xtec.core.progress import Progress
from xtec.core.reflections import (
    Contingency,
    Halo,
    ReflectionGroup,
    Reflections,
    SelectionRule,
    UnitCellFindings,
)
from xtec.core.results import ClusteredRun
from xtec.core.types import Mode
from xtec.io.run.clustered import read_clustered
from xtec.io.run.findings import write_unit_cell
from xtec.io.run.tables import write_peaks
from xtec.reciprocal import (
    Lattice,
    absent,
    classify,
    contingency,
    find_rules,
    halos,
    make_lattice,
    parse_condition,
)
from xtec_pipelines.findings.broken_symmetry import (
    broken_symmetry,
    broken_symmetry_summary,
    draw_broken_symmetry,
    strongest_peaks,
)
from xtec_pipelines.findings.places import in_reciprocal_space
from xtec_pipelines.logbook import logbook
from xtec_pipelines.order_parameter import OrderConfig, find_order
from xtec_pipelines.run_folder import change_summary, changing, check_run_folder, remove, run_folder

logger = logging.getLogger(__name__)

_AT_NODE = 0.25
"""Distance from integers, along every axis in r.l.u., within which a peak belongs to a Bragg position."""

SCHEMES = ("4n+2", "parity", "zeros")


class UnitCellConfig(BaseModel):
    """What decides the result of ``xtec unit-cell``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    space_group: str | None = None
    classes: tuple[str, ...] = ()
    seed: int = Field(default=0, ge=0)
    broken_symmetry: bool = False
    figures: bool = True


def run_unit_cell(config: UnitCellConfig, progress: Progress | None = None) -> UnitCellFindings:
    """Find reflection classes, selection rules and halos of a run, and write them into its folder.

    Raises
    ------
    ConfigError
        If the axes of the run are not H, K, L, or a space group or an expression cannot be read.
    NothingToClusterError
        If no peak is at a Bragg position.
    XtecError
        If the run cannot be read, or its folder not be written.
    """
    progress = progress or Progress()
    folder = run_folder(config.run)
    with logbook() as book, changing(folder):
        for expression in config.classes:
            parse_condition(expression)  # refused before any work is done
        with progress.stage("open"):
            run = read_clustered(folder)
            check_run_folder(folder)
        if not in_reciprocal_space(run):
            names = ", ".join(axis.name for axis in run.map.axes)
            raise ConfigError(
                f"reflections need axes H, K, L in r.l.u.; this run has {names}",
                file=folder,
                hint="xtec order-parameter",
            )
        with progress.stage("fit"):
            order = find_order(
                run, OrderConfig(run=config.run, symmetry=config.space_group, seed=config.seed)
            )
        with progress.stage("classes"):
            findings = find_unit_cell(run, order, config)
        findings = replace(findings, warnings=tuple(book.warnings))
        with progress.stage("write"):
            remove(folder, "halos.csv", "figures/unit_cell.png", "figures/halos.png")
            remove(folder, "broken_symmetry.csv", "figures/broken_symmetry.png")
            write_unit_cell(folder, findings, config.model_dump(mode="json"))
            write_peaks(folder / "peaks.csv", run)
        if config.figures:
            with progress.stage("draw"):
                draw_unit_cell(folder / "figures", findings)
        change_summary(folder, unit_cell_summary(findings))
    return findings


def find_unit_cell(run: ClusteredRun, order: OrderFindings, config: UnitCellConfig) -> UnitCellFindings:
    """Reflection classes against what orders; nothing is written."""
    lattice = make_lattice(run.sample, run.map.axes, run.map.angles, config.space_group)
    space_group = config.space_group or run.sample.space_group
    groups, group_of_peak = _groups(run, order)
    if len(run.map.axes) < 3:
        logger.warning("an index that the data have no axis for is taken as 0 in reflection classes")
    hkl, peaks = strongest_peaks(run, group_of_peak, _AT_NODE)
    reflections = Reflections(hkl, group_of_peak[peaks], run.peaks.intensity[peaks])
    if not len(hkl):
        raise NothingToClusterError("no peak is at a Bragg position", hint="a larger --region")
    numbers = [group.number for group in groups]
    forbidden = np.zeros(len(reflections.hkl), bool)
    if space_group:
        forbidden = absent(reflections.hkl, space_group)
    bragg = [one for one in order.order_parameters if any(v.is_bragg for v in order.wave_vectors_of(one))]
    return UnitCellFindings(
        run=run.name,
        sample=run.sample,
        scan=run.curves.scan,
        symmetry=order.symmetry,
        space_group=space_group,
        reflections=reflections,
        groups=groups,
        tables=_tables(reflections, numbers, lattice, space_group, config.classes),
        rules=find_rules(reflections, numbers, lattice, space_group or None),
        forbidden=_some(reflections, forbidden),
        halos=_halos(run, lattice),
        transitions=[each.tc for one in bragg for each in one.transitions],
        superlattice=[vector for vector in order.wave_vectors if not vector.is_bragg],
        broken_symmetry=broken_symmetry(run, hkl, peaks, lattice, space_group, config.seed)
        if config.broken_symmetry
        else None,
    )


def _groups(run: ClusteredRun, order: OrderFindings) -> tuple[list[ReflectionGroup], NDArray[np.int16]]:
    """What goes together with temperature, and the group of each peak, 0 for none."""
    group = np.zeros(len(run.peaks.label), np.int16)
    groups: list[ReflectionGroup] = []
    for one in [*order.order_parameters, *order.others]:
        if (group[one.members] != 0).all():
            continue  # another branch of the same peaks
        number = len(groups) + 1
        free = one.members[group[one.members] == 0]
        group[free] = number
        tc = one.transitions[0].tc if one.transitions else None
        groups.append(ReflectionGroup(number, one.clusters, tc, *_mean(run, free)))
    return groups, group


def _mean(run: ClusteredRun, members: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean intensity of the voxels of peaks, and its standard error from counting."""
    voxels = float(run.peaks.size[members].sum())
    mean = run.peaks.intensity[members].sum(axis=0) / voxels
    return mean, np.sqrt(run.count_scale * np.maximum(mean, 0.0) / voxels)


def _some(reflections: Reflections, which: NDArray[np.bool_]) -> Reflections:
    return Reflections(reflections.hkl[which], reflections.label[which], reflections.intensity[which])


def _tables(
    reflections: Reflections,
    numbers: Sequence[int],
    lattice: Lattice,
    space_group: str,
    expressions: Sequence[str],
) -> dict[str, Contingency]:
    """Contingency by each scheme that applies."""
    tables = {}
    for scheme in (*SCHEMES, *(["space-group"] if space_group else [])):
        names, place = classify(reflections.hkl, scheme, lattice, space_group or None)
        tables[scheme] = contingency(place, names, reflections.label, numbers)
    for expression in expressions:
        names, place = classify(reflections.hkl, "expression", expression=expression)
        tables[expression] = contingency(place, names, reflections.label, numbers)
    return tables


def _halos(run: ClusteredRun, lattice: Lattice) -> list[Halo]:
    """Labels around all Bragg positions of the region, by class; where voxels have labels of their own."""
    if run.mode == Mode.PEAKS:
        return []
    ends = [(int(np.ceil(a.values.min() - 1e-9)), int(np.floor(a.values.max() + 1e-9))) for a in run.map.axes]
    places = {"Ql": 2, "Qk": 1, "Qh": 0}
    ranges: list[range] = [range(0, 1)] * 3
    for axis, (low, high) in zip(run.map.axes, ends, strict=True):
        ranges[places[axis.name]] = range(low, high + 1)
    nodes = np.array(np.meshgrid(*ranges, indexing="ij")).reshape(3, -1).T
    if not len(nodes):
        return []
    names, number = classify(nodes, "4n+2", lattice)
    return halos(run.map, nodes, number, names, run.n_clusters)


def unit_cell_summary(findings: UnitCellFindings) -> dict[str, Any]:
    """What is added to summary.json."""
    clusters = {group.number: group for group in findings.groups}
    found = findings.broken_symmetry
    extra = {} if found is None else {"broken_symmetry": broken_symmetry_summary(found)}
    return {
        "unit_cell": {
            "rules": [_rule_summary(rule, clusters[rule.cluster]) for rule in findings.rules if rule.rule],
            "transitions": [tc.as_json() for tc in findings.transitions],
            "superlattice": [vector.text for vector in findings.superlattice],
            "space_group": findings.space_group,
            "forbidden": findings.forbidden.hkl.tolist(),
            "forbidden_that_set_in": findings.forbidden.hkl[_setting_in(findings)].tolist(),
            "halos": [
                {"class": halo.name, "distance": halo.distance.tolist(), "share": halo.share.tolist()}
                for halo in findings.halos
            ],
            "classes": {
                scheme: {
                    "classes": list(table.classes),
                    "clusters": [list(clusters[number].clusters) for number in table.clusters],
                    "counts": table.counts.tolist(),
                    "p_value": table.p_value,
                    "cramers_v": table.cramers_v,
                }
                for scheme, table in findings.tables.items()
            },
            **extra,
        }
    }


def _setting_in(findings: UnitCellFindings) -> NDArray[np.bool_]:
    """Which forbidden reflections are of a group that orders."""
    ordering = [group.number for group in findings.groups if group.tc is not None]
    return np.isin(findings.forbidden.label, ordering)


def _rule_summary(rule: SelectionRule, group: ReflectionGroup) -> dict[str, Any]:
    return {
        "cluster": group.clusters[0],
        "clusters": list(group.clusters),
        "tc": None if group.tc is None else group.tc.as_json(),
        "rule": rule.rule,
        "purity": rule.purity,
        "reflections": rule.reflections,
        "matched": rule.matched,
        "exceptions": rule.exceptions.tolist(),
        "significance": rule.significance,
    }


def draw_unit_cell(folder: Path, findings: UnitCellFindings) -> None:
    """Classes against clusters, and halos."""
    from xtec.plotting import plot_halos, plot_unit_cell, save_figure

    folder.mkdir(exist_ok=True)
    figure = plot_unit_cell(findings.tables.values(), findings.groups, findings.scan)
    save_figure(figure, folder / "unit_cell.png")
    if findings.halos:
        save_figure(plot_halos(findings.halos), folder / "halos.png")
    if findings.broken_symmetry is not None:
        draw_broken_symmetry(folder, findings.broken_symmetry)
