"""The forward model against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtec.core.errors import ConfigError
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
from xtec.simulation.basis import GaussianBasis
from xtec.simulation.reflections import RULES, reflection_mask, reflection_uniform, star

TC, BETA = 131.0, 0.35
NOISELESS = Detector(counts=0, beam_stop=0, wedge=0, hot_pixels=0)
TINY = make_specs("tiny")[0]


def make_series(**scattering: float) -> SimulatedSeries:
    grid = Grid(
        ql=(-0.5, 1.5), qk=(-0.5, 1.5), qh=(-0.5, 1.5), pixels=10, temperatures=(20, 60, 100, 125, 135, 200)
    )
    order = Transition(name="superlattice", tc=TC, beta=BETA, star=((0.5, 0.5, 0.5),))
    sample = Sample(name="X", formula="X", lattice_parameter=9.8)
    spec = SeriesSpec(
        grid=grid,
        sample=sample,
        transitions=(order,),
        scattering=Scattering(**scattering),
        detector=NOISELESS,
    )
    return SimulatedSeries(spec)


def box_sums(series: SimulatedSeries, label: str, centre: tuple[float, float, float]) -> np.ndarray:
    """Noise-free component summed over +-0.4 r.l.u. around an (l, k, h), for each temperature."""
    ql, qk, qh = (np.abs(q - position) < 0.41 for q, position in zip(series.spec.grid.q, centre, strict=True))
    return np.array(
        [
            sum(series.component(label, t, plane)[np.ix_(qk, qh)].sum() for plane in np.flatnonzero(ql))
            for t in range(series.shape[0])
        ]
    )


def test_superlattice_follows_the_order_parameter_where_nothing_is_critical():
    series = make_series(critical=0.0)
    temperatures = np.array(series.spec.grid.temperatures)
    sums = box_sums(series, "superlattice", (0.5, 0.5, 0.5))
    expected = np.clip(1 - temperatures / TC, 0, None) ** (2 * BETA)
    np.testing.assert_allclose(sums / sums[0], expected / expected[0], rtol=1e-10, atol=1e-12)


def test_critical_scattering_widens_and_weakens_away_from_tc():
    series = make_series(critical=0.01)
    middle = np.argmin(np.abs(series.spec.grid.q[0] - 0.5))
    above = [series.component("superlattice", t, middle) for t in (4, 5)]
    heights = [plane.max() for plane in above]
    widths = [plane.sum() / plane.max() for plane in above]
    assert heights[0] > heights[1] > 0
    assert widths[0] < widths[1]


def test_debye_waller_is_log_linear_in_temperature_with_a_slope_that_grows_as_q_squared():
    series = make_series()
    temperatures = np.array(series.spec.grid.temperatures)
    slopes = {}
    for centre in ((0, 0, 1), (1, 1, 1)):
        log_sum = np.log(box_sums(series, "Bragg", centre))
        slopes[centre], _ = np.polyfit(temperatures, log_sum, 1)
        np.testing.assert_allclose(np.diff(log_sum) / np.diff(temperatures), slopes[centre], rtol=1e-3)
    q_length = 2 * np.pi / 9.8
    factor = series.spec.scattering.debye_waller
    assert slopes[0, 0, 1] == pytest.approx(-2 * factor * (q_length / (4 * np.pi)) ** 2, rel=1e-3)
    assert slopes[1, 1, 1] == pytest.approx(3 * slopes[0, 0, 1], rel=1e-3)


def test_thermal_diffuse_scattering_grows_in_proportion_to_temperature():
    sums = box_sums(make_series(debye_waller=0.0), "thermal diffuse", (1, 1, 1))
    temperatures = np.array(make_series().spec.grid.temperatures)
    np.testing.assert_allclose(sums / sums[0], temperatures / temperatures[0], rtol=1e-10)


def test_counts_are_poisson():
    spec = replace(TINY, scattering=replace(TINY.scattering, bragg_heights=(1e-6, 1e-6)), transitions=())
    spec = replace(spec, detector=replace(NOISELESS, counts=2.0))
    series = SimulatedSeries(spec)
    expected = np.stack([series.expected(3, plane) for plane in range(series.shape[1])])
    measured = series.block(slice(3, 4), slice(None))[0].astype(np.float64)
    deviation = (measured - expected) / np.sqrt(expected / 2.0)
    assert abs(deviation.mean()) < 4 / np.sqrt(deviation.size)
    assert deviation.var() == pytest.approx(1.0, abs=5 * np.sqrt(2.2 / deviation.size))
    np.testing.assert_array_equal(measured * 2, np.rint(measured * 2))


def test_blocks_of_any_size_give_the_same_bits():
    series = SimulatedSeries(TINY)
    whole = series.block(slice(None), slice(None))
    n_temperatures, n_planes = whole.shape[:2]
    for t in range(0, n_temperatures, 5):
        for plane in range(n_planes - 1, -1, -4):
            columns = slice(max(plane - 3, 0), plane + 1)
            np.testing.assert_array_equal(series.block(slice(t, t + 5), columns), whole[t : t + 5, columns])
    pieces = [series.labels(slice(plane, plane + 2)) for plane in range(0, n_planes, 2)]
    np.testing.assert_array_equal(np.concatenate(pieces), series.labels(slice(None)))


def test_a_seed_gives_one_series_and_another_seed_or_run_another():
    everything = slice(None), slice(None)
    first = SimulatedSeries(TINY).block(*everything)
    np.testing.assert_array_equal(SimulatedSeries(TINY).block(*everything), first)
    assert np.any(SimulatedSeries(replace(TINY, seed=1)).block(*everything) != first)
    again = SimulatedSeries(replace(TINY, run=1))
    assert np.any(again.block(*everything) != first)
    np.testing.assert_array_equal(again.expected(2, 3), SimulatedSeries(TINY).expected(2, 3))


def test_shadows_gaps_and_hot_pixels_read_what_they_must():
    (spec,) = make_specs("tiny", Overrides(gap=0.6, hot_pixels=3))
    series = SimulatedSeries(spec)
    block = series.block(slice(0, 2), slice(None))
    labels = series.labels(slice(None))
    origin = tuple(int(np.argmin(np.abs(q))) for q in spec.grid.q)
    assert block[0][origin] == 0
    gap = np.isnan(block[0])
    assert 0 < gap.sum() < gap.size / 4
    np.testing.assert_array_equal(np.isnan(block[1]), gap)
    assert not labels[gap | (block[0] == 0)].any()
    assert not np.isnan(SimulatedSeries(TINY).block(slice(0, 1), slice(None))).any()


def test_larger_regions_keep_the_peaks_of_smaller_ones():
    (small,) = make_specs("tiny")
    (large,) = make_specs("tiny", Overrides(region={"Qh": (-2, 5)}))
    one, two = SimulatedSeries(small), SimulatedSeries(large)
    width = one.shape[3]
    np.testing.assert_allclose(one.expected(0, 2), two.expected(0, 2)[:, :width], rtol=1e-6)


@pytest.mark.parametrize("kappa", [0.03, 0.1])
def test_lorentzian_of_gaussians_is_one_where_resolution_is_fine(kappa: float):
    basis = GaussianBasis.spanning(0.001, 2.0)
    x = np.linspace(0.0, 0.15, 31)
    shape = basis.lorentzian(kappa) @ basis.profiles(x, np.zeros(1))[:, :, 0]
    np.testing.assert_allclose(shape, 1 / (1 + (x / kappa) ** 2), atol=0.02)


def test_stars():
    assert star((0.5, 0.5, 0.0)) == ((0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5))
    assert len(star((0.25, 0.0, 0.0))) == 6
    assert star((0.0, 0.0, 0.0)) == ((0.0, 0.0, 0.0),)


def test_strengths_obey_the_laue_symmetry_and_fill_the_unit_interval():
    hkl = np.array([[1.0, 2.0, 3.0], [-3.0, 1.0, 2.0], [2.0, -1.0, -3.0]])
    assert len(set(reflection_uniform(hkl, seed=5, stream=1))) == 1
    grid = np.stack(np.meshgrid(*[np.arange(40.0)] * 3), axis=-1).reshape(-1, 3)
    draws = np.unique(reflection_uniform(grid, seed=5, stream=1))
    assert np.all(np.abs(np.histogram(draws, 10, (0, 1))[0] / len(draws) - 0.1) < 0.01)


@pytest.mark.parametrize(
    ("rule", "present", "absent"),
    [
        ("Pm-3n", [(2, 0, 0), (1, 1, 2), (2, 1, 0)], [(1, 0, 0), (1, 1, 1), (2, 2, 3)]),
        ("Fd-3m 16c 16d", [(1, 1, 1), (4, 0, 0), (2, 2, 2)], [(2, 0, 0), (2, 2, 0), (1, 0, 0)]),
        ("all even, one 4n+2", [(2, 0, 0), (4, 2, 8), (-2, 4, 0)], [(2, 2, 0), (4, 4, 0), (2, 1, 0)]),
        ("all even, one 4n", [(2, 2, 0), (4, 2, 6)], [(2, 0, 0), (2, 2, 2), (1, 1, 0)]),
        ("h00, h = 4n+2", [(2, 0, 0), (0, 0, 14)], [(0, 0, 16), (4, 2, 0)]),
    ],
)
def test_reflection_rules(rule: str, present: list[tuple[int, ...]], absent: list[tuple[int, ...]]):
    assert reflection_mask(rule, np.array(present)).all()
    assert not reflection_mask(rule, np.array(absent)).any()


def test_pyrochlore_classes_share_no_reflection():
    indices = np.stack(np.meshgrid(*[np.arange(-6, 7)] * 3), axis=-1)
    allowed, first, second = (
        RULES[name](indices) for name in ("Fd-3m 16c 16d", "all even, one 4n+2", "all even, one 4n")
    )
    assert not (allowed & first).any()
    assert not (allowed & second).any()
    assert not (first & second).any()
    assert np.all((allowed | first | second)[np.all(indices % 2 == 0, axis=-1)])


@pytest.mark.parametrize(
    "overrides",
    [
        Overrides(pixels=0),
        Overrides(temperatures=(-5, 10)),
        Overrides(n_temperatures=-1),
        Overrides(region={"Qx": (0, 1)}),
        Overrides(tc=(100.0, 50.0)),
        Overrides(counts=-1.0),
        Overrides(seed=-1),
        Overrides(third_transition=True),
    ],
)
def test_nonsense_is_refused(overrides: Overrides):
    with pytest.raises(ConfigError):
        make_specs("tiny", overrides)


def test_unknown_preset_is_refused():
    with pytest.raises(ConfigError, match="cdw"):
        make_specs("nothing")
