"""One error tree: what happened, where (file and HDF5 path), what to try."""

from __future__ import annotations

from pathlib import Path


class XtecError(Exception):
    """Base of every error raised on purpose.

    Parameters
    ----------
    what : str
        What happened, in one sentence.
    file, hdf5_path : str or Path, optional
        Where it happened.
    hint : str, optional
        What the user can try next.
    """

    def __init__(
        self,
        what: str,
        *,
        file: str | Path | None = None,
        hdf5_path: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.file = None if file is None else str(file)
        self.hdf5_path = hdf5_path
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        where = ":".join(part for part in (self.file, self.hdf5_path) if part)
        if where:
            lines.append(f"  in:  {where}")
        if self.hint:
            lines.append(f"  try: {self.hint}")
        return "\n".join(lines)


class ConfigError(XtecError, ValueError):
    """An option or parameter is outside what it may be, or does not fit the data."""


class InputError(XtecError, ValueError):
    """The input is unusable: broken, inconsistent, or without the quantity asked for."""


class SeriesNotFoundError(InputError, FileNotFoundError):
    """A file, link target or HDF5 path that the series needs does not exist."""


class AxisError(InputError):
    """An axis has the wrong length, is not finite, or does not contain the region asked for."""


class OutputError(XtecError, OSError):
    """The output cannot be written, or exists already."""


class NothingToClusterError(XtecError, ValueError):
    """No trajectory is left after masking and thresholding."""


class DegenerateMixtureError(XtecError, ArithmeticError):
    """The mixture cannot be estimated from these trajectories."""


class BackendUnavailableError(XtecError, RuntimeError):
    """A backend, plugin or scheduler that was asked for is not available."""
