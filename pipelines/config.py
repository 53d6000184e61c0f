"""One validated object for a clustering run, shared by the command line, recipes and scripts."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from xtec.core.axes import Region, parse_interval, parse_region
from xtec.core.errors import ConfigError
from xtec.core.memory import available_bytes, parse_bytes
from xtec.core.types import Backend, CovarianceType, Mode, Rescale, SmoothKernel, Updates
from xtec.io import OpenOptions
from xtec.plugins import parse_plugin
from xtec.preprocess import parse_threshold
from xtec_pipelines.clustering.peaks import QUANTITIES
from xtec_pipelines.streaming.workers import parse_scheduler
from xtec_pipelines.validation import read_recipe, validated

_MEMORY_SHARE = 0.5
"""Share of the available memory that is taken when no limit is given."""


AUTO_RANGE = "1:10"
"""Numbers of clusters that ``-k auto`` stands for."""

PLUGGED = ("features", "clusterer", "selector", "novelty")
"""Options that name a plugin."""

_MOST_CLUSTERS = 1000
_MOST_SELECTED = 30


def parse_clusters(value: object) -> int | str:
    """Number of clusters: itself, ``A:B`` (both included) or ``auto``.

    Raises
    ------
    ConfigError
        If it is none of these, or out of range.
    """
    text = str(value).strip()
    if text == "auto":
        return text
    if match := re.fullmatch(r"(\d+)(?::(\d+))?", text):
        low, high = int(match[1]), int(match[2] or match[1])
        if 1 <= low <= high <= (_MOST_SELECTED if match[2] else _MOST_CLUSTERS):
            return f"{low}:{high}" if match[2] else low
    raise ConfigError(
        f"not a number of clusters: {text!r}",
        hint=f"1 to {_MOST_CLUSTERS}, auto, or a range such as 2:8 up to {_MOST_SELECTED}",
    )


class InputConfig(BaseModel):
    """Which series to open, and how much of it.

    `region` and `temperatures` are intervals as on the command line: ``"H=-15:15,L=0:1"``, ``"30:220"``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: tuple[str, ...] = Field(min_length=1)
    region: str | None = None
    temperatures: str | None = None
    entry: str | None = None
    group: str | None = None
    scan: str | None = None
    reader: str | None = None
    skip_bad: bool = False
    allow_external: bool = False
    memory_limit: str | None = None

    @field_validator("region", "temperatures", "memory_limit")
    @classmethod
    def _readable(cls, value: str | None, about: ValidationInfo) -> str | None:
        if value and about.field_name == "region":
            parse_region(value)
        elif value and about.field_name == "temperatures":
            parse_interval(value, what="temperatures")
        elif value:
            parse_bytes(value)
        return value

    @property
    def bounds(self) -> tuple[Region | None, tuple[float, float] | None]:
        """Region and temperatures as numbers."""
        region = parse_region(self.region) if self.region else None
        interval = parse_interval(self.temperatures, what="temperatures") if self.temperatures else None
        return region, interval

    @property
    def open_options(self) -> OpenOptions:
        """How to look for the series."""
        return OpenOptions(
            entry=self.entry,
            group=self.group,
            scan=self.scan,
            reader=self.reader,
            skip_bad=self.skip_bad,
            allow_external=self.allow_external,
        )

    @property
    def memory_bytes(self) -> int:
        """Memory the run may take."""
        return parse_bytes(self.memory_limit) if self.memory_limit else int(_MEMORY_SHARE * available_bytes())


class ClusterConfig(InputConfig):
    """Everything that decides the result of ``xtec cluster``, and where it goes."""

    output: str
    from_run: str | None = None
    keep: tuple[int, ...] | None = None
    drop: tuple[int, ...] | None = None
    auto_refine: bool = False
    mode: Mode = Mode.AUTO
    clusters: int | str = 4
    quantity: str = "intensity"
    rescale: Rescale = Rescale.MEAN
    threshold: str = Field(default="kl+significance", json_schema_extra={"type": ["string", "number"]})
    fdr: float = Field(default=0.01, gt=0, lt=1)
    negative: Literal["refuse", "drop"] = "refuse"
    min_std: float = Field(default=0.0, ge=0)
    smooth_kernel: SmoothKernel = SmoothKernel.LOCAL
    smooth_length: float | None = Field(default=None, gt=0)
    smooth_steps: int = Field(default=1, ge=1)
    smooth_weighted: bool = False
    unit_cell: tuple[float, ...] | None = None
    covariance: CovarianceType = CovarianceType.DIAG
    em: Updates = Updates.BATCH
    noise: Literal["none", "poisson"] = "none"
    counts_per_unit: float | None = Field(default=None, gt=0)
    features: str | None = None
    clusterer: str | None = None
    selector: str | None = None
    novelty: str | None = None
    reference: str | None = None
    writer: tuple[str, ...] = ()
    n_init: int = Field(default=24, ge=1)
    seed: int = Field(default=0, ge=0)
    max_iter: int = Field(default=1000, ge=1)
    tol: float = Field(default=1e-6, ge=0)
    backend: Backend = Backend.AUTO
    scheduler: str = "threads"
    workers: int | None = Field(default=None, ge=1, le=10_000)
    scratch: str | None = None
    save_after: float = Field(default=10.0, ge=0)
    figures: bool = True
    force: bool = False
    resume: bool = False

    @field_validator("scheduler")
    @classmethod
    def _known_scheduler(cls, value: str) -> str:
        return parse_scheduler(value)

    @field_validator(*PLUGGED, mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        return str(parse_plugin(value).anywhere) if isinstance(value, str) else value

    @field_validator("unit_cell", "keep", "drop", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value

    @field_validator("clusters", mode="before")
    @classmethod
    def _known_clusters(cls, value: object) -> int | str:
        return parse_clusters(value)

    @model_validator(mode="after")
    def _second_pass(self) -> ClusterConfig:
        chosen = [name for name in ("keep", "drop") if getattr(self, name) is not None]
        if self.from_run is None and chosen:
            raise ConfigError(f"--{chosen[0]} needs the run whose clusters are meant", hint="--from RUN")
        if self.from_run is not None and len(chosen) != 1:
            raise ConfigError("which clusters of the earlier run?", hint="--keep 2,3 or --drop 1")
        if self.from_run is not None and self.auto_refine:
            raise ConfigError("--auto-refine chooses the clusters itself", hint="leave --from out")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> ClusterConfig:
        self._check_quantity()
        self._check_plugins()
        if self.mode is Mode.SMOOTH and self.noise != "none":
            raise ConfigError("smoothed labels and counting noise do not go together", hint="--mode d or s")
        if self.noise != "none" and self.covariance in (CovarianceType.FULL, CovarianceType.TIED):
            raise ConfigError(
                f"noise: {self.noise} cannot be told from {self.covariance} covariances",
                hint="--covariance diag, or --noise none",
            )
        if isinstance(self.clusters, int) or self.selector is not None:
            return self
        if self.mode is Mode.SMOOTH or self.noise != "none":
            raise ConfigError(
                "the number of clusters is chosen for plain mixtures only", hint="a number with -k"
            )
        if self.covariance is not CovarianceType.DIAG or self.rescale is not Rescale.MEAN:
            raise ConfigError(
                "the number of clusters is chosen with --covariance diag and --rescale mean only",
                hint="a number with -k",
            )
        return self

    def _check_plugins(self) -> None:
        """Plugins that make clusters take the place of what is built in: its other parts do not fit them."""
        chosen = [name for name in ("features", "clusterer", "selector") if getattr(self, name) is not None]
        if chosen and (self.mode is Mode.SMOOTH or self.noise != "none"):
            raise ConfigError(
                f"--{chosen[0]} goes with neither smoothed labels nor counting noise",
                hint="--mode d or s, --noise none",
            )
        if self.selector is not None and isinstance(self.clusters, int):
            raise ConfigError("--selector needs numbers to choose from", hint="-k 2:8")
        if chosen and self.selector is None and not isinstance(self.clusters, int):
            raise ConfigError(
                f"the number of clusters is not chosen by itself with --{chosen[0]}",
                hint="a number with -k, or a --selector",
            )
        if self.reference is not None and self.novelty is None:
            raise ConfigError("--reference goes with --novelty", hint="--novelty flow-novelty")

    def _check_quantity(self) -> None:
        """Quantities of peaks are clustered as they are: no noise is known of them."""
        if self.quantity == "intensity":
            return
        kind, _, letter = self.quantity.partition("-")
        along = kind in ("asymmetry", "displacement")
        if kind not in QUANTITIES or (letter and not (along or kind == "width")) or (along and not letter):
            hint = "intensity, maximum, spread, width, width-h, asymmetry-h, displacement-h"
            raise ConfigError(f"no quantity of peaks named {self.quantity!r}", hint=hint)
        if self.mode not in (Mode.AUTO, Mode.PEAKS):
            raise ConfigError(f"{self.quantity} is a quantity of peaks", hint="--mode s")
        if not isinstance(self.clusters, int) or self.noise != "none":
            raise ConfigError(f"{self.quantity} is clustered with -k N and --noise none only", hint="-k 3")
        if kind in ("asymmetry", "displacement") and self.rescale in (Rescale.MEAN, Rescale.LOG_MEAN):
            raise ConfigError(f"{self.quantity} may be negative", hint="--rescale zscore, or none")

    @property
    def cluster_range(self) -> tuple[int, int]:
        """Lowest and highest number of clusters."""
        if isinstance(self.clusters, int):
            return self.clusters, self.clusters
        low, _, high = (AUTO_RANGE if self.clusters == "auto" else self.clusters).partition(":")
        return int(low), int(high)

    @field_validator("threshold", mode="before")
    @classmethod
    def _known_threshold(cls, value: object) -> str:
        parse_threshold(str(value))
        return str(value)


class SelectConfig(ClusterConfig):
    """The same for ``xtec select``, which chooses the number of clusters."""

    clusters: int | str = "auto"

    @model_validator(mode="after")
    def _several(self) -> SelectConfig:
        if isinstance(self.clusters, int):
            raise ConfigError("clusters: a range or auto is needed to choose from", hint='"2:8"')
        return self


def make_config(values: dict[str, Any]) -> ClusterConfig:
    """Build a configuration, turning what is wrong with it into one message.

    Raises
    ------
    ConfigError
        Names every field that is wrong, and how.
    """
    return validated(ClusterConfig, inherited(values))


def inherited(values: dict[str, Any]) -> dict[str, Any]:
    """Options; without inputs of its own a second pass has those of the run it starts from, and its bounds.

    Raises
    ------
    InputError
        If there is no such run.
    """
    if not values.get("from_run") or values.get("inputs"):
        return values
    earlier = load_recipe(Path(values["from_run"]) / "run.toml")
    same = earlier.model_dump(include=set(InputConfig.model_fields) - {"memory_limit"})
    return {**values, **{name: value for name, value in same.items() if not values.get(name)}}


def load_recipe(path: Path) -> ClusterConfig:
    """Read a recipe of ``xtec cluster``.

    Raises
    ------
    ConfigError
        If it is not TOML, is of another command, or asks for something unknown.
    """
    command, values = read_recipe(path)
    if command != "cluster":
        raise ConfigError(f"this recipe is one of {command!r}", file=path, hint='command = "cluster"')
    try:
        return make_config(values)
    except ConfigError as error:
        raise ConfigError(error.what, file=path, hint=error.hint) from None


def dump_recipe(config: ClusterConfig) -> str:
    """The configuration as TOML with absolute paths; `load_recipe` reads it back."""
    values = config.model_dump(mode="json", exclude_none=True, exclude={"force", "resume"})
    values["inputs"] = [os.path.abspath(item) for item in config.inputs]
    values["output"] = os.path.abspath(config.output)
    if config.from_run is not None:
        values["from_run"] = os.path.abspath(config.from_run)
    if config.reference is not None:
        values["reference"] = os.path.abspath(config.reference)
    return tomli_w.dumps({"command": "cluster", **values})
