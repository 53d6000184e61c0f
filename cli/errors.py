"""From an error to an exit code and a message: the only place that knows both."""

from __future__ import annotations

import sys
import traceback
from typing import TypeGuard

from xtec.core.errors import (
    BackendUnavailableError,
    ConfigError,
    DegenerateMixtureError,
    InputError,
    NothingToClusterError,
    OutputError,
    XtecError,
)
from xtec.core.memory import is_short_of_memory

BUG, USAGE, UNUSABLE_INPUT, NO_RESULT, UNAVAILABLE, INTERRUPTED = 1, 2, 3, 4, 5, 130

_CODES: tuple[tuple[type[XtecError], int], ...] = (
    (ConfigError, USAGE),
    (OutputError, USAGE),
    (InputError, UNUSABLE_INPUT),
    (NothingToClusterError, NO_RESULT),
    (DegenerateMixtureError, NO_RESULT),
    (BackendUnavailableError, UNAVAILABLE),
)


def exit_code(error: BaseException) -> int:
    """Exit code of an error."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if is_short_of_memory(error):
        return UNAVAILABLE
    if _is_of_the_system(error):
        return UNUSABLE_INPUT
    return next((code for kind, code in _CODES if isinstance(error, kind)), BUG)


def _is_of_the_system(error: BaseException) -> TypeGuard[OSError]:
    """Whether the system has refused a file: its name is too long, its folder may not be entered, ..."""
    return isinstance(error, OSError) and not isinstance(error, XtecError) and error.filename is not None


def report(error: BaseException, *, verbose: bool, go_on: str = "") -> int:
    """Say on stderr what went wrong, and after an interruption how to go on; returns the exit code."""
    code = exit_code(error)
    if code == INTERRUPTED:
        end = f"go on with:\n  {go_on}" if go_on else "nothing was left half-written"
        sys.stderr.write(f"interrupted; {end}\n")
        return code
    if verbose:
        traceback.print_exception(error, file=sys.stderr)
    if is_short_of_memory(error):
        sys.stderr.write(f"error: there is not enough memory ({str(error) or 'the system refused more'})\n")
        sys.stderr.write("  try: a lower --memory-limit, --workers 1, or a smaller --region\n")
    elif _is_of_the_system(error):
        sys.stderr.write(f"error: {error.strerror}\n  in:  {error.filename}\n")
    elif code == BUG:
        sys.stderr.write(f"error: this is a bug in xtec: {type(error).__name__}: {error}\n")
        sys.stderr.write("  try: again with -v, and report what it prints\n")
    else:
        sys.stderr.write(f"error: {error}\n")
    return code
