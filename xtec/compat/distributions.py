"""Two distributions own the import name ``xtec``: this one, and the reference package."""

from __future__ import annotations

import warnings
from functools import cache
from importlib.metadata import PackageNotFoundError, version

_OURS = "xtec-pipeline"
_REFERENCE = "xtec"


def reference_version() -> str | None:
    """Version of the reference package, if it is installed in the same environment."""
    try:
        return version(_REFERENCE)
    except PackageNotFoundError:
        return None


@cache
def warn_of_reference() -> None:
    """Warn, once, if the reference package is installed in the same environment."""
    found = reference_version()
    if found is None:
        return
    warnings.warn(
        f"the distributions {_REFERENCE} {found} and {_OURS} are both installed, and both own the import "
        f"name xtec: what was installed last has overwritten files of the other. "
        f"{_OURS} has the other's classes; keep it alone: "
        f"pip uninstall {_REFERENCE} {_OURS}, then pip install {_OURS}",
        stacklevel=3,
    )
