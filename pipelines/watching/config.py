"""What ``xtec watch`` is asked for."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from xtec.core.axes import parse_interval
from xtec.core.durations import parse_duration
from xtec.core.errors import ConfigError
from xtec.operando.bounds import Direction
from xtec.plugins import parse_plugin
from xtec_pipelines.config import ClusterConfig, make_config

_NOT_HERE = {"auto_refine": "--auto-refine", "resume": "--resume", "writer": "--writer"}
"""What has no meaning while temperatures arrive."""

Seconds = Annotated[float, WithJsonSchema({"type": ["number", "string"]})]
"""A length of time; text such as ``2h`` is read by `parse_duration`."""


class WatchConfig(ClusterConfig):
    """What to watch, and how to cluster it; `inputs` is the folder."""

    pattern: str | None = None
    every: Seconds = Field(default=10.0, gt=0)
    rest: Seconds = Field(default=5.0, ge=0)
    until: int | None = Field(default=None, ge=1)
    idle: Seconds | None = Field(default=None, gt=0)
    on_update: str | None = None
    on_update_limit: Seconds = Field(default=600.0, gt=0)
    suggest: int = Field(default=0, ge=0, le=100)
    suggest_range: str | None = None
    suggest_step: float = Field(default=1.0, gt=0)
    suggest_direction: Direction = Direction.EITHER
    suggest_budget: int | None = Field(default=None, ge=1)
    sampler: str = "gp"

    @field_validator("every", "rest", "idle", "on_update_limit", mode="before")
    @classmethod
    def _seconds(cls, value: object) -> object:
        return parse_duration(value) if isinstance(value, str) else value

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.output)

    @property
    def span(self) -> tuple[float, float]:
        """Within which temperatures are suggested."""
        return parse_interval(self.suggest_range or "", what="range")

    @model_validator(mode="after")
    def _fits(self) -> WatchConfig:
        parse_plugin(self.sampler)
        if len(self.inputs) > 1:
            raise ConfigError("one folder is watched", hint="--pattern for files in folders below it")
        for name, option in _NOT_HERE.items():
            if getattr(self, name):
                raise ConfigError(f"{option} does not go with watching", hint="leave it out")
        if not self.suggest and (self.suggest_range or self.sampler != "gp"):
            raise ConfigError("--range and --sampler go with --suggest", hint="--suggest 1")
        try:
            shlex.split(self.on_update or "")
        except ValueError as error:
            raise ConfigError(f"--on-update is no command: {error}", hint="quote it for the shell") from None
        if self.suggest:
            low, high = self.span if self.suggest_range else (0.0, float("inf"))
            if not abs(low) + abs(high) < float("inf"):
                raise ConfigError("temperatures are suggested within bounds", hint="--range 30:300")
        return self

    def batch(self, paths: list[Path]) -> ClusterConfig:
        """The run of ``xtec cluster`` that has the same results.

        Raises
        ------
        ConfigError
            If some options do not go together.
        """
        options = self.model_dump(include=set(ClusterConfig.model_fields))
        return make_config({**options, "inputs": tuple(map(str, paths)), "force": True})
