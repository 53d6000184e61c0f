"""The truth of a simulated series: what each voxel is, and the Tc, beta and q that were planted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.errors import InputError, SeriesNotFoundError
from xtec.core.types import Float64Array

TRUTH_PATH = "/entry/truth"


@dataclass(frozen=True)
class Truth:
    """What was planted in a simulated series.

    Attributes
    ----------
    labels : array, shape (L, K, H) or (K, H), int8
        Index into `names` of what dominates each voxel; 0 is background.
    names : tuple of str
        ``("background", "superlattice", "Bragg", "thermal diffuse")``, or with one name for each transition.
    tc : list of float
        Transition temperatures in K; empty where nothing orders.
    beta : list of float
        Exponents of the order parameters, one for each `tc`.
    q : array, shape (m, 3)
        Wave vectors (h, k, l) of the star in r.l.u.; ``(0, 0, 0)`` for order inside the unit cell.
    transitions : tuple of str
        Which of the `names` each `tc` belongs to.
    rule : str
        How the labels were given.
    """

    labels: NDArray[np.int8]
    names: tuple[str, ...]
    tc: list[float]
    beta: list[float]
    q: Float64Array
    transitions: tuple[str, ...]
    rule: str

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Voxels of one label.

        Raises
        ------
        InputError
            If there is no such label.
        """
        if name not in self.names:
            raise InputError(f"the truth has no label {name!r}", hint=f"one of: {', '.join(self.names)}")
        return np.asarray(self.labels == self.names.index(name))


class LabelSource(Protocol):
    """A series that knows its own truth and hands out labels by slabs of L planes."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(T, L, K, H)``."""

    @property
    def planar(self) -> bool:
        """Whether the L axis is one plane to be left out."""

    @property
    def q_axes(self) -> tuple[Axis, Axis, Axis]:
        """Ql, Qk, Qh."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """Meaning of the labels."""

    @property
    def label_rule(self) -> str:
        """How the labels were given."""

    @property
    def transitions(self) -> list[tuple[str, float, float, Float64Array]]:
        """Name, Tc in K, beta and star (m, 3) of each transition."""

    def labels(self, planes: slice) -> NDArray[np.int8]:
        """Labels of some L planes, shape (l, K, H)."""


def truth_file_of(folder: Path, prefix: str) -> Path:
    """Where the truth of an NXRefine folder stands: not among the scans."""
    return folder / "truth" / f"{prefix}_truth.nxs"


def write_truth(entry: h5py.Group, source: LabelSource) -> None:
    """Write the group ``truth`` into an open entry, plane by plane.

    Parameters
    ----------
    entry : h5py.Group
        An NXentry without such a group.
    source : LabelSource
    """
    group = entry.create_group("truth")
    group.attrs["NX_class"] = "NXcollection"
    group.attrs["description"] = "what was planted in this simulated series"
    _write_labels(group, source)
    text = h5py.string_dtype()
    group.create_dataset("names", data=np.array(source.label_names, dtype=text))
    transitions = source.transitions
    group.create_dataset("transitions", data=np.array([name for name, *_ in transitions], dtype=text))
    tc = group.create_dataset("tc", data=np.array([tc for _, tc, _, _ in transitions], dtype=np.float64))
    tc.attrs["units"] = "K"
    tc.attrs["description"] = "transition temperatures"
    exponents = np.array([exponent for _, _, exponent, _ in transitions], dtype=np.float64)
    beta = group.create_dataset("beta", data=exponents)
    beta.attrs["description"] = "intensity follows (1 - T/Tc)^(2 beta)"
    stars = [star.reshape(-1, 3) for *_, star in transitions]
    rows = np.concatenate(stars) if stars else np.empty((0, 3))
    rows = np.array(list(dict.fromkeys(map(tuple, rows.tolist()))), dtype=np.float64).reshape(-1, 3)
    q = group.create_dataset("q", data=rows)
    q.attrs["units"] = "r.l.u."
    q.attrs["description"] = "star of the ordering wave vector, (h, k, l)"


def _write_labels(group: h5py.Group, source: LabelSource) -> None:
    _, n_planes, n_k, n_h = source.shape
    shape = (n_k, n_h) if source.planar else (n_planes, n_k, n_h)
    chunks = tuple(min(length, 64) for length in shape)
    labels = group.create_dataset(
        "labels", shape, np.int8, chunks=chunks, compression="gzip", compression_opts=6, shuffle=False
    )
    labels.attrs["description"] = source.label_rule
    labels.attrs["axes"] = " ".join(axis.name for axis in source.q_axes[1 if source.planar else 0 :])
    if source.planar:
        labels[...] = source.labels(slice(0, 1))[0]
        return
    for start in range(0, n_planes, chunks[0]):
        planes = slice(start, min(start + chunks[0], n_planes))
        labels[planes] = source.labels(planes)


def read_truth(path: str | Path) -> Truth:
    """Read the truth of a simulated series.

    Parameters
    ----------
    path : str or Path
        A stacked file, the truth file of an NXRefine folder, or the folder itself.

    Returns
    -------
    Truth

    Raises
    ------
    SeriesNotFoundError
        If the file does not exist.
    InputError
        If it is no HDF5 file or has no truth: measured series have none.
    """
    path = Path(path)
    if path.is_dir():
        found = sorted(path.glob("truth/*_truth.nxs"))
        if not found:
            raise InputError("this folder has no truth", file=path, hint="only simulated series have one")
        path = found[0]
    if not path.exists():
        raise SeriesNotFoundError("no such file", file=path)
    try:
        with h5py.File(path, "r") as file:
            if TRUTH_PATH not in file:
                raise InputError(
                    "this file has no truth",
                    file=path,
                    hdf5_path=TRUTH_PATH,
                    hint="only simulated series have one",
                )
            return _read_group(file[TRUTH_PATH])
    except OSError as error:
        raise InputError(f"cannot be read as HDF5: {error}", file=path) from error


def _read_group(group: h5py.Group) -> Truth:
    return Truth(
        labels=np.asarray(group["labels"][...], dtype=np.int8),
        names=tuple(str(name) for name in group["names"].asstr()[...]),
        tc=[float(value) for value in group["tc"][...]],
        beta=[float(value) for value in group["beta"][...]],
        q=np.asarray(group["q"][...], dtype=np.float64).reshape(-1, 3),
        transitions=tuple(str(name) for name in group["transitions"].asstr()[...]),
        rule=str(group["labels"].attrs["description"]),
    )
