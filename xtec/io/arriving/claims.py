"""Which of the files of a series has which place: one grid for all, one file for each temperature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xtec.io.arriving.events import EventKind
from xtec.io.arriving.readiness import Found
from xtec.io.reading.volume import Volume, misfit


@dataclass(frozen=True, order=True)
class _Claim:
    """When a file first had its value."""

    look: int
    mtime_ns: int
    path: Path
    value: float = field(compare=False)


class Claims:
    """The grid is the one that most files have; of two files with one value the first has the place."""

    def __init__(self) -> None:
        self._claims: dict[Path, _Claim] = {}
        self._holders: dict[float, Path] = {}
        self._model: Volume | None = None

    def renew(self, look: int, claimed: Mapping[Path, Found]) -> None:
        """Settle all places anew.

        Parameters
        ----------
        look : int
            Number of the look at the folder.
        claimed : mapping of Path to Found
            All files that can be read, or are about to be read again.
        """
        claims: dict[Path, _Claim] = {}
        for path, found in claimed.items():
            before = self._claims.get(path)
            fresh = _Claim(look, found.signature.mtime_ns, path, found.value)
            claims[path] = fresh if before is None or before.value != found.value else before
        self._claims = claims
        in_order = [claimed[path] for path in sorted(claims, key=claims.__getitem__)]
        self._model = _commonest(self._model, [found.volume for found in in_order])
        self._holders = {}
        for found in in_order:
            if self._unfit(found) is None:
                self._holders.setdefault(found.value, found.volume.data.file)

    def verdict(self, found: Found) -> tuple[EventKind, str]:
        """Ready, bad (on another grid) or duplicate, with the reason."""
        unfit = self._unfit(found)
        if unfit is not None:
            return EventKind.BAD, unfit
        holder = self._holders[found.value]
        if holder != found.volume.data.file:
            return EventKind.DUPLICATE, f"{found.amount} is there already: {holder.name}"
        return EventKind.READY, ""

    def _unfit(self, found: Found) -> str | None:
        return None if self._model is None else misfit(found.volume, self._model)


def _commonest(model: Volume | None, volumes: list[Volume]) -> Volume | None:
    """A volume on the grid that most have; of equals the grid of `model`, then of the first."""
    groups = [] if model is None else [(model, 0)]
    for volume in volumes:
        for index, (first, count) in enumerate(groups):
            if misfit(volume, first) is None:
                groups[index] = (first, count + 1)
                break
        else:
            groups.append((volume, 1))
    return max(groups, key=lambda group: group[1])[0] if volumes else None
