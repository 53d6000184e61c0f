"""What a run has done so far, kept so that another can go on from there.

The journal is a folder in the run folder, there only while the run is: what the run was asked (so that
changed inputs or options are noticed), the shards read so far, and the state of the mixture. What takes less
time than the patience to repeat is not saved.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xtec.core.arrays import home
from xtec.core.errors import (
    ConfigError,
    DegenerateMixtureError,
    InputError,
    NothingToClusterError,
    OutputError,
)
from xtec.core.parallel import n_cores
from xtec.core.types import CovarianceType, Float64Array
from xtec.io import Series
from xtec.io.disk.atomic import make_folder, write_text
from xtec.io.disk.scratch import load_record, save_record
from xtec.io.reading.provenance import describe_inputs, program_version
from xtec.io.run.folder import PROGRESS
from xtec.mixture import EMState, MixtureParameters
from xtec_pipelines.config import ClusterConfig
from xtec_pipelines.streaming.holding import Held
from xtec_pipelines.streaming.plan import ShardPlan

logger = logging.getLogger(__name__)

_FREE = {
    *("inputs", "output", "force", "resume", "figures"),
    *("memory_limit", "workers", "scheduler", "scratch", "backend"),
}
"""Options that may change between a run and the one that goes on from it."""

_FINAL = (ConfigError, NothingToClusterError, DegenerateMixtureError)
"""Errors that the same run would end in again."""

HoldShard = Callable[[ShardPlan], Held]


@dataclass(frozen=True)
class Journal:
    """Progress of one run.

    Attributes
    ----------
    folder : Path
        Of the journal.
    scratch : Path
        Where large files go.
    limit, n_workers, device_bytes : int
        What the series was cut into shards for; no `device_bytes` for the processor.
    patience : float
        Seconds of work that are not worth saving.
    began : float
        Unix time, which workers on other machines know too.
    ancestor : Path
        The deepest folder on the way to the run folder that was there before.
    """

    folder: Path
    scratch: Path
    limit: int
    n_workers: int
    device_bytes: int | None
    patience: float
    began: float
    ancestor: Path

    @classmethod
    def open(cls, series: Series, config: ClusterConfig, device_bytes: int | None = None) -> Journal:
        """Begin a journal, or go on with the one that an interrupted run left (``config.resume``).

        Raises
        ------
        ConfigError
            If the interrupted run had other options.
        InputError
            If its inputs have changed since.
        """
        folder = Path(config.output) / PROGRESS
        asked: dict[str, Any] = {
            "version": program_version(),
            "options": config.model_dump(mode="json", exclude=_FREE | {"save_after"}),
            "inputs": describe_inputs(series),
            "scratch": str(_scratch(config, folder)),
            "limit": config.memory_bytes,
            "n_workers": config.workers or n_cores(),
            "device_bytes": device_bytes,
        }
        page = folder / "run.json"
        if config.resume and page.exists():
            asked = _same(json.loads(page.read_text(encoding="utf-8")), asked)
            logger.info("going on with the run that was interrupted here")
        elif config.resume:
            logger.info("there is no interrupted run here; starting from the beginning")
        journal = cls(
            folder,
            Path(asked["scratch"]),
            asked["limit"],
            asked["n_workers"],
            asked["device_bytes"],
            config.save_after,
            time.time(),
            next(parent for parent in folder.absolute().parents if parent.is_dir()),
        )
        if not config.resume:
            journal.forget()
        try:
            for needed in (folder, journal.scratch):
                make_folder(needed)
            write_text(page, json.dumps(asked, indent=2))
        except OutputError:
            if not journal.is_worth_keeping:
                journal.forget()
            raise
        return journal

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, _FINAL) or not self.is_worth_keeping:
            self.forget()
        else:
            logger.warning("what was done so far is kept in %s: go on with --resume", self.folder.parent)

    @property
    def is_worth_keeping(self) -> bool:
        """Whether anything has been saved."""
        return any(self.folder.glob("mixture.npy")) or any(self.scratch.glob("held-*.npy"))

    def forget(self) -> None:
        """Delete the journal, and the folders made for it if there is nothing else in them."""
        for folder in (self.scratch, self.folder):
            shutil.rmtree(folder, ignore_errors=True)
        for parent in self.folder.absolute().parents:
            if parent == self.ancestor or not parent.is_dir() or any(parent.iterdir()):
                return
            parent.rmdir()

    def remember(self, hold: HoldShard) -> HoldShard:
        """The same reading of a shard, but of those that were read before only what was saved."""
        return _Remembered(hold, self.scratch, self.began + self.patience)

    def mixture(self) -> EMState | None:
        """How far the mixture had come."""
        path = self.folder / "mixture.npy"
        return load_record(path, _SavedState).state() if path.exists() else None

    def saver(self) -> Callable[[EMState], None]:
        """Takes down how far the mixture has come, each time the patience has run out."""
        due = time.monotonic() + self.patience

        def save(state: EMState) -> None:
            nonlocal due
            if time.monotonic() >= due:
                _try_to_save(self.folder / "mixture.npy", _SavedState.of(state))
                due = time.monotonic() + self.patience

        return save


@dataclass(frozen=True)
class _SavedState:
    """State of the mixture as a record."""

    weights: Float64Array
    means: Float64Array
    covariances: Float64Array
    covariance_type: str
    history: Float64Array
    n_reseeded: int
    converged: bool

    @classmethod
    def of(cls, state: EMState) -> _SavedState:
        mixture = state.parameters
        return cls(
            mixture.weights,
            mixture.means,
            mixture.covariances,
            str(mixture.covariance_type),
            np.array(state.history),
            state.n_reseeded,
            state.converged,
        )

    def state(self) -> EMState:
        kind = CovarianceType(self.covariance_type)
        mixture = MixtureParameters(self.weights, self.means, self.covariances, kind)
        return EMState(mixture, tuple(self.history.tolist()), self.n_reseeded, self.converged)


@dataclass(frozen=True)
class _Remembered:
    """Reads a shard, or what was saved of it."""

    hold: HoldShard
    folder: Path
    due: float

    def __call__(self, plan: ShardPlan) -> Held:
        path = self.folder / f"held-{plan.number}.npy"
        if path.exists() and (held := load_record(path, Held)).n_total == plan.n_voxels:
            return held
        held = self.hold(plan)
        if time.time() >= self.due:
            _try_to_save(path, home(held))
        return held


def _try_to_save(path: Path, record: Any) -> None:
    """A run goes on without being saved, if a disk is full."""
    try:
        save_record(path, record)
    except OutputError as error:
        logger.warning("progress cannot be saved: %s", error.what)


def _scratch(config: ClusterConfig, folder: Path) -> Path:
    """The journal's own folder, or one in the scratch folder that belongs to this run."""
    if config.scratch is None:
        return folder / "scratch"
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return Path(config.scratch).absolute() / f"xtec-{name}"


def _same(before: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """What the interrupted run was asked, if this one is asked the same."""
    old, new = before["options"], asked["options"]
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if changed:
        listed = ", ".join(f"{name} ({old.get(name)} before, {new.get(name)} now)" for name in changed)
        raise ConfigError(
            f"the interrupted run had other options: {listed}",
            hint="the same options with --resume, or --force to start from the beginning",
        )
    if before["version"] != asked["version"]:
        raise ConfigError(
            f"the interrupted run was of version {before['version']}, this is {asked['version']}",
            hint="--force to start from the beginning",
        )
    for then, today in zip(before["inputs"], asked["inputs"], strict=False):
        if then != today:
            raise InputError(
                "this input has changed since the run was interrupted",
                file=today["file"],
                hdf5_path=today["path"],
                hint="--force to start from the beginning",
            )
    if len(before["inputs"]) != len(asked["inputs"]):
        raise InputError(
            f"the interrupted run had {len(before['inputs'])} inputs, there are {len(asked['inputs'])} now",
            hint="--force to start from the beginning",
        )
    return before
