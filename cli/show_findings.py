"""Tables of what was read off the clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xtec_cli.layout import make_console, make_table, show_line, show_table

if TYPE_CHECKING:
    from xtec.core.order import OrderFindings, OrderParameter, WaveVector
    from xtec.core.reflections import BrokenSymmetry, UnitCellFindings
    from xtec_pipelines.phase_diagram import DiagramFindings


def _finished(console: Any, folder: str, files: str, seconds: dict[str, float]) -> None:
    show_line(console, f"{folder}: {files}   in {sum(seconds.values()):.1f} s", width=0)


def show_order(findings: OrderFindings, folder: str, seconds: dict[str, float]) -> None:
    """Order parameters, wave vectors, and why the other clusters are none."""
    console = make_console()
    if findings.order_parameters:
        show_table(console, _order_table(findings))
    else:
        show_line(console, "no cluster behaves like an order parameter", width=0)
    for number, one in enumerate(findings.order_parameters if findings.method else (), start=1):
        show_line(console, f"{findings.method['name']} {number}: {one.reason}", width=0)
    if findings.wave_vectors:
        show_table(console, _vector_table(findings))
        show_line(console, f"symmetry  {findings.symmetry}", width=0)
    for one in findings.others:
        numbers = ", ".join(map(str, one.clusters))
        branch = f", {one.branch}" if one.branch else ""
        show_line(console, f"cluster {numbers}{branch}: none, {one.reason}", width=0)
    files = "order_parameter.nxs, order_parameter.csv, wave_vectors.csv, peaks.csv"
    _finished(console, folder, files, seconds)


def _order_table(findings: OrderFindings) -> Any:
    from xtec.core.wording import plain

    units = findings.order_parameters[0].scan.units
    branches = any(one.branch for one in findings.order_parameters)
    table = make_table(
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
    table = make_table(
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
    console = make_console()
    name, table = max(findings.tables.items(), key=lambda item: item[1].information)
    shown = make_table(("reflections", False), *((group.text, True) for group in findings.groups))
    for label, counts in zip(table.classes, table.counts, strict=True):
        shown.add_row(label, *(f"{count:,}" if count else "" for count in counts))
    show_table(console, shown)
    strength = f"{table.information:.2f} bits about the cluster, p = {table.p_value:.1g}"
    show_line(console, f"classes by {name}: {strength}", width=0)
    show_table(console, _rule_table(findings))
    if findings.space_group:
        ordering = {group.number for group in findings.groups if group.tc is not None}
        n, n_order = (
            len(findings.forbidden.hkl),
            sum(int(label) in ordering for label in findings.forbidden.label),
        )
        there = f"{n} reflections forbidden in {findings.space_group} are there, {n_order} of them set in"
        show_line(console, there, width=0)
    for vector in findings.superlattice:
        show_line(console, f"superlattice as well: q = {vector.text}, {vector.peaks} peaks", width=0)
    if findings.broken_symmetry is not None:
        _show_broken(console, findings.broken_symmetry)
    if not findings.halos:
        show_line(
            console, "halos: xtec cluster --mode d gives voxels around the peaks labels of their own", width=0
        )
    files = "unit_cell.nxs, selection_rules.csv, reflection_classes.csv, reflections.csv"
    if findings.broken_symmetry is not None:
        files += ", broken_symmetry.csv"
    _finished(console, folder, files, seconds)


def _show_broken(console: Any, found: BrokenSymmetry) -> None:
    """Operations that are broken somewhere, the subgroups, and what cannot be seen."""
    coldest = int(found.scan.values.argmin())
    units = f" {found.scan.units}" if found.scan.units else ""
    table = make_table(
        ("broken operation", False),
        ("up to", True),
        ("weight", True),
        ("95 %", True),
        ("R", True),
        ("correlation", True),
        ("I/sigma", True),
    )
    for g, name in enumerate(found.names):
        if not found.broken[:, g].any() or name.endswith(", reversed"):
            continue
        table.add_row(
            name,
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
        show_table(console, table)
    else:
        show_line(console, f"no operation of {found.group} is seen to be broken", width=0)
    for below, above, after, before in found.changes:
        line = f"between {above:g} and {below:g}{units}: {before} -> {after}"
        show_line(console, line, width=0)
    for line in found.unseen:
        show_line(console, f"not seen: {line}", width=0)


def _rule_table(findings: UnitCellFindings) -> Any:
    from xtec.core.wording import plain

    table = make_table(
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

    console = make_console()
    diagram = findings.diagram
    unit = f" ({diagram.units})" if diagram.units else ""
    table = make_table(
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
    show_table(console, table)
    for one in diagram.boundaries:
        parts = [
            f"{name} = {plain(value)}"
            for name, value in (("T0", one.t0), ("xc", one.xc), ("phi", one.phi))
            if value
        ]
        law = ", ".join(parts) or "no boundary"
        show_line(console, f"{one.name or 'no transition'}: {law}", width=0)
        if one.note:
            show_line(console, f"  {one.note}", width=0)
    for item, why in (findings.failed or {}).items():
        show_line(console, f"left out: {item}, {why}", width=0)
    _finished(console, folder, "phase_diagram.nxs, .csv, .nc, .png, .svg", seconds)
