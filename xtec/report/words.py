"""A run in plain words: what was found, and what to doubt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xtec.report.templates import quantity

LEAST_CERTAIN = 0.9
"""Labels below this probability count as uncertain."""

Summary = Mapping[str, Any]


def findings(summary: Summary) -> list[str]:
    """Sentences on what was kept, what the clusters are, and what orders where.

    Parameters
    ----------
    summary : mapping
        What summary.json holds.
    """
    total, kept, clusters = summary["n_total"], summary["n_kept"], summary["clusters"]
    lines = [
        f"Of {total:,} voxels {kept:,} ({kept / max(total, 1):.1%}) were kept; "
        f"their trajectories fall into {counted(len(clusters), 'cluster')}."
    ]
    if "order_parameters" in summary:
        lines += [_transition(one, summary) for one in summary["order_parameters"]]
        if not summary["order_parameters"]:
            lines.append("No cluster behaves like an order parameter.")
    else:
        ordering = [one for one in clusters if one["order_parameter"]]
        lines += [f"Cluster {one['number']} may order: {one['trend']}, {one['reading']}." for one in ordering]
        if not ordering:
            lines.append("At first sight no cluster behaves like an order parameter.")
    lines += _rules(summary.get("unit_cell"))
    return lines


def _transition(one: Mapping[str, Any], summary: Summary) -> str:
    numbers = one.get("clusters") or [one["cluster"]]
    who = f"{'Clusters' if len(numbers) > 1 else 'Cluster'} {', '.join(map(str, numbers))}"
    vectors = [
        vector
        for vector in summary.get("wave_vectors", [])
        if set(vector.get("clusters") or [vector["cluster"]]) & set(numbers)
    ]
    where = " at q = " + " and ".join(vector_text(vector) for vector in vectors[:2]) if vectors else ""
    branch = f" on {one['branch']}" if one.get("branch") else ""
    if one["tc"] is None or one["kind"] == "none":
        return f"{who}: no transition could be given{branch}."
    sign = "below" if one.get("side", "below") == "below" else "above"
    beta = f", beta = {quantity(one['beta'])}" if one["beta"] else ""
    return (
        f"{who} ({counted(one['peaks'], 'peak')}) order{'' if len(numbers) > 1 else 's'} {sign} "
        f"{quantity(one['tc'])}{branch}{where}: {one['kind']}{beta}."
    )


def counted(n: int, what: str) -> str:
    """``1 cluster``, ``522 peaks``."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def vector_text(vector: Mapping[str, Any]) -> str:
    """``(1/2, 1/2, 0)``: fractions where q is one, else numbers."""
    return "(" + ", ".join(map(_component, vector["fraction"], vector["q"])) + ")"


def _component(fraction: str | None, value: float | None) -> str:
    if fraction is not None:
        return fraction
    return "?" if value is None else f"{value:.4g}"


def _rules(unit_cell: Mapping[str, Any] | None) -> list[str]:
    """Rules that pick out the reflections of a cluster."""
    if not unit_cell:
        return []
    told = [one for one in unit_cell["rules"] if one["rule"] not in (None, "no rule")]
    return [f"The reflections of cluster {one['cluster']} follow {one['rule']}." for one in told]


def doubts(summary: Summary, uncertain: float) -> list[str]:
    """What a reader should not rely on.

    Parameters
    ----------
    summary : mapping
        What summary.json holds.
    uncertain : float
        Share of the kept voxels whose label has a probability below 0.9.
    """
    status, lines = summary["status"], []
    if status.get("state") != "done":
        lines.append(f"The run is {status.get('state')}: more may follow.")
    if not status.get("converged", True):
        lines.append("The mixture did not converge: more iterations (--max-iter) may change the labels.")
    lines += status.get("warnings", [])
    if summary.get("dropped"):
        lines.append("Left out: " + "; ".join(map(str, summary["dropped"])) + ".")
    if uncertain > 0.05:
        lines.append(
            f"{uncertain:.0%} of the kept voxels have a label less than {LEAST_CERTAIN:.0%} probable."
        )
    if summary.get("selection") is None:
        lines.append("The number of clusters was given, not chosen: xtec select finds one and says why.")
    for one in summary.get("order_parameters", []):
        lines += _doubts_of(one)
    if "order_parameters" not in summary:
        lines.append("Onsets are first estimates: xtec order-parameter fits them, with intervals.")
    return lines


def _doubts_of(one: Mapping[str, Any]) -> list[str]:
    tc, lines = one["tc"], []
    if tc is None:
        return []
    if tc["low"] is None or tc["high"] is None:
        lines.append(
            f"The Tc of cluster {one['cluster']} has no interval on one side: too few temperatures there."
        )
    if one["kind"] == "crossover":
        lines.append(f"Cluster {one['cluster']} fades smoothly: a crossover, its Tc is where it bends.")
    return lines


def boundaries(summary: Summary) -> list[str]:
    """Sentences on the boundaries of a phase diagram, and on samples without a transition."""
    diagram = summary["phase_diagram"]
    ordered = {one["name"] for one in diagram["samples"] if one["tc"]}
    others = {one["name"] for one in diagram["samples"]} - ordered
    lines = [f"{counted(len(ordered), 'sample')} of {len(ordered | others)} with a transition."]
    for one in diagram["boundaries"]:
        ends = [("T0", one["t0"]), ("xc", one["xc"]), ("phi", one["phi"])]
        told = ", ".join(f"{name} = {quantity(value)}" for name, value in ends if value)
        lines.append(f"{one['name']}: {told or 'no boundary can be given'}.")
    return lines


def diagram_doubts(summary: Summary) -> list[str]:
    """Samples that were left out, boundaries that the samples scatter about, warnings."""
    left_out = [f"{name} was left out: {why}." for name, why in summary["failed"].items()]
    drawn = summary["phase_diagram"]["boundaries"]
    notes = [f"{one['name']}: {one['note']}." for one in drawn if one["note"]]
    return [*left_out, *notes, *summary["status"]["warnings"]]
