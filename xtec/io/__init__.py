"""NeXus series in, results out."""

from xtec.io.open import open_series
from xtec.io.results import write_results
from xtec.io.run_folder import open_run, read_curves
from xtec.io.series import Dropped, Series
from xtec.io.volume import OpenOptions

__all__ = ["Dropped", "OpenOptions", "Series", "open_run", "open_series", "read_curves", "write_results"]
