"""Which array library the data live in."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np


def namespace(array: Any) -> ModuleType:
    """Array API namespace of an array: ``numpy`` for NumPy arrays."""
    if isinstance(array, np.ndarray):
        return np
    found: ModuleType = array.__array_namespace__()
    return found
