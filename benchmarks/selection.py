"""How often ``-k auto`` finds what was planted: twenty simulated series, modes d and s.

    python benchmarks/selection.py [--mode d s] [--series 0 1 2] [-o FILE.json]

A series passes if every cluster is at least 95 % one class and there are at most two clusters more than
classes; one without a transition, if besides no cluster is said to order. See `selection_series` for what
counts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from selection_series import CONTENTS, Origins, counts_by_class, make_spec

from xtec.core.results import ClusterRun
from xtec.io.writing.series import Storage, write_stacked
from xtec.peaks import connect
from xtec.simulation import SimulatedSeries
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config

PURE = 0.95
MORE = 2


def measure(number: int, mode: str, folder: Path, offset: int) -> dict[str, Any]:
    """Cluster one series and hold it against what was planted."""
    spec = make_spec(number, offset)
    path = folder / f"{number}.nxs"
    if not path.exists():
        write_stacked(path, SimulatedSeries(spec), Storage(compression="none"))
    began = time.perf_counter()
    output = str(folder / f"{number}_{mode}")
    options = {"mode": mode, "clusters": "auto", "figures": False, "force": True}
    run = run_cluster(make_config({"inputs": [str(path)], "output": output, **options}))
    seconds = time.perf_counter() - began
    table = _table(run, Origins.of(spec, run.map.index), mode)
    counted = table[:, -1]
    purity = table[:, :-1].max(axis=1) / np.maximum(counted, 1)
    orders = any(one.order_parameter for one in run.clusters)
    content = CONTENTS[number]
    worst = float(purity[counted > 0].min())
    return {
        "series": number,
        "mode": mode,
        "classes": content.n_classes,
        "clusters": len(run.clusters),
        "worst purity": worst,
        "purity": float(table[:, :-1].max(axis=1).sum() / counted.sum()),
        "orders": orders,
        "passed": worst >= PURE
        and len(run.clusters) <= content.n_classes + MORE
        and (orders == bool(content.tc)),
        "seconds": seconds,
        "select seconds": run.process["timings"]["select"],
        "cluster seconds": run.process["timings"]["cluster"],
    }


def _table(run: ClusterRun, origins: Origins, mode: str) -> np.ndarray:
    label = run.map.label.astype(np.int64) - 1
    if mode == "s":
        # Neighbours that go opposite ways are of different peaks, and then of different clusters.
        touching = connect(run.map.index, run.map.shape)
        _, peak = np.unique(touching * len(run.clusters) + label, return_inverse=True)
        n_peaks = int(peak.max()) + 1
        origins, first = origins.pooled(peak, n_peaks), np.unique(peak, return_index=True)[1]
        label = label[first]
    return counts_by_class(label, origins.truth(), len(run.clusters), len(origins.names))


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", nargs="+", default=["d", "s"])
    parser.add_argument("--series", nargs="+", type=int, default=range(len(CONTENTS)))
    parser.add_argument("--offset", type=int, default=0, help="other crystals and noise [0]")
    parser.add_argument("-o", "--output", type=Path)
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for mode in asked.mode:
            for number in asked.series:
                rows.append(measure(number, mode, Path(folder), asked.offset))
                row = rows[-1]
                print(
                    f"{row['series']:2d} {mode}  classes {row['classes']}  clusters {row['clusters']:2d}  "
                    f"worst {row['worst purity']:.3f}  all {row['purity']:.3f} "
                    f" orders {row['orders']!s:5}  {'pass' if row['passed'] else 'FAIL'}  "
                    f"{row['seconds']:.1f} s "
                    f"(select {row['select seconds']:.1f}, cluster {row['cluster seconds']:.1f})",
                    flush=True,
                )
            mine = [row for row in rows if row["mode"] == mode]
            print(f"mode {mode}: {sum(row['passed'] for row in mine)} of {len(mine)}")
    if asked.output:
        asked.output.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
