"""``xtec simulate``: a synthetic series with known truth, in a layout that beamlines write."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

from xtec.core.axes import parse_interval, parse_region
from xtec.core.errors import ConfigError
from xtec.io.writing.nxrefine import write_nxrefine
from xtec.io.writing.series import Storage, refuse_existing, write_stacked
from xtec.simulation import Overrides, SeriesSpec, SimulatedSeries, make_specs

_log = logging.getLogger(__name__)


class Layout(StrEnum):
    """One file with all temperatures, or an NXRefine folder with a file for each."""

    STACKED = "stacked"
    NXREFINE = "nxrefine"


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """What to simulate and where to write it.

    Parameters
    ----------
    preset : str
        ``cdw``, ``iuc``, ``phase-diagram`` or ``tiny``.
    output : Path
        A file; a folder for the NXRefine layout and for ``phase-diagram``.
    overrides : Overrides
        What differs from the preset.
    layout : Layout
    compression : str, optional
        By default gzip for stacked files and none for the NXRefine layout, as NXRefine does.
    chunks : tuple of int, optional
    force : bool
        Replace what is there.
    """

    preset: str
    output: Path
    overrides: Overrides = field(default_factory=Overrides)
    layout: Layout = Layout.STACKED
    compression: str | None = None
    chunks: tuple[int, ...] | None = None
    force: bool = False

    @property
    def storage(self) -> Storage:
        """Compression and chunks with the layout's defaults filled in."""
        default = "gzip" if self.layout is Layout.STACKED else "none"
        return Storage(compression=self.compression or default, chunks=self.chunks)


@dataclass(frozen=True)
class SimulatedFile:
    """One series that was written.

    Attributes
    ----------
    path : Path
        File or folder.
    sample : str
    shape : tuple of int
        ``(T, L, K, H)``, or ``(T, K, H)`` for one plane.
    nbytes : int
        On disk.
    composition : float or None
    transitions : tuple of (name, Tc in K, beta)
        As in the truth: beta is NaN for first order, and hysteresis gives a second entry, on warming.
    star : tuple of (h, k, l)
    """

    path: Path
    sample: str
    shape: tuple[int, ...]
    nbytes: int
    composition: float | None
    transitions: tuple[tuple[str, float, float], ...]
    star: tuple[tuple[float, float, float], ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "path": str(self.path),
            "sample": self.sample,
            "shape": list(self.shape),
            "bytes": self.nbytes,
            "composition": self.composition,
            "truth": {
                "transitions": [
                    {"name": name, "tc": tc, "beta": beta} for name, tc, beta in self.transitions
                ],
                "q": [list(q) for q in self.star],
            },
        }


def make_simulate_config(options: Mapping[str, Any]) -> SimulateConfig:
    """Configuration from options as a person writes them.

    Parameters
    ----------
    options : mapping
        Fields of `SimulateConfig` and of `Overrides`. As text: ``region="H=-5:5"``,
        ``temperatures="30:220"``, and numbers with commas, fractions allowed, for `q`, `tc`, `beta`,
        `heights`, `domains` and `chunks`. None leaves a preset's own value.

    Raises
    ------
    ConfigError
        If a text cannot be read.
    """
    values = dict(options)
    for name in ("q", "tc", "beta", "heights", "domains", "chunks"):
        if values.get(name) is not None:
            values[name] = _numbers(name, values[name])
    if values.get("q") is not None and len(values["q"]) != 3:
        raise ConfigError("q: three numbers are needed", hint='write --q "1/2,1/2,0"')
    if values.get("heights") is not None and len(values["heights"]) != 2:
        raise ConfigError("heights: two numbers are needed", hint="write --heights LOW,HIGH")
    if values.get("chunks") is not None:
        values["chunks"] = tuple(round(number) for number in values["chunks"])
    if values.get("region") is not None:
        values["region"] = parse_region(values["region"])
    if values.get("temperatures") is not None:
        values["temperatures"] = parse_interval(values["temperatures"], what="temperatures")
    own = {name: values.pop(name) for name in _OWN_OPTIONS if values.get(name) is not None}
    own["output"], own["layout"] = Path(own["output"]), Layout(own.get("layout", Layout.STACKED))
    overrides = {name: value for name, value in values.items() if name not in _OWN_OPTIONS}
    return SimulateConfig(**own, overrides=Overrides(**overrides))


_OWN_OPTIONS = ("preset", "output", "layout", "compression", "chunks", "force")


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(Fraction(part.strip())) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        raise ConfigError(f"{name}: cannot read {text!r}", hint="write numbers with commas") from None


def run_simulate(config: SimulateConfig) -> list[SimulatedFile]:
    """Simulate a preset and write it, block by block.

    Parameters
    ----------
    config : SimulateConfig

    Returns
    -------
    list of SimulatedFile
        One, or for ``phase-diagram`` one for each composition.

    Raises
    ------
    ConfigError
        If an option does not fit the preset or the layout.
    OutputError
        If something is there already and `force` is off, or cannot be written.
    """
    specs = make_specs(config.preset, config.overrides)
    storage = config.storage
    paths = [config.output] if len(specs) == 1 else [_member(config, spec) for spec in specs]
    if config.layout is Layout.NXREFINE:
        check_nxrefine(specs[0])
    for path in paths:
        refuse_existing(path, config.force)
    return [
        write_simulation(spec, path, layout=config.layout, storage=storage, force=config.force)
        for spec, path in zip(specs, paths, strict=True)
    ]


def check_nxrefine(spec: SeriesSpec) -> None:
    """Refuse a series that cannot be written as an NXRefine folder.

    Raises
    ------
    ConfigError
    """
    if spec.grid.planar:
        raise ConfigError("the NXRefine layout needs three axes", hint="use --layout stacked for one plane")
    if spec.grid.cycle:
        raise ConfigError(
            "the NXRefine layout has one scan at each temperature", hint="use --layout stacked for a cycle"
        )


def write_simulation(
    spec: SeriesSpec, path: Path, *, layout: Layout, storage: Storage, force: bool = False
) -> SimulatedFile:
    """Write one series; see `run_simulate`."""
    series = SimulatedSeries(spec)
    write = write_stacked if layout is Layout.STACKED else write_nxrefine
    write(path, series, storage, force=force)
    _log.info("wrote %s", path)
    shape = series.shape
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return SimulatedFile(
        path=path,
        sample=spec.sample.name,
        shape=(shape[0], *shape[2:]) if spec.grid.planar else shape,
        nbytes=sum(file.stat().st_size for file in files),
        composition=spec.sample.composition,
        transitions=tuple((name, tc, beta) for name, tc, beta, _ in series.transitions),
        star=tuple(dict.fromkeys(q for each in spec.transitions for q in each.star)),
    )


def _member(config: SimulateConfig, spec: SeriesSpec) -> Path:
    name = f"x{spec.sample.composition:.2f}"
    return config.output / (f"{name}.nxs" if config.layout is Layout.STACKED else name)
