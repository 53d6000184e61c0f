"""Broken operations as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xtec.core.reflections import UnitCellFindings

if TYPE_CHECKING:
    import pandas as pd


def operations(findings: UnitCellFindings) -> pd.DataFrame:
    """One row an operation and temperature; none where it was not asked for.

    Columns are the weight and its interval, whether the operation is broken or has too few reflections that
    tell, the plain comparisons beside it (correlation and disagreement of equivalents, I/sigma of forbidden
    reflections), what they rest on, and the largest subgroup left at that temperature.
    """
    import pandas as pd

    found = findings.broken_symmetry
    if found is None:
        return pd.DataFrame()
    n_times, n_operations = found.weights.shape

    def along(values: object) -> np.ndarray:
        """Of each operation, for all temperatures."""
        return np.repeat(np.asarray(values), n_times)

    return pd.DataFrame(
        {
            "operation": along(found.triplets),
            "name": along(found.names),
            found.scan.name: np.tile(found.scan.values, n_operations),
            "weight": found.weights.T.ravel(),
            "weight_low": found.low.T.ravel(),
            "weight_high": found.high.T.ravel(),
            "broken": found.broken.T.ravel(),
            "tested": along(found.tested),
            "correlation": found.correlation.T.ravel(),
            "disagreement": found.disagreement.T.ravel(),
            "forbidden_over_sigma": found.forbidden_over_sigma.T.ravel(),
            "pairs": along(found.pairs),
            "forbidden": along(found.forbidden),
            "positions": along(found.positions),
            "subgroup": np.tile(np.asarray(found.subgroup), n_operations),
        }
    )
