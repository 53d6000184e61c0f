"""NeXus series in, results out."""

from xtec.io.reading.open import open_series
from xtec.io.reading.series import Dropped, Series
from xtec.io.reading.volume import OpenOptions
from xtec.io.run.folder import open_run, read_curves
from xtec.io.run.results import write_results

__all__ = ["Dropped", "OpenOptions", "Series", "open_run", "open_series", "read_curves", "write_results"]
