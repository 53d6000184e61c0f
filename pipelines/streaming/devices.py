"""Who computes: the processor, or a GPU where there is one and it is worth its start."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from xtec.core.backend import Cuda, cupy_is_installed, n_cuda_devices, open_cuda
from xtec.core.device import Device, Host
from xtec.core.errors import BackendUnavailableError
from xtec.core.memory import format_bytes
from xtec.core.types import Backend
from xtec.io import Series

logger = logging.getLogger(__name__)

WORTH_A_GPU = 2_000_000_000
"""Bytes of a series from which on a GPU is taken unasked: starting one and compiling for it takes seconds."""

_RESIDENT = 0.6
"""Share of a device's free memory for trajectories; the rest is for working on them."""


@dataclass(frozen=True)
class DeviceChoice:
    """The device taken, and the reason in a phrase; `is_here` unless only workers elsewhere have it."""

    device: Device
    reason: str
    is_here: bool = True

    def record(self) -> dict[str, str]:
        """What is written of it; the workers tell of card, driver and libraries."""
        return {"name": self.device.name, "reason": self.reason}


def choose_device(asked: Backend, scheduler: str, series: Series) -> DeviceChoice:
    """Settle what block kernels work on.

    Parameters
    ----------
    asked : Backend
    scheduler : str
        Processes work on GPUs only if asked to: each needs its own.
    series : Series

    Raises
    ------
    BackendUnavailableError
        If a GPU was asked for, and there is none; with the reason.
    """
    choice = _choose(asked, scheduler, series)
    logger.info("backend %s: %s", choice.device.name, choice.reason)
    if choice.device.name == "cupy" and scheduler == "threads" and n_cuda_devices() > 1:
        logger.info("one of %d GPUs is used; --scheduler processes takes all", n_cuda_devices())
    return choice


def _choose(asked: Backend, scheduler: str, series: Series) -> DeviceChoice:
    if asked is Backend.NUMPY:
        return DeviceChoice(Host(), "asked for")
    if asked is Backend.CUPY:
        if scheduler in ("threads", "processes"):
            return DeviceChoice(open_cuda(), "asked for")
        return DeviceChoice(Cuda(), "asked for, on Dask workers", is_here=False)
    if not cupy_is_installed():
        return DeviceChoice(Host(), "CuPy is not installed")
    if scheduler != "threads":
        return DeviceChoice(Host(), "Dask workers take GPUs with --backend cupy only")
    if series.nbytes < WORTH_A_GPU:
        return DeviceChoice(Host(), f"less than {format_bytes(WORTH_A_GPU)}: not worth starting a GPU")
    try:
        return DeviceChoice(open_cuda(), f"a GPU, and {format_bytes(series.nbytes)} to read")
    except BackendUnavailableError as error:
        return DeviceChoice(Host(), error.what)


def device_bytes(choice: DeviceChoice) -> int | None:
    """Memory that a series is cut for: that of the device here, if it is another than the processor."""
    is_other = choice.is_here and not isinstance(choice.device, Host)
    return choice.device.free_bytes() if is_other else None


def resident_bytes(device: Device) -> int:
    """How much of the memory of a device trajectories may take."""
    return int(_RESIDENT * device.free_bytes())
