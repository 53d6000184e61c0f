"""Remake the sample data, bit for bit: ``python sample_data/make_sample.py [-o DIR]``."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from xtec.io.writing.series import Storage
from xtec.simulation import Overrides, SeriesSpec, make_specs
from xtec_pipelines.simulate import Layout, SimulateConfig, run_simulate, write_simulation

HERE = Path(__file__).resolve().parent
GZIP = Storage(compression="gzip")


def _coarse(preset: str, overrides: Overrides, *, sigma: float, diffuse: float) -> SeriesSpec:
    """One series of a preset on a coarse grid, with peaks and halos sized for it."""
    (spec,) = make_specs(preset, overrides)
    return replace(spec, scattering=replace(spec.scattering, sigma=sigma, diffuse=diffuse))


def cdw_spec() -> SeriesSpec:
    """``srn_cdw.nxs``: 20 temperatures, 10 pixels per r.l.u."""
    overrides = Overrides(
        region={"Ql": (0, 1), "Qk": (-5, 5), "Qh": (-8, 8)},
        pixels=10,
        n_temperatures=20,
        gap=0.25,
        hot_pixels=3,
    )
    return _coarse("cdw", overrides, sigma=0.7, diffuse=0.045)


def nxrefine_spec() -> SeriesSpec:
    """``nxrefine/``: six temperatures."""
    overrides = Overrides(
        region={"Ql": (-0.5, 0.5), "Qk": (-3, 3), "Qh": (-4, 4)},
        pixels=10,
        temperatures=(30, 180),
        n_temperatures=6,
        seed=1,
    )
    return _coarse("cdw", overrides, sigma=0.7, diffuse=0.045)


def iuc_spec() -> SeriesSpec:
    """``cro_iuc.nxs``: 16 temperatures, 6 pixels per r.l.u."""
    overrides = Overrides(
        region={"Ql": (0, 2), "Qk": (-6, 6), "Qh": (-9, 9)},
        pixels=6,
        temperatures=(30, 255),
        n_temperatures=16,
    )
    return _coarse("iuc", overrides, sigma=0.7, diffuse=0.045)


def make(folder: Path) -> list[Path]:
    """Write every sample into `folder`, replacing earlier ones; returns the files."""
    write_simulation(cdw_spec(), folder / "srn_cdw.nxs", layout=Layout.STACKED, storage=GZIP, force=True)
    write_simulation(nxrefine_spec(), folder / "nxrefine", layout=Layout.NXREFINE, storage=GZIP, force=True)
    write_simulation(iuc_spec(), folder / "cro_iuc.nxs", layout=Layout.STACKED, storage=GZIP, force=True)
    run_simulate(SimulateConfig(preset="phase-diagram", output=folder / "phase_diagram", force=True))
    return sorted(folder.rglob("*.nxs"))


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the samples and list their checksums, in the README's order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=HERE, metavar="DIR")
    folder = parser.parse_args(arguments).output
    for path in make(folder):
        sys.stdout.write(f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n")


if __name__ == "__main__":
    main()
