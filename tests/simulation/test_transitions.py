"""Kinds of transition, smearing, hysteresis, and series without any, against closed forms."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.special import ndtri

from xtec.core.errors import ConfigError
from xtec.io.writing.truth import read_truth
from xtec.simulation import (
    Detector,
    Grid,
    Overrides,
    Sample,
    Scattering,
    SeriesSpec,
    SimulatedSeries,
    Transition,
    make_specs,
)
from xtec_pipelines.simulate import SimulateConfig, make_simulate_config, run_simulate

TC, BETA, HEIGHT = 100.0, 0.35, 50.0
TEMPERATURES = (20.0, 60.0, 85.0, 95.0, 99.0, 100.0, 101.0, 104.0, 115.0, 160.0)
CENTRE = (0.5, 0.5, 0.5)


def make_series(*, critical: float = 0.0, cycle: bool = False, **transition: object) -> SimulatedSeries:
    """Superlattice peaks of height 50 whose centres are voxels, too narrow to reach one another."""
    order = Transition(
        **{"name": "superlattice", "tc": TC, "beta": BETA, "star": (CENTRE,), **transition},
        heights=(HEIGHT, HEIGHT),
    )
    spec = SeriesSpec(
        grid=Grid(ql=(0, 1), qk=(0, 1), qh=(0, 1), pixels=10, temperatures=TEMPERATURES, cycle=cycle),
        sample=Sample(name="X", formula="X", lattice_parameter=9.8),
        transitions=(order,),
        scattering=Scattering(sigma=0.5, tail=0.0, critical=critical),
        detector=Detector(counts=0, beam_stop=0, wedge=0, hot_pixels=0),
    )
    return SimulatedSeries(spec)


def at_centre(series: SimulatedSeries) -> np.ndarray:
    """The superlattice peak's intensity at its centre, for each point of the scan."""
    plane, row, column = (int(np.argmin(np.abs(q - 0.5))) for q in series.spec.grid.q)
    return np.array([series.component("superlattice", t, plane)[row, column] for t in range(series.shape[0])])


def second_order(temperature: np.ndarray, tc: np.ndarray | float) -> np.ndarray:
    return np.clip(1 - temperature / tc, 0, None) ** (2 * BETA)


def first_order(temperature: np.ndarray, tc: np.ndarray | float) -> np.ndarray:
    return np.where(temperature < tc, 1 - 0.2 * temperature / tc, 0.0)


LAWS = {"second-order": second_order, "first-order": first_order}


@pytest.mark.parametrize("kind", LAWS)
def test_peaks_follow_the_law_of_their_kind(kind: str):
    intensity = at_centre(make_series(kind=kind))
    np.testing.assert_allclose(intensity, HEIGHT * LAWS[kind](np.array(TEMPERATURES), TC), rtol=1e-10)


def test_a_jump_has_no_critical_scattering():
    np.testing.assert_array_equal(
        at_centre(make_series(kind="first-order", critical=0.01)), at_centre(make_series(kind="first-order"))
    )
    assert at_centre(make_series(critical=0.01))[-1] > 0


def test_the_residual_stays_above_a_jump():
    intensity = at_centre(make_series(kind="first-order", residual=0.1))
    assert intensity[-1] == pytest.approx(0.1 * HEIGHT)
    assert intensity[0] == pytest.approx(HEIGHT * (0.1 + 0.9 * (1 - 0.2 * 20 / TC)))


@pytest.mark.parametrize("width", [0.5, 3.0, 12.0])
@pytest.mark.parametrize("kind", LAWS)
def test_smearing_is_the_average_over_a_gaussian_distribution_of_tc(kind: str, width: float):
    quantiles = (np.arange(200_000) + 0.5) / 200_000
    tc = TC + width * ndtri(quantiles)
    expected = [LAWS[kind](temperature, tc).mean() for temperature in np.array(TEMPERATURES)]
    intensity = at_centre(make_series(kind=kind, width=width))
    np.testing.assert_allclose(intensity, HEIGHT * np.array(expected), atol=1e-5 * HEIGHT)


def test_smearing_averages_the_critical_scattering_too():
    tcs = TC + 4.0 * ndtri((np.arange(800) + 0.5) / 800)
    members = np.mean([at_centre(make_series(critical=0.01, tc=float(tc))) for tc in tcs], axis=0)
    np.testing.assert_allclose(at_centre(make_series(critical=0.01, width=4.0)), members, rtol=2e-3)


def test_a_width_that_vanishes_changes_nothing():
    for kind in LAWS:
        sharp, narrow = (at_centre(make_series(kind=kind, width=width)) for width in (0.0, 1e-9))
        away = np.array(TEMPERATURES) != TC
        np.testing.assert_allclose(narrow[away], sharp[away], rtol=1e-8)


@pytest.mark.parametrize("kind", LAWS)
def test_a_cycle_cools_then_warms_with_a_higher_tc(kind: str):
    series = make_series(kind=kind, cycle=True, hysteresis=10.0)
    number = len(TEMPERATURES)
    cooling, warming = np.array(TEMPERATURES)[::-1], np.array(TEMPERATURES)[1:]
    np.testing.assert_array_equal(series.scan.values, [*cooling, *warming])
    assert series.shape[0] == 2 * number - 1
    intensity = at_centre(series)
    law = LAWS[kind]
    np.testing.assert_allclose(intensity[:number], HEIGHT * law(cooling, TC), rtol=1e-10)
    np.testing.assert_allclose(intensity[number:], HEIGHT * law(warming, TC + 10), rtol=1e-10)
    assert [tc for _, tc, _, _ in series.transitions] == [TC, TC + 10]


def test_without_a_way_back_hysteresis_changes_nothing():
    np.testing.assert_array_equal(at_centre(make_series(hysteresis=10.0)), at_centre(make_series()))
    assert len(make_series(hysteresis=10.0).transitions) == 1


def test_what_does_not_order_is_the_same_on_both_ways():
    series = make_series(cycle=True, hysteresis=10.0)
    last = series.shape[0] - 1
    np.testing.assert_array_equal(series.component("Bragg", 0, 0), series.component("Bragg", last, 0))
    spec = replace(series.spec, detector=replace(series.spec.detector, counts=1.0))
    noisy = SimulatedSeries(spec)
    np.testing.assert_array_equal(noisy.expected(0, 0), noisy.expected(last, 0))
    assert np.any(noisy.plane(0, 0) != noisy.plane(last, 0))


def test_a_cycle_on_disk_keeps_the_order_of_measurement(tmp_path: Path):
    overrides = Overrides(cycle=12.0, temperatures=(100, 200), n_temperatures=3)
    run_simulate(SimulateConfig(preset="tiny", output=tmp_path / "a.nxs", overrides=overrides))
    with h5py.File(tmp_path / "a.nxs") as file:
        np.testing.assert_array_equal(file["entry/data/temperature"], [200, 150, 100, 150, 200])
        series = SimulatedSeries(*make_specs("tiny", overrides))
        np.testing.assert_array_equal(file["entry/data/data"], series.block(slice(None), slice(None)))
    truth = read_truth(tmp_path / "a.nxs")
    assert (truth.tc, truth.transitions) == ([131.0, 143.0], ("superlattice", "superlattice"))
    np.testing.assert_array_equal(truth.q, [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])


def test_a_cycle_has_no_nxrefine_layout(tmp_path: Path):
    with pytest.raises(ConfigError, match="cycle"):
        run_simulate(
            make_simulate_config(
                {"preset": "tiny", "output": tmp_path / "a", "layout": "nxrefine", "cycle": 5.0}
            )
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("preset", ["tiny", "iuc", "phase-diagram"])
def test_no_transition_leaves_the_rest(preset: str):
    small = {"n_temperatures": 2, "pixels": 4, "region": {"Qh": (-2, 2), "Qk": (-2, 2)}}
    for spec, plain in zip(
        make_specs(preset, Overrides(no_transition=True, **small)),
        make_specs(preset, Overrides(**small)),
        strict=True,
    ):
        series, ordered = SimulatedSeries(spec), SimulatedSeries(plain)
        assert series.transitions == []
        parts = dict.fromkeys(each.name for each in plain.transitions)
        order = sum(ordered.component(name, 0, 0) for name in parts)
        np.testing.assert_allclose(series.expected(0, 0) + order, ordered.expected(0, 0), rtol=1e-9)


def test_the_truth_of_no_transition_and_of_a_jump(tmp_path: Path, run_cli):
    done = run_cli("simulate", "tiny", "-o", tmp_path / "a.nxs", "--no-transition")
    assert done.code == 0
    assert "no transition" in done.stdout
    truth = read_truth(tmp_path / "a.nxs")
    assert (truth.tc, truth.beta, truth.q.shape) == ([], [], (0, 3))
    assert not truth.mask("superlattice").any()
    done = run_cli("simulate", "tiny", "-o", tmp_path / "b.nxs", "--kind", "first-order", "--json")
    (planted,) = json.loads(done.stdout)["written"][0]["truth"]["transitions"]
    assert planted == {"name": "superlattice", "tc": 131.0, "beta": None}
    assert np.isnan(read_truth(tmp_path / "b.nxs").beta).all()


def test_every_option_reaches_the_series(tmp_path: Path, run_cli):
    options = "--kind first-order --width 2 --heights 30,40 --critical 0 --cycle 6 --lattice hexagonal"
    options += " --q 1/3,1/3,0 --n-temperatures 3"
    done = run_cli("simulate", "tiny", "-o", tmp_path / "a.nxs", *options.split())
    assert done.code == 0, done.stderr
    assert "jump at Tc = 131 K, jump at Tc = 137 K" in done.stdout
    (spec,) = make_specs(
        "tiny",
        Overrides(
            kind="first-order",
            width=2.0,
            heights=(30.0, 40.0),
            critical=0.0,
            cycle=6.0,
            lattice="hexagonal",
            q=(1 / 3, 1 / 3, 0.0),
            n_temperatures=3,
        ),
    )
    (order,) = spec.transitions
    assert (order.kind, order.width, order.hysteresis) == ("first-order", 2.0, 6.0)
    assert spec.scattering.critical == 0
    with h5py.File(tmp_path / "a.nxs") as file:
        block = SimulatedSeries(spec).block(slice(None), slice(None))
        np.testing.assert_array_equal(file["entry/data/data"], block)


def test_heights_bound_the_peaks():
    overrides = Overrides(heights=(30.0, 40.0), critical=0.0, counts=0.0, temperatures=(1, 300))
    (spec,) = make_specs("tiny", overrides)
    series = SimulatedSeries(replace(spec, scattering=replace(spec.scattering, tail=0.0, sigma=0.4)))
    _, qk, qh = series.spec.grid.q
    ordered = series.component("superlattice", 0, 0)[np.ix_(qk % 1 == 0.5, qh % 1 == 0.5)]
    law = (1 - 1 / 131) ** 0.7
    assert ordered.size == 25
    assert 30 * law <= ordered.min() < ordered.max() <= 40 * law
    assert not series.component("superlattice", series.shape[0] - 1, 0).any()


@pytest.mark.parametrize(
    "overrides",
    [
        Overrides(kind="third-order"),
        Overrides(kind="first-order", beta=(0.3,)),
        Overrides(width=-1.0),
        Overrides(width=30.0),
        Overrides(cycle=-1.0),
        Overrides(heights=(0.0, 10.0)),
        Overrides(heights=(10.0, 5.0)),
        Overrides(critical=-0.1),
        Overrides(no_transition=True, tc=(100.0,)),
        Overrides(no_transition=True, kind="first-order"),
    ],
)
def test_nonsense_is_refused(overrides: Overrides):
    with pytest.raises(ConfigError):
        make_specs("tiny", overrides)


def test_heights_are_two_numbers(tmp_path: Path):
    with pytest.raises(ConfigError, match="heights"):
        make_simulate_config({"preset": "tiny", "output": tmp_path / "a.nxs", "heights": "5"})
