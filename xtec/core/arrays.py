"""Arrays of any library of the array API standard: NumPy's at home, CuPy's on a GPU.

Block kernels are written once, against the standard: they take the library from their arrays, and make new
ones with `like`. What comes out of a shard comes `home`, to NumPy.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np

Tree = TypeVar("Tree")


def namespace(array: Any) -> Any:
    """Array API namespace of an array: ``numpy`` for NumPy arrays."""
    if isinstance(array, np.ndarray):
        return np
    from array_api_compat import array_namespace

    return array_namespace(array)


def library_of(array: Any) -> str:
    """Name of the library of an array: ``numpy``, ``cupy``, ..."""
    return type(array).__module__.partition(".")[0]


def is_host(array: Any) -> bool:
    """Whether this is a NumPy array, which compiled loops can take."""
    return isinstance(array, np.ndarray)


def is_array(value: Any) -> bool:
    """Whether this is an array with at least one axis, of whatever library."""
    return bool(getattr(value, "ndim", 0)) and hasattr(value, "dtype")


def like(values: Any, reference: Any) -> Any:
    """A NumPy array in the library of another array, and on its device."""
    if isinstance(reference, np.ndarray):
        return values
    return namespace(reference).asarray(np.asarray(values), device=reference.device)


def some_rows(array: Any, which: Any) -> Any:
    """Rows of an array (n, ...) by a slice, or by a NumPy array of positions or of bool."""
    if isinstance(array, np.ndarray):
        return array[which]
    if isinstance(which, slice):
        return array[(which, *(slice(None),) * (array.ndim - 1))]
    at = np.flatnonzero(which) if which.dtype == bool else which
    return namespace(array).take(array, like(at, array), axis=0)


def home(tree: Tree) -> Tree:
    """The same with NumPy arrays in place of those elsewhere, in dataclasses, tuples, lists and dicts too."""
    return cast(Tree, _home(tree))


def _home(tree: Any) -> Any:
    if isinstance(tree, np.ndarray | np.generic | str | bytes | int | float) or tree is None:
        return tree
    if isinstance(tree, list | tuple):
        parts = [_home(one) for one in tree]
        if all(new is old for new, old in zip(parts, tree, strict=True)):
            return tree
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if isinstance(tree, dict):
        return {key: _home(one) for key, one in tree.items()}
    if is_dataclass(tree) and not isinstance(tree, type):
        values = {one.name: getattr(tree, one.name) for one in fields(tree)}
        moved = {name: new for name, old in values.items() if (new := _home(old)) is not old}
        return replace(tree, **moved) if moved else tree
    return _fetched(tree) if hasattr(tree, "dtype") and hasattr(tree, "ndim") else tree


def _fetched(array: Any) -> Any:
    if hasattr(array, "get"):  # CuPy
        return array.get(order="A")
    default = namespace(array).__array_namespace_info__().default_device()
    return np.asarray(array.to_device(default))


def numpy_dtype(array: Any) -> np.dtype[Any]:
    """NumPy's name for the type of an array of any library."""
    return np.dtype(str(array.dtype).rpartition(".")[2])


def array_bytes(array: Any) -> int:
    """Memory that an array takes."""
    return int(array.size) * numpy_dtype(array).itemsize
