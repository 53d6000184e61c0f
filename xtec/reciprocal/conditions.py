"""Conditions on h, k and l that a user writes, read without running them as code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import ConfigError

Mask = NDArray[np.bool_]
Condition = Callable[[NDArray[np.integer]], Mask]

_LONGEST = 500
"""Characters of an expression."""

_LARGEST = 10**6
"""Whole number that may stand in an expression."""

_EXAMPLE = 'write it like "h % 4 == 2 and (k + l) % 2 == 0"'

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Mod: operator.mod,
    ast.FloorDiv: operator.floordiv,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def parse_condition(text: str) -> Condition:
    """Read a condition on h, k and l.

    Parameters
    ----------
    text : str
        In Python's notation: whole numbers, ``+ - * % //``, ``abs()``, comparisons (chained ones too),
        ``and``, ``or``, ``not`` and parentheses. ``%`` and ``//`` divide by a positive whole number.

    Returns
    -------
    callable
        From integers (N, 3) to bool (N,).

    Raises
    ------
    ConfigError
        If it cannot be read, holds anything else, or is no condition.

    Examples
    --------
    >>> parse_condition("h % 4 == 2 and k == l == 0")(np.array([[2, 0, 0], [4, 0, 0]])).tolist()
    [True, False]
    """
    if len(text) > _LONGEST:
        raise ConfigError(f"condition on h, k, l: longer than {_LONGEST} characters", hint=_EXAMPLE)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ConfigError(f"condition on h, k, l: cannot read {text!r}", hint=_EXAMPLE) from None

    def holds(hkl: NDArray[np.integer]) -> Mask:
        columns = dict(zip("hkl", np.asarray(hkl, dtype=np.int64).reshape(-1, 3).T, strict=True))
        return np.array(np.broadcast_to(_condition(tree, columns), len(hkl)))

    holds(np.ones((1, 3), dtype=np.int64))  # whatever is not allowed is found here
    return holds


def _condition(node: ast.expr, columns: dict[str, Any]) -> Any:
    """Value of a part that is true or false."""
    match node:
        case ast.BoolOp(op=op, values=values):
            join = np.logical_and if isinstance(op, ast.And) else np.logical_or
            return reduce(join, [_condition(value, columns) for value in values])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return np.logical_not(_condition(operand, columns))
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            numbers = [_number(part, columns) for part in (left, *comparators)]
            steps = zip(ops, numbers[:-1], numbers[1:], strict=True)
            return reduce(np.logical_and, [_comparison(op, node)(a, b) for op, a, b in steps])
    raise ConfigError(
        f"condition on h, k, l: {ast.unparse(node)!r} is neither true nor false",
        hint="compare it: (h + k) % 2 == 0",
    )


def _comparison(op: ast.cmpop, node: ast.expr) -> Callable[[Any, Any], Any]:
    if type(op) not in _COMPARISONS:
        raise _not_allowed(node)
    return _COMPARISONS[type(op)]


def _number(node: ast.expr, columns: dict[str, Any]) -> Any:
    """Value of a part that is a whole number."""
    match node:
        case ast.Name(id=name) if name in columns:
            return columns[name]
        case ast.Constant(value=int(value)) if type(value) is int and value <= _LARGEST:
            return np.array([value])  # as an array it cannot grow beyond all bounds
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand, columns)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _number(operand, columns)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            divides = isinstance(op, ast.Mod | ast.FloorDiv)
            if divides and not (isinstance(right, ast.Constant) and right.value):
                raise ConfigError(
                    f"condition on h, k, l: {ast.unparse(node)!r} does not divide by a positive whole number"
                )
            return _ARITHMETIC[type(op)](_number(left, columns), _number(right, columns))
        case ast.Call(func=ast.Name(id="abs"), args=[argument], keywords=[]):
            return abs(_number(argument, columns))
    raise _not_allowed(node)


def _not_allowed(node: ast.expr) -> ConfigError:
    return ConfigError(
        f"condition on h, k, l: {ast.unparse(node)!r} is not allowed",
        hint="h, k, l, whole numbers, + - * % //, abs(), comparisons, and, or, not",
    )
