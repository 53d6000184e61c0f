"""Wave vectors that are the slopes of another's peaks are left out, faint ones of their own are not."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.axes import Axis
from xtec.core.quantities import SampleInfo
from xtec.reciprocal import find_wave_vectors, make_lattice, without_wings
from xtec.reciprocal.wave_vectors import PeakPositions

PIXEL = 0.05
STRONG = (0.5, 0.5, 0.0)


def wave_vectors(faint: tuple[float, float, float], share: float, *, connected: bool) -> list[str]:
    """What is left of peaks at (1/2, 1/2, 0) and fainter ones beside them, in a triclinic crystal."""
    rng = np.random.default_rng(0)
    zones = np.stack(np.meshgrid(*[np.arange(-3.0, 3.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    hkl = np.concatenate([zones + STRONG, zones + faint]) + rng.normal(0, 0.1 * PIXEL, (2 * len(zones), 3))
    number = np.arange(len(zones))
    peaks = PeakPositions(
        hkl=hkl,
        whole=np.ones(hkl.shape, bool),
        weight=np.repeat([1.0, share], len(zones)),
        error=None,
        pixel=np.full(3, PIXEL),
        low=np.full(3, -3.5),
        high=np.full(3, 3.5),
        connected=np.concatenate([number, number if connected else number + len(zones)]),
    )
    sample = SampleInfo(cell=(4.0, 5.0, 6.0, 80.0, 95.0, 100.0))
    axes = [Axis(name, np.arange(-3.5, 3.5, PIXEL), "r.l.u.") for name in ("Ql", "Qk", "Qh")]
    lattice = make_lattice(sample, axes, None, "P-1")
    found = without_wings(find_wave_vectors(peaks, lattice, (1,)), peaks)
    return sorted(vector.text for vector in found)


@pytest.mark.parametrize(
    ("faint", "share", "connected", "kept"),
    [
        ((0.5, 0.35, 0.0), 0.01, True, False),  # three pixels off, in the same connected voxels
        ((0.5, 0.35, 0.0), 0.01, False, True),  # peaks of its own, however faint
        ((0.5, 0.35, 0.0), 0.3, True, True),  # as strong as satellites are that run into each other
        ((0.5, 0.42, 0.0), 0.3, False, False),  # within two pixels
        ((0.5, 0.25, 0.0), 0.3, False, True),
    ],
)
def test_which_are_left(faint: tuple[float, float, float], share: float, connected: bool, kept: bool) -> None:
    found = wave_vectors(faint, share, connected=connected)
    assert "(1/2, 1/2, 0)" in found
    assert len(found) == (2 if kept else 1)
