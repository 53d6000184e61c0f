"""``xtec doctor``: what a person needs to know when something does not work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from xtec_pipelines.health.diagnosis import Diagnosis
from xtec_pipelines.health.machine import check_folder, check_locking, check_memory, check_speed, check_tmp
from xtec_pipelines.health.software import (
    check_completion,
    check_dask,
    check_distributions,
    check_filters,
    check_gpu,
    check_kernels,
    check_plugins,
    check_terminal,
    check_versions,
)

Check = Callable[[], Diagnosis | list[Diagnosis]]


def run_doctor(folder: Path) -> list[Diagnosis]:
    """Look at everything that commands rely on; takes a few seconds, and leaves nothing behind.

    Parameters
    ----------
    folder : Path
        Where results are to go: its disk is tried.

    Returns
    -------
    list of Diagnosis
        In the order in which they are worth reading.
    """
    usable = check_folder(folder)
    on_disk: tuple[Check, ...] = (partial(check_speed, folder), partial(check_locking, folder))
    checks: tuple[Check, ...] = (
        *(check_versions, check_distributions, check_filters, check_kernels, check_gpu),
        lambda: usable,
        *(() if usable.state == "problem" else on_disk),
        *(check_tmp, check_memory, check_plugins, check_terminal, check_completion),
    )
    with ThreadPoolExecutor(1) as aside:
        processes = aside.submit(check_dask)  # workers start while the rest is looked at
        return [*_every(checks), processes.result()]


def _every(checks: tuple[Check, ...]) -> Iterator[Diagnosis]:
    for check in checks:
        found = check()
        yield from [found] if isinstance(found, Diagnosis) else found
