"""Compiled inner loops: Numba without the interpreter's lock, so that threads share the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_REORDERING = {"reassoc", "contract", "arcp", "nsz"}
"""Sums may be regrouped, which lets them use vector registers; NaN and infinity keep their meaning."""


def compiled(kernel: Kernel) -> Kernel:
    """Compile a function; its machine code is kept between runs where a folder for it can be written."""
    return _compile(kernel, fastmath=False)


def compiled_sums(kernel: Kernel) -> Kernel:
    """As `compiled`, for loops whose sums may be taken in any order."""
    return _compile(kernel, fastmath=_REORDERING)


def is_kept() -> bool:
    """Whether a folder for machine code can be written, so that it is kept between runs."""
    try:
        numba.njit(is_kept, cache=True)
    except RuntimeError:
        return False
    return True


def _compile(kernel: Kernel, **options: Any) -> Kernel:
    try:
        made = numba.njit(kernel, nogil=True, error_model="numpy", cache=True, **options)
    except RuntimeError:  # no folder for the cache can be written, as in a read-only container
        made = numba.njit(kernel, nogil=True, error_model="numpy", **options)
    return cast(Kernel, made)
