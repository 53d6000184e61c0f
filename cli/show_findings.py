"""Tables of what was read off the clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xtec.core.order import OrderFindings, OrderParameter, WaveVector
    from xtec.core.reflections import BrokenSymmetry, UnitCellFindings
    from xtec_pipelines.phase_diagram import DiagramFindings


_WIDE = 120
"""Columns of a table that goes to a file."""


def _console() -> Any:
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDE)


def _table(*columns: tuple[str, bool]) -> Any:
    """A plain table; columns by title and whether they hold numbers."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title, number in columns:
        table.add_column(title, justify="right" if number else "left")
    return table


def _finished(console: Any, folder: str, files: str, seconds: dict[str, float]) -> None:
    console.print(f"{folder}: {files}   in {sum(seconds.values()):.1f} s", soft_wrap=True, markup=False)


def show_order(findings: OrderFindings, folder: str, seconds: dict[str, float]) -> None:
    """Order parameters, wave vectors, and why the other clusters are none."""
    console = _console()
    if findings.order_parameters:
        console.print(_order_table(findings))
    else:
        console.print("no cluster behaves like an order parameter")
    for number, one in enumerate(findings.order_parameters if findings.method else (), start=1):
        console.print(f"{findings.method['name']} {number}: {one.reason}", soft_wrap=True, markup=False)
    if findings.wave_vectors:
        console.print(_vector_table(findings))
        console.print(f"symmetry  {findings.symmetry}", markup=False)
    for one in findings.others:
        numbers = ", ".join(map(str, one.clusters))
        branch = f", {one.branch}" if one.branch else ""
        console.print(f"cluster {numbers}{branch}: none, {one.reason}", soft_wrap=True, markup=False)
    files = "order_parameter.nxs, order_parameter.csv, wave_vectors.csv, peaks.csv"
    _finished(console, folder, files, seconds)


def _order_table(findings: OrderFindings) -> Any:
    from xtec.core.wording import plain

    units = findings.order_parameters[0].scan.units
    branches = any(one.branch for one in findings.order_parameters)
    table = _table(
        ("#", True),
        ("clusters", False),
        *([("branch", False)] if branches else []),
        ("peaks", True),
        ("kind", False),
        ("Tc (K)" if units == "K" else f"onset ({units})" if units else "onset", False),
        ("beta", False),
        ("q", False),
        ("tail", False),
    )
    for number, one in enumerate(findings.order_parameters, start=1):
        q = ", ".join(vector.text for vector in findings.wave_vectors_of(one)[:3])
        for each in one.transitions:
            table.add_row(
                str(number),
                ", ".join(map(str, one.clusters)),
                *([one.branch] if branches else []),
                f"{one.peaks:,}",
                each.kind + (" (above)" if one.side == "above" else ""),
                plain(each.tc),
                plain(each.beta),
                q,
                _tail(one),
            )
    return table


def _tail(one: OrderParameter) -> str:
    return "-" if one.tail is None else f"{100 * one.tail.value:.1f} %"


def _vector_table(findings: OrderFindings) -> Any:
    table = _table(
        ("q", False),
        ("H K L (r.l.u.)", False),
        ("arms", True),
        ("peaks", True),
        ("zones", True),
        ("clusters", False),
    )
    for vector in findings.wave_vectors:
        table.add_row(
            vector.text,
            _decimals(vector),
            f"{len(vector.arms)} of {vector.multiplicity}",
            f"{vector.peaks:,}",
            f"{vector.zones} of {vector.zones_measured}",
            ", ".join(map(str, vector.clusters)),
        )
    return table


def _decimals(vector: WaveVector) -> str:
    parts = zip(vector.q, vector.uncertainty, strict=True)
    return "  ".join("?" if q != q else f"{q:.4f}({error:.4f})" for q, error in parts)


def show_unit_cell(findings: UnitCellFindings, folder: str, seconds: dict[str, float]) -> None:
    """Reflection classes against groups, and the rules that tell them apart."""
    console = _console()
    name, table = max(findings.tables.items(), key=lambda item: item[1].information)
    shown = _table(("reflections", False), *((group.text, True) for group in findings.groups))
    for label, counts in zip(table.classes, table.counts, strict=True):
        shown.add_row(label, *(f"{count:,}" if count else "" for count in counts))
    console.print(shown)
    strength = f"{table.information:.2f} bits about the cluster, p = {table.p_value:.1g}"
    console.print(f"classes by {name}: {strength}", markup=False)
    console.print(_rule_table(findings))
    if findings.space_group:
        ordering = {group.number for group in findings.groups if group.tc is not None}
        n, n_order = (
            len(findings.forbidden.hkl),
            sum(int(label) in ordering for label in findings.forbidden.label),
        )
        there = f"{n} reflections forbidden in {findings.space_group} are there, {n_order} of them set in"
        console.print(there, markup=False)
    for vector in findings.superlattice:
        console.print(f"superlattice as well: q = {vector.text}, {vector.peaks} peaks", markup=False)
    if findings.broken_symmetry is not None:
        _show_broken(console, findings.broken_symmetry)
    if not findings.halos:
        console.print("halos: xtec cluster --mode d gives voxels around the peaks labels of their own")
    files = "unit_cell.nxs, selection_rules.csv, reflection_classes.csv, reflections.csv"
    if findings.broken_symmetry is not None:
        files += ", broken_symmetry.csv"
    _finished(console, folder, files, seconds)


def _show_broken(console: Any, found: BrokenSymmetry) -> None:
    """Operations that are broken somewhere, the subgroups, and what cannot be seen."""
    coldest = int(found.scan.values.argmin())
    units = f" {found.scan.units}" if found.scan.units else ""
    table = _table(
        ("broken operation", False),
        ("up to", True),
        ("weight", True),
        ("95 %", True),
        ("R", True),
        ("correlation", True),
        ("I/sigma", True),
    )
    for g in found.broken.any(axis=0).nonzero()[0]:
        if found.names[g].endswith(", reversed"):
            continue
        table.add_row(
            found.names[g],
            f"{found.onset(g):g}{units}",
            f"{found.weights[coldest, g]:.2f}",
            f"{found.low[coldest, g]:.2f} - {found.high[coldest, g]:.2f}",
            *(
                "" if one != one else f"{one:.{digits}f}"
                for one, digits in (
                    (found.disagreement[coldest, g], 3),
                    (found.correlation[coldest, g], 3),
                    (found.forbidden_over_sigma[coldest, g], 1),
                )
            ),
        )
    if found.broken.any():
        console.print(table)
    else:
        console.print(f"no operation of {found.group} is seen to be broken", markup=False)
    for below, above, after, before in found.changes:
        line = f"between {above:g} and {below:g}{units}: {before} -> {after}"
        console.print(line, soft_wrap=True, markup=False)
    for line in found.unseen:
        console.print(f"not seen: {line}", soft_wrap=True, markup=False)


def _rule_table(findings: UnitCellFindings) -> Any:
    from xtec.core.wording import plain

    table = _table(
        ("clusters", False),
        ("Tc", False),
        ("rule", False),
        ("reflections", True),
        ("purity", True),
        ("exceptions", False),
    )
    groups = {group.number: group for group in findings.groups}
    for rule in findings.rules:
        group = groups[rule.cluster]
        if not rule.reflections:
            continue
        listed = ", ".join(" ".join(map(str, hkl)) for hkl in rule.exceptions[:3])
        more = f", {len(rule.exceptions) - 3} more" if len(rule.exceptions) > 3 else ""
        table.add_row(
            ", ".join(map(str, group.clusters)),
            plain(group.tc),
            rule.rule or "no rule",
            f"{rule.matched} of {rule.reflections}",
            f"{rule.purity:.2f}" if rule.rule else "",
            listed + more if rule.rule else "",
        )
    return table


def show_diagram(findings: DiagramFindings, folder: str, seconds: dict[str, float]) -> None:
    """Transitions of all samples, and the boundaries through them."""
    from xtec.core.wording import plain

    console = _console()
    diagram = findings.diagram
    unit = f" ({diagram.units})" if diagram.units else ""
    table = _table(
        ("sample", False),
        (f"{diagram.variable}{unit}", True),
        (f"Tc ({diagram.temperature_units})", False),
        ("beta", False),
        ("kind", False),
        ("boundary", False),
    )
    for point in diagram.points:
        limit = "-" if point.upper_limit is None else f"< {point.upper_limit:g}"
        tc = limit if point.tc is None else plain(point.tc)
        kind = point.kind or ("not known" if point.upper_limit is None else "none")
        table.add_row(point.name, f"{point.x:g}", tc, plain(point.beta), kind, point.boundary)
    console.print(table)
    for one in diagram.boundaries:
        parts = [
            f"{name} = {plain(value)}"
            for name, value in (("T0", one.t0), ("xc", one.xc), ("phi", one.phi))
            if value
        ]
        law = ", ".join(parts) or "no boundary"
        console.print(f"{one.name or 'no transition'}: {law}", soft_wrap=True, markup=False)
        if one.note:
            console.print(f"  {one.note}", soft_wrap=True, markup=False)
    for item, why in (findings.failed or {}).items():
        console.print(f"left out: {item}, {why}", soft_wrap=True, markup=False)
    _finished(console, folder, "phase_diagram.nxs, .csv, .nc, .png, .svg", seconds)
