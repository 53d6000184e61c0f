"""Findings as tables: the same rows go to CSV, NeXus and pandas."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from xtec.core.axes import Axis
from xtec.core.order import OrderFindings, OrderParameter
from xtec.core.quantities import Quantity
from xtec.core.reflections import UnitCellFindings
from xtec.core.results import ClusteredRun
from xtec.io.disk.atomic import replacing
from xtec.io.nexus.writer import new_data

if TYPE_CHECKING:
    import pandas as pd

_LETTERS = ("H", "K", "L")


def _interval(name: str) -> list[str]:
    return [name, f"{name}_low", f"{name}_high"]


_TRANSITION = [
    *("order_parameter", "clusters", "branch", "side", "kind", *_interval("tc"), *_interval("beta")),
    *("amplitude", *_interval("width"), *_interval("tail"), "peaks", "reason"),
]
_PLACE = [*_LETTERS, *(f"{letter}_error" for letter in _LETTERS)]
_VECTOR = [
    "wave_vector",
    "order_parameter",
    "clusters",
    *_PLACE,
    "fraction",
    "peaks",
    "arms",
    "multiplicity",
    "zones",
    "zones_measured",
]
_ARM = ["wave_vector", *_PLACE, "peaks", "zones"]
_CURVE = ["order_parameter", "branch", "intensity", "error", "fit"]
_RULE = [
    "group",
    "clusters",
    *_interval("tc"),
    "rule",
    "reflections",
    "matched",
    "purity",
    "significance",
    "exceptions",
]
_MOST_ROWS = 2_000_000
"""Rows of a CSV of peaks; more would be gigabytes of text."""


def spread_out(name: str, quantity: Quantity | None) -> dict[str, float]:
    """Columns of a quantity: its value and the ends of its interval, NaN where there is none."""
    parts = (None, None, None) if quantity is None else (quantity.value, quantity.low, quantity.high)
    numbers = [np.nan if part is None else part for part in parts]
    return dict(zip((name, f"{name}_low", f"{name}_high"), numbers, strict=True))


def transitions(found: Sequence[OrderParameter]) -> pd.DataFrame:
    """One row a transition."""
    import pandas as pd

    rows = [
        {
            "order_parameter": number,
            "clusters": " ".join(map(str, one.clusters)),
            "branch": one.branch,
            "side": one.side,
            "kind": each.kind,
            **spread_out("tc", each.tc),
            **spread_out("beta", each.beta),
            "amplitude": each.amplitude.value,
            **spread_out("width", each.width),
            **spread_out("tail", one.tail),
            "peaks": one.peaks,
            "reason": one.reason,
        }
        for number, one in enumerate(found, start=1)
        for each in one.transitions
    ]
    return pd.DataFrame(rows, columns=_TRANSITION)


def curves(found: Sequence[OrderParameter]) -> pd.DataFrame:
    """Measured intensities, one row a temperature and order parameter."""
    import pandas as pd

    parts = [
        pd.DataFrame(
            {
                "order_parameter": number,
                "branch": one.branch,
                one.scan.name: one.scan.values,
                "intensity": one.intensity,
                "error": one.error,
                "fit": one.fitted,
            }
        )
        for number, one in enumerate(found, start=1)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_CURVE)


def wave_vectors(findings: OrderFindings) -> pd.DataFrame:
    """One row a wave vector."""
    import pandas as pd

    rows = [
        {
            "wave_vector": number,
            "order_parameter": vector.order_parameter,
            "clusters": " ".join(map(str, vector.clusters)),
            **dict(zip(_LETTERS, vector.q, strict=True)),
            **{f"{letter}_error": error for letter, error in zip(_LETTERS, vector.uncertainty, strict=True)},
            "fraction": vector.text,
            "peaks": vector.peaks,
            "arms": len(vector.arms),
            "multiplicity": vector.multiplicity,
            "zones": vector.zones,
            "zones_measured": vector.zones_measured,
        }
        for number, vector in enumerate(findings.wave_vectors, start=1)
    ]
    return pd.DataFrame(rows, columns=_VECTOR)


def arms(findings: OrderFindings) -> pd.DataFrame:
    """One row a member of a star that was found."""
    import pandas as pd

    rows = [
        {
            "wave_vector": number,
            **dict(zip(_LETTERS, arm.q, strict=True)),
            **{f"{letter}_error": error for letter, error in zip(_LETTERS, arm.uncertainty, strict=True)},
            "peaks": arm.peaks,
            "zones": arm.zones,
        }
        for number, vector in enumerate(findings.wave_vectors, start=1)
        for arm in vector.arms
    ]
    return pd.DataFrame(rows, columns=_ARM)


def onsets(findings: OrderFindings) -> pd.DataFrame:
    """One row a peak whose own curve shows an onset."""
    import pandas as pd

    found = findings.onsets
    if found is None:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            "peak": found.peak + 1,
            "order_parameter": found.order_parameter,
            "tc": found.tc,
            "tc_low": found.low,
            "tc_high": found.high,
        }
    )


def peaks(run: ClusteredRun) -> pd.DataFrame:
    """One row a peak and temperature: what was measured of its intensity, place and shape."""
    import pandas as pd

    table, scan, axes = run.peaks, run.curves.scan, run.map.axes
    n_peaks, n_scan = table.intensity.shape
    letters = [
        axis.name.removeprefix("Q").upper() if axis.name.startswith("Q") else axis.name for axis in axes
    ]
    frame = pd.DataFrame(
        {
            "peak": np.repeat(np.arange(1, n_peaks + 1), n_scan),
            "cluster": np.repeat(table.label, n_scan),
            "voxels": np.repeat(table.size, n_scan),
            **{letter: np.repeat(table.centroid[:, i], n_scan) for i, letter in enumerate(letters)},
            scan.name: np.tile(scan.values, n_peaks),
            "intensity": table.intensity.ravel(),
            "maximum": table.maximum.ravel(),
            "spread": table.spread.ravel(),
        }
    )
    rows = (table.shapes.peak[:, None] * n_scan + np.arange(n_scan)).ravel()
    for name in ("displacement", "width", "asymmetry"):
        values = getattr(table.shapes, name)
        for i, letter in enumerate(letters):
            column = np.full(len(frame), np.nan, np.float32)
            column[rows] = values[..., i].ravel()
            frame[f"{name}_{letter}"] = column
    return frame


def rules(findings: UnitCellFindings) -> pd.DataFrame:
    """One row a selection rule."""
    import pandas as pd

    rows = [
        {
            "group": rule.cluster,
            "clusters": " ".join(map(str, group.clusters)),
            **spread_out("tc", group.tc),
            "rule": rule.rule,
            "reflections": rule.reflections,
            "matched": rule.matched,
            "purity": rule.purity,
            "significance": rule.significance,
            "exceptions": "; ".join(" ".join(map(str, hkl)) for hkl in rule.exceptions),
        }
        for rule in findings.rules
        for group in findings.groups
        if group.number == rule.cluster
    ]
    return pd.DataFrame(rows, columns=_RULE)


def contingencies(findings: UnitCellFindings) -> pd.DataFrame:
    """One row a class and group."""
    import pandas as pd

    rows = [
        {
            "scheme": scheme,
            "class": name,
            "group": group,
            "reflections": int(table.counts[i, j]),
            "share": table.counts[i, j] / max(int(table.counts[i].sum()), 1),
            "p_value": table.p_value,
            "cramers_v": table.cramers_v,
        }
        for scheme, table in findings.tables.items()
        for i, name in enumerate(table.classes)
        for j, group in enumerate(table.clusters)
    ]
    return pd.DataFrame(rows)


def reflections(findings: UnitCellFindings) -> pd.DataFrame:
    """One row a reflection."""
    import pandas as pd

    found = findings.reflections
    clusters = {group.number: " ".join(map(str, group.clusters)) for group in findings.groups}
    tc = {group.number: None if group.tc is None else group.tc.value for group in findings.groups}
    low, high = int(np.argmin(findings.scan.values)), int(np.argmax(findings.scan.values))
    forbidden = {tuple(hkl) for hkl in findings.forbidden.hkl.tolist()}
    return pd.DataFrame(
        {
            **{letter: found.hkl[:, i] for i, letter in enumerate(_LETTERS)},
            "group": found.label,
            "clusters": [clusters[int(label)] for label in found.label],
            "intensity_low": found.intensity[:, low],
            "intensity_high": found.intensity[:, high],
            "forbidden": [tuple(hkl) in forbidden for hkl in found.hkl.tolist()],
            "tc": [np.nan if tc[int(label)] is None else tc[int(label)] for label in found.label],
        }
    )


def halo_shells(findings: UnitCellFindings) -> pd.DataFrame:
    """One row a class, shell and label."""
    import pandas as pd

    rows = [
        {"class": halo.name, "distance": distance, "cluster": label, "share": share}
        for halo in findings.halos
        for distance, shares in zip(halo.distance, halo.share, strict=True)
        for label, share in enumerate(shares)
    ]
    return pd.DataFrame(rows)


def write_peaks(path: Path, run: ClusteredRun) -> bool:
    """Write ``peaks.csv`` with six digits; False, and nothing written, if it would be gigabytes."""
    if run.peaks.intensity.size > _MOST_ROWS:
        return False
    write_csv(path, peaks(run), digits=6)
    return True


def write_csv(path: Path, frame: pd.DataFrame, digits: int = 9) -> None:
    """Write a table as CSV, whole or not at all.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False, float_format=f"%.{digits}g")


def write_table(
    entry: h5py.Group,
    name: str,
    frame: pd.DataFrame,
    signal: str,
    title: str,
    units: Mapping[str, str] | None = None,
) -> None:
    """Write a table as NXdata, its rows numbered; nothing for an empty one.

    `units` are those of quantities; they hold for the ends of their intervals and for their errors too.
    """
    if frame.empty:
        return
    number = Axis(f"{name}_number", np.arange(1, len(frame) + 1, dtype=np.float64))
    group = new_data(entry, name, title=title, signals=[signal], axes=[number])
    for column in frame.columns:
        values = frame[column].to_numpy()
        if values.dtype.kind in "biuf":
            group[column] = values
        else:
            group.create_dataset(column, data=values.astype(object), dtype=h5py.string_dtype())
        unit = (units or {}).get(re.sub("_(low|high|error)$", "", column), "")
        if unit:
            group[column].attrs["units"] = unit
