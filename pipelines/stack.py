"""``xtec stack``: the temperatures of a series, each in a file of its own, as one file."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import field_validator, model_validator

from xtec.core.errors import ConfigError
from xtec.core.progress import Progress
from xtec.io import Series, open_series
from xtec.io.hdf5.links import Bounds
from xtec.io.writing.series import Storage
from xtec.io.writing.stack import check_output_file, write_copy, write_virtual
from xtec_pipelines.config import InputConfig

logger = logging.getLogger(__name__)

_BLOCK_SHARE = 8
"""Blocks of this part of the memory leave room for what the reader and HDF5 hold of them."""

_LARGEST_BLOCK = 256 * 2**20

_LEVEL = 1
"""Of gzip: a simulated series took a tenth more space than at level 6, and a fifth of the time."""


class StackConfig(InputConfig):
    """What is stacked, and how."""

    output: str
    copied: bool = False
    compression: str | None = None
    chunks: tuple[int, ...] | None = None
    force: bool = False

    @field_validator("chunks", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_together(self) -> StackConfig:
        for name in ("compression", "chunks"):
            if getattr(self, name) is not None and not self.copied:
                raise ConfigError(f"--{name} is of a copy; a virtual file stores nothing", hint="--copy")
        return self

    @property
    def storage(self) -> Storage:
        """How a copy is stored."""
        return Storage(compression=self.compression or "gzip", chunks=self.chunks, level=_LEVEL)


@dataclass(frozen=True)
class Stacking:
    """A series that was written as one file.

    Attributes
    ----------
    path : Path
    series : Series
        As it was read.
    virtual : bool
        Whether the intensities stay where they are.
    nbytes : int
        Of the file.
    """

    path: Path
    series: Series
    virtual: bool
    nbytes: int

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        series = self.series
        refs = series.source.refs
        used = [refs[row] for row in series.rows] if len(refs) > 1 else refs
        return {
            "file": str(self.path),
            "virtual": self.virtual,
            "shape": [series.n_temperatures, *series.shape],
            "bytes": self.nbytes,
            "sources": [str(ref.file) for ref in used],
            "dropped": [{"file": bad.file, "reason": bad.reason} for bad in series.dropped],
        }


def run_stack(config: StackConfig, progress: Progress | None = None) -> Stacking:
    """Write a series as one file: a view on its files, every source of which is tried, or a copy.

    Parameters
    ----------
    config : StackConfig
    progress : Progress, optional

    Raises
    ------
    XtecError
        If the input is unusable, an option does not fit, or the output cannot be written. Nothing is left
        behind in that case.
    """
    progress = progress or Progress()
    path = Path(config.output)
    (region, temperatures), storage, memory = config.bounds, config.storage, config.memory_bytes
    with progress.stage("open"):
        series = open_series(
            config.inputs, region=region, temperatures=temperatures, options=config.open_options
        )
    check_output_file(path, series, force=config.force)
    parameters = config.model_dump(mode="json", exclude={"force", "memory_limit"})
    if config.copied:
        budget = min(memory // _BLOCK_SHARE, _LARGEST_BLOCK)
        with progress.stage("copy", series.nbytes, "B") as advance:
            write_copy(path, series, storage, parameters, budget=budget, advance=advance)
    else:
        with progress.stage("link"):
            write_virtual(path, series, parameters)
        if not all(map(Bounds.around([path]).hold, (ref.file for ref in series.source.refs))):
            logger.warning("its files are not below its folder: what reads it needs --allow-external")
    return Stacking(path, series, not config.copied, path.stat().st_size)
