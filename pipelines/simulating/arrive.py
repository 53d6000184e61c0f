"""``xtec simulate --arrive``: a simulated series whose temperatures come one by one, faults included."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xtec.core.durations import parse_duration
from xtec.core.errors import ConfigError, OutputError
from xtec.io.nexus.data import find_data, read_scan_value
from xtec.io.nexus.writer import now
from xtec.io.writing.arrival import link_to, locked, measure_badly, record_work, write_slowly
from xtec.simulation import SimulatedSeries, make_specs
from xtec_pipelines.simulate import (
    Layout,
    SimulateConfig,
    check_nxrefine,
    make_simulate_config,
    write_simulation,
)
from xtec_pipelines.simulating.arrival_plan import Action, Fault, Order, Planned, plan_arrivals


@dataclass(frozen=True, kw_only=True)
class ArriveConfig:
    """What arrives, where, and how.

    Parameters
    ----------
    simulate : SimulateConfig
        The series; its output is the folder to arrive in.
    every : float
        Seconds between two temperatures.
    order : Order
    faults : frozenset of Fault
    """

    simulate: SimulateConfig
    every: float = 5.0
    order: Order = Order.RISING
    faults: frozenset[Fault] = frozenset()

    @property
    def seed(self) -> int:
        """Of the order and the faults; the series' own."""
        return self.simulate.overrides.seed or 0


@dataclass(frozen=True)
class Done:
    """One thing that was done.

    Attributes
    ----------
    seconds : float
        Since the beginning.
    action : Action
    scan : str
        NXRefine's name, ``30K``.
    value : float
    path : str
        The wrapper.
    """

    seconds: float
    action: Action
    scan: str
    value: float
    path: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def make_arrive_config(options: Mapping[str, Any]) -> ArriveConfig:
    """Configuration from options as a person writes them.

    Parameters
    ----------
    options : mapping
        Those of `make_simulate_config`, with `arrive` in place of `output`; also `every` (``"5s"``), `order`
        and `faults` (``"truncated,vanish"`` or ``"all"``).

    Raises
    ------
    ConfigError
        If a text cannot be read, or an option has no meaning here.
    """
    values = {name: value for name, value in options.items() if value is not None}
    every, faults = values.pop("every", "5s"), values.pop("faults", "")
    order = Order(values.pop("order", Order.RISING))
    if values.get("layout", Layout.NXREFINE) != Layout.NXREFINE:
        raise ConfigError("--arrive writes the NXRefine layout", hint="leave out --layout")
    if values.get("force"):
        raise ConfigError("--force does not go with --arrive", hint="give a new or empty folder")
    if "output" in values:
        raise ConfigError("--output does not go with --arrive", hint="leave out one of them")
    values |= {"output": values.pop("arrive"), "layout": Layout.NXREFINE}
    return ArriveConfig(
        simulate=make_simulate_config(values),
        every=parse_duration(every),
        order=order,
        faults=_read_faults(faults),
    )


def _read_faults(text: str) -> frozenset[Fault]:
    names = {part.strip() for part in text.split(",") if part.strip()}
    if "all" in names:
        return frozenset(Fault)
    unknown = names - set(Fault)
    if unknown:
        hint = f"one or more of: {', '.join(Fault)}; or all"
        raise ConfigError(f"no fault named {sorted(unknown)[0]!r}", hint=hint)
    return frozenset(Fault(name) for name in names)


def run_arrive(
    config: ArriveConfig, report: Callable[[Done], None], *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Simulate a series beside the folder, and let its temperatures arrive in it.

    Parameters
    ----------
    config : ArriveConfig
    report : callable
        Told of each thing when it is done.
    sleep : callable
        Waits for some seconds.

    Raises
    ------
    ConfigError
        If the preset is not one series, or has fewer temperatures than faults.
    OutputError
        If the folder is not empty, or cannot be written.
    """
    folder = config.simulate.output
    specs = make_specs(config.simulate.preset, config.simulate.overrides)
    if len(specs) > 1:
        raise ConfigError("--arrive is for a single series", hint="choose another preset")
    check_nxrefine(specs[0])
    n_temperatures = SimulatedSeries(specs[0]).shape[0]
    plan = plan_arrivals(n_temperatures, config.order, config.faults, config.seed)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError("the folder is not empty", file=folder, hint="give a new or empty folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as staging:
            series = Path(staging) / "series"
            write_simulation(specs[0], series, layout=Layout.NXREFINE, storage=config.simulate.storage)
            _let_arrive(plan, series, config, report, sleep)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write ({error.strerror or error})", file=folder) from error


def _let_arrive(
    plan: Sequence[Planned],
    series: Path,
    config: ArriveConfig,
    report: Callable[[Done], None],
    sleep: Callable[[float], None],
) -> None:
    folder = config.simulate.output
    shutil.copytree(series / "truth", folder / "truth")
    values = {wrapper: _value(wrapper) for wrapper in series.glob("*.nxs")}
    wrappers = sorted(values, key=values.__getitem__)
    began = time.monotonic()
    beamline = _Beamline(folder, lambda: sleep(config.every / 10), config.seed)
    for planned in plan:
        wait = planned.tick * config.every - (time.monotonic() - began)
        if wait > 0:
            sleep(wait)
        wrapper = wrappers[planned.index]
        path = beamline.do(planned.action, wrapper)
        seconds = round(time.monotonic() - began, 3)
        report(Done(seconds, planned.action, _scan(wrapper), values[wrapper], str(path)))


class _Beamline:
    """Does to a folder what NXRefine and cctw do, and what befalls them.

    Parameters
    ----------
    folder : Path
        Where scans arrive.
    pause : callable
        Called in the middle of writing.
    seed : int
    """

    def __init__(self, folder: Path, pause: Callable[[], None], seed: int) -> None:
        self._folder, self._pause, self._rng = folder, pause, np.random.default_rng(seed)

    def do(self, action: Action, staged: Path) -> Path:
        """Do one thing with a scan that stands ready elsewhere; returns its wrapper in the folder."""
        away = staged.parent / "away"
        if action in (Action.VANISH, Action.VANISH_FOR_GOOD):
            _move(staged, self._folder, away)
        elif action is Action.RETURN:
            _move(staged, away, self._folder)
        else:
            return self._arrive(action, staged)
        return self._folder / staged.name

    def _arrive(self, action: Action, staged: Path) -> Path:
        scan = _scan(staged)
        name = f"{scan}_2" if action is Action.DUPLICATE else scan
        wrapper = self._folder / f"{staged.stem.removesuffix(scan)}{name}.nxs"
        data = staged.parent / scan / "transform.nxs"
        if action in (Action.ARRIVE_POOR, Action.DUPLICATE):
            data = Path(shutil.copyfile(data, staged.parent / "poor.h5"))
            measure_badly(data, self._rng)
        start_time = now()
        with locked(wrapper):
            share = 0.6 if action is Action.ARRIVE_TRUNCATED else 1.0
            write_slowly(data, self._folder / name / "transform.nxs", self._pause, share=share)
            draft = Path(shutil.copyfile(staged, staged.parent / "draft.h5"))
            link_to(draft, f"{name}/transform.nxs")
            record_work(draft, start_time, None if action is Action.ARRIVE_UNFINISHED else now())
            shutil.move(draft, wrapper)
        return wrapper


def _move(staged: Path, source: Path, target: Path) -> None:
    """Move a scan, its wrapper and its folder, from one folder to another."""
    target.mkdir(exist_ok=True)
    for name in (_scan(staged), staged.name):
        shutil.move(source / name, target / name)


def _scan(wrapper: Path) -> str:
    return wrapper.stem.rpartition("_")[2]


def _value(wrapper: Path) -> float:
    return float(read_scan_value(find_data(wrapper), None).values[0])
