"""The crystal: its lattice, direct and reciprocal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from xtec.core.errors import ConfigError
from xtec.core.types import Float64Array

LatticeSystem = Literal["cubic", "hexagonal"]
"""Laue groups m-3m and 6/mmm."""

_COSINE_SINE: dict[LatticeSystem, tuple[float, float]] = {
    "cubic": (0.0, 1.0),
    "hexagonal": (0.5, float(np.sqrt(0.75))),
}
"""Of the angle between a* and b*; tabulated because the cosine of 90 degrees in radians is not 0."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A cubic or hexagonal crystal.

    Parameters
    ----------
    name, formula : str
    lattice_parameter : float
        a, in angstrom.
    lattice : str
        ``cubic`` or ``hexagonal``.
    c : float, optional
        In angstrom; what a hexagonal crystal must have, and a cubic one cannot.
    composition : float, optional
        x of a substitution series.

    Raises
    ------
    ConfigError
        If there is no such lattice, or c is missing, superfluous or not positive.
    """

    name: str
    formula: str
    lattice_parameter: float
    lattice: LatticeSystem = "cubic"
    c: float | None = None
    composition: float | None = None

    def __post_init__(self) -> None:
        known = get_args(LatticeSystem)
        if self.lattice not in known:
            raise ConfigError(f"no lattice named {self.lattice!r}", hint=f"one of: {', '.join(known)}")
        if (self.c is None) != (self.lattice == "cubic"):
            raise ConfigError("a hexagonal crystal needs c, a cubic one has none")
        if not min(self.cell[:3]) > 0:
            raise ConfigError(f"lengths of the unit cell must be positive, got {self.cell[:3]}")

    @property
    def cell(self) -> tuple[float, float, float, float, float, float]:
        """``(a, b, c, alpha, beta, gamma)`` in angstrom and degrees."""
        a = self.lattice_parameter
        return a, a, a if self.c is None else self.c, 90.0, 90.0, 90.0 if self.lattice == "cubic" else 120.0

    @property
    def reciprocal_lengths(self) -> tuple[float, float, float]:
        """``(a*, b*, c*)`` in 1/angstrom."""
        _, sine = _COSINE_SINE[self.lattice]
        a_star = float(2 * np.pi / (self.lattice_parameter * sine))
        return a_star, a_star, float(2 * np.pi / self.cell[2])

    @property
    def reciprocal_angles(self) -> tuple[float, float, float]:
        """``(gamma*, beta*, alpha*)`` in degrees, as NXRefine gives them beside the axes Ql, Qk, Qh."""
        return 180.0 - self.cell[5], 90.0, 90.0

    def cartesian(
        self, qh: Float64Array, qk: Float64Array, ql: Float64Array
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Right-angled components of ``h a* + k b* + l c*`` in units of a*.

        Parameters
        ----------
        qh, qk, ql : array
            Indices in r.l.u.; shapes broadcast.

        Returns
        -------
        x, y, z : array
            Along a*, across it in the plane of a* and b*, and along c*.
        """
        cosine, sine = _COSINE_SINE[self.lattice]
        a_star, _, c_star = self.reciprocal_lengths
        return np.asarray(qh + cosine * qk), np.asarray(sine * qk), np.asarray(c_star / a_star * ql)
