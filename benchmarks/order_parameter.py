"""How often the intervals of Tc and beta hold the truth, on whole simulated series.

Each series is a crystal of its own: Tc, beta, strength of the superlattice, exposure and number of
temperatures are drawn; it is written to a file, clustered with `xtec cluster` as it comes, and read by the
analysis behind `xtec order-parameter`. As many series have no transition.

    python benchmarks/order_parameter.py [--series 200] [--offset 0] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

_LOWEST, _HIGHEST = 30.0, 220.0


@dataclass(frozen=True)
class Outcome:
    """What was planted in a series, and what was found."""

    number: int
    tc: float | None
    beta: float | None
    spacing: float
    counts: float
    strength: float
    n_found: int
    found_tc: float | None = None
    tc_held: bool | None = None
    found_beta: float | None = None
    beta_held: bool | None = None
    kind: str = ""
    q: str = ""


def one_series(number: int, orders: bool) -> Outcome:
    """Simulate, cluster and analyse one series."""
    from xtec.io.run.clustered import read_clustered
    from xtec.io.writing.series import Storage
    from xtec.simulation import Overrides, make_specs
    from xtec_pipelines.cluster import run_cluster
    from xtec_pipelines.config import make_config
    from xtec_pipelines.order_parameter import OrderConfig, find_order
    from xtec_pipelines.simulate import Layout, write_simulation

    logging.disable(logging.WARNING)
    rng = np.random.default_rng([number, int(orders)])
    n = int(rng.integers(14, 30))
    spacing = (_HIGHEST - _LOWEST) / (n - 1)
    tc = float(rng.uniform(_LOWEST + 3 * spacing, _HIGHEST - 3.5 * spacing))
    beta = float(rng.uniform(0.12, 0.5))
    strength, counts = (float(10 ** rng.uniform(-0.5, 0.5)) for _ in range(2))
    planted = {"tc": (tc,), "beta": (beta,), "heights": (5 * strength, 600 * strength)}
    (spec,) = make_specs(
        "tiny",
        Overrides(
            temperatures=(_LOWEST, _HIGHEST),
            n_temperatures=n,
            counts=counts,
            critical=float(rng.choice([0.0, 0.001, 0.002])),
            seed=number,
            **(planted if orders else {"no_transition": True}),
        )
        if orders
        else Overrides(
            temperatures=(_LOWEST, _HIGHEST), n_temperatures=n, counts=counts, seed=number, no_transition=True
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        file, run = Path(folder) / "series.nxs", Path(folder) / "run"
        write_simulation(spec, file, layout=Layout.STACKED, storage=Storage(compression="none"))
        config = {"inputs": (str(file),), "output": str(run), "figures": False}
        run_cluster(make_config(config))
        order = find_order(read_clustered(run), OrderConfig(run=str(run)))
    found = [(one, each) for one in order.order_parameters for each in one.transitions]
    outcome = Outcome(
        number, tc if orders else None, beta if orders else None, spacing, counts, strength, len(found)
    )
    if not found or not orders:
        return outcome
    one, best = max(found, key=lambda pair: pair[0].peaks)
    vectors = order.wave_vectors_of(one)
    return Outcome(
        **{
            **asdict(outcome),
            "found_tc": best.tc.value,
            "tc_held": best.tc.holds(tc),
            "found_beta": best.beta.value if best.beta else None,
            "beta_held": best.beta.holds(beta) if best.beta else None,
            "kind": best.kind,
            "q": vectors[0].text if vectors else "",
        }
    )


def summary(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Shares and medians over all series."""
    planted = [one for one in outcomes if one.tc is not None]
    empty = [one for one in outcomes if one.tc is None]
    seen = [one for one in planted if one.found_tc is not None]
    errors = [abs(one.found_tc - one.tc) / one.spacing for one in seen]  # type: ignore[operator]
    return {
        "series with a transition": len(planted),
        "found": len(seen),
        "one found": sum(one.n_found == 1 for one in seen),
        "Tc held": float(np.mean([one.tc_held for one in seen])),
        "beta held": float(np.mean([bool(one.beta_held) for one in seen])),
        "median error of Tc, spacings": float(np.median(errors)),
        "right wave vector": float(np.mean([one.q == "(1/2, 1/2, 0)" for one in seen])),
        "series without": len(empty),
        "false transition": float(np.mean([one.n_found > 0 for one in empty])) if empty else 0.0,
    }


def main() -> None:
    """Run all series on all cores and print what held."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--offset", type=int, default=0, help="other crystals")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    numbers = range(given.offset, given.offset + given.series)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        tasks = [pool.submit(one_series, number, orders) for orders in (True, False) for number in numbers]
        outcomes = [task.result() for task in tasks]
    for one in outcomes:
        missed = one.tc is not None and not (one.tc_held and one.beta_held)
        if missed or (one.tc is None and one.n_found) or one.n_found > 1:
            print(one)
    for name, value in summary(outcomes).items():
        print(f"{name:<30} {value:.4g}")
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
