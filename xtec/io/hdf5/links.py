"""Following links by hand: out of a file only to where the user lets us read.

HDF5 follows an external link to any file there is, and reports one whose target is missing as if the name
were there. So each step is looked at before HDF5 takes it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py

from xtec.core.errors import InputError, SeriesNotFoundError
from xtec.io.hdf5.opening import open_hdf5

_MOST_LINKS = 16
_MOST_NAMES = 1000


@dataclass(frozen=True)
class Bounds:
    """Where files that the input leads to may be.

    Attributes
    ----------
    folders : tuple of Path or None
        They and all below them, once symbolic links are resolved; None allows any place.
    """

    folders: tuple[Path, ...] | None

    @classmethod
    def around(cls, inputs: Iterable[Path], *, anywhere: bool = False) -> Bounds:
        """The folders that are given, and those in which the given files are."""
        places = (path if path.is_dir() else path.parent for path in inputs)
        return cls(None if anywhere else tuple(dict.fromkeys(Path(os.path.realpath(one)) for one in places)))

    def hold(self, target: Path) -> bool:
        """Whether a file is inside."""
        real = Path(os.path.realpath(target))
        return self.folders is None or any(real.is_relative_to(folder) for folder in self.folders)

    def check(self, target: Path, file: Path, hdf5_path: str | None = None) -> None:
        """Refuse a file outside; `file` and `hdf5_path` are what leads to it.

        Raises
        ------
        InputError
        """
        if not self.hold(target):
            raise InputError(
                f"this leads to {target}, which is outside the folder of the input",
                file=file,
                hdf5_path=hdf5_path,
                hint="--allow-external, if you trust the file that leads there",
            )


@contextmanager
def reached(path: Path, name: str, bounds: Bounds) -> Iterator[tuple[h5py.File, Path, str]]:
    """Follow soft and external links from a name in a file; the file that it leads to is open meanwhile.

    Yields
    ------
    file : h5py.File
    path : Path
        Of that file.
    name : str
        Of the object inside it, with no link on the way.

    Raises
    ------
    SeriesNotFoundError
        If a file or a name on the way is missing.
    InputError
        If the links go in circles, or out of bounds.
    """
    origin, first = path, name
    with ExitStack() as held:
        file = held.enter_context(open_hdf5(path))
        for _ in range(_MOST_LINKS):
            link, rest = _next_link(file, name)
            if link is None:
                yield file, path, name
                return
            name = "/".join([link.path, *rest])
            if isinstance(link, h5py.ExternalLink):
                target = path.parent / link.filename
                bounds.check(target, origin, first)
                if not _exists(target):
                    what = f"the link points to {link.filename}, which does not exist"
                    raise SeriesNotFoundError(what, file=origin, hdf5_path=first)
                path = target
                file = held.enter_context(open_hdf5(path))
        raise InputError("links go in circles", file=origin, hdf5_path=first)


def member(group: h5py.Group, name: str, bounds: Bounds) -> h5py.Group | h5py.Dataset | None:
    """What stands at a path below a group; None if nothing does, or a link leads nowhere.

    Raises
    ------
    InputError
        If a link on the way goes in circles, or out of bounds.
    """
    place: h5py.Group | h5py.Dataset | None = group.file["/"] if name.startswith("/") else group
    for part in _parts(name):
        if not isinstance(place, h5py.Group):
            return None
        link = place.get(part, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            try:
                with reached(Path(place.file.filename), f"{place.name.rstrip('/')}/{part}", bounds):
                    pass
            except SeriesNotFoundError:
                return None
        place = place.get(part)
    return place


def groups_in(group: h5py.Group, bounds: Bounds) -> Iterator[h5py.Group]:
    """Groups in a group; links that cannot be followed are passed over."""
    for name in names_in(group):
        try:
            child = member(group, name, bounds)
        except InputError:
            continue
        if isinstance(child, h5py.Group):
            yield child


def hint_of(group: h5py.Group, bounds: Bounds) -> str:
    """What to try where nothing was found in a group: a link may lead to it that was not followed."""
    for name in names_in(group):
        try:
            member(group, name, bounds)
        except InputError as error:
            return error.hint or error.what
    return "name the group with --entry"


def names_in(group: h5py.Group) -> list[str]:
    """The first names in a group that are text; one with more is not searched through."""
    return [name for name in itertools.islice(group, _MOST_NAMES) if isinstance(name, str)]


def _next_link(file: h5py.File, name: str) -> tuple[h5py.SoftLink | h5py.ExternalLink | None, list[str]]:
    """First link along a path, with the whole path to its target if it is soft, and what comes after it."""
    group: h5py.Group = file["/"]
    parts = _parts(name)
    for depth, part in enumerate(parts, start=1):
        link = group.get(part, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            return link, parts[depth:]
        if isinstance(link, h5py.SoftLink):
            before = "" if link.path.startswith("/") else "/".join(parts[: depth - 1])
            return h5py.SoftLink(f"{before}/{link.path}"), parts[depth:]
        child = None if link is None else group.get(part)
        if child is None or (depth < len(parts) and not isinstance(child, h5py.Group)):
            raise SeriesNotFoundError("there is nothing at this path", file=file.filename, hdf5_path=name)
        group = child
    return None, []


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def _exists(target: Path) -> bool:
    try:
        return target.exists()
    except ValueError:  # a zero byte in the name
        return False
