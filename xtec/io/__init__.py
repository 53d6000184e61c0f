"""NeXus series in, results out."""

from xtec.io.open import OpenOptions, open_series
from xtec.io.results import write_results
from xtec.io.run_folder import open_run, read_curves
from xtec.io.series import Dropped, Series

__all__ = ["Dropped", "OpenOptions", "Series", "open_run", "open_series", "read_curves", "write_results"]
