"""The tree of an HDF5 file in lines of text; data are not read and links not followed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import h5py

from xtec.io.hdf5.guard import check_harmless
from xtec.io.hdf5.links import names_in
from xtec.io.hdf5.opening import attribute, open_hdf5, read_label

_MOST_CHILDREN = 12


def file_tree(path: Path, *, depth: int = 3) -> list[str]:
    """Groups, datasets and links of a file, one a line, indented.

    Raises
    ------
    SeriesNotFoundError, InputError
        If the file cannot be opened.
    """
    check_harmless(path, partial(_tree, path, depth))
    return _tree(path, depth)


def _tree(path: Path, depth: int) -> list[str]:
    with open_hdf5(path) as file:
        return _lines(file["/"], depth, "")


def _lines(group: h5py.Group, depth: int, indent: str) -> list[str]:
    lines: list[str] = []
    names = names_in(group)
    for name in names[:_MOST_CHILDREN]:
        link, shown = group.get(name, getlink=True), read_label(name)
        if isinstance(link, h5py.ExternalLink):
            lines.append(f"{indent}{shown} -> {read_label(link.filename)}:{read_label(link.path)}")
        elif isinstance(link, h5py.SoftLink):
            lines.append(f"{indent}{shown} -> {read_label(link.path)}")
        else:
            child = group[name]
            lines.append(f"{indent}{_describe(shown, child)}")
            if isinstance(child, h5py.Group) and depth > 1:
                lines += _lines(child, depth - 1, indent + "  ")
    if len(group) > _MOST_CHILDREN:
        lines.append(f"{indent}... {len(group) - _MOST_CHILDREN} more")
    return lines


def _describe(name: str, child: h5py.Group | h5py.Dataset) -> str:
    if isinstance(child, h5py.Dataset):
        shape = "no values" if child.shape is None else " x ".join(map(str, child.shape)) or "single value"
        return f"{name}  {shape}  {'text' if child.dtype.kind in 'OSU' else child.dtype}"
    return f"{name}  {read_label(attribute(child, 'NX_class'))}".rstrip()
