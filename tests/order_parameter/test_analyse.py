"""From simulated peaks of clusters to order parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from xtec.core.axes import Axis
from xtec.core.order import OrderParameter
from xtec.core.types import Float64Array
from xtec.order_parameter import ClusterPeaks, onsets_of_peaks, order_parameters
from xtec.order_parameter.models import onset

X = np.linspace(30.0, 220.0, 24)
KELVIN = Axis("temperature", X, "K")


def law(x: Float64Array, tc: float) -> Float64Array:
    """``(1 - T/Tc)^0.7``."""
    return onset(x, tc, 0.35, 0.0)


def simulated(
    scan: Axis,
    curves: Sequence[Float64Array],
    peaks: int = 12,
    *,
    kind: Mapping[int, str] | None = None,
    together: bool = False,
    seed: int = 0,
) -> ClusterPeaks:
    """Peaks of one cluster for each curve (T,), of all if `together`; peaks of 4 voxels, in any order."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(curves, peaks, axis=0) * rng.uniform(0.5, 2, (peaks * len(curves), 1))
    label = np.repeat(np.arange(1, len(curves) + 1), peaks)
    place = rng.permutation(len(truth))
    return ClusterPeaks(
        scan,
        (np.ones_like(label) if together else label)[place].astype(np.int16),
        np.full(len(truth), 4),
        rng.poisson(truth[place]).astype(float),
        kind=kind,
    )


def ordering(found: Sequence[OrderParameter]) -> list[OrderParameter]:
    return [one for one in found if one.transitions]


STRONG, WEAK, STEADY = 300 + 1e4 * law(X, 131), 1000 + 3e3 * law(X, 131), np.full_like(X, 800.0)


def test_clusters_that_differ_only_in_strength_are_one_order_parameter() -> None:
    peaks = simulated(KELVIN, [STRONG, STEADY, WEAK])
    one, other = order_parameters(peaks)
    assert one.clusters == (1, 3)
    assert (one.peaks, one.side, one.branch) == (24, "below", "")
    (transition,) = one.transitions
    assert transition.kind == "second-order"
    assert transition.tc.holds(131)
    assert transition.tc.value == pytest.approx(131, abs=0.7)
    assert transition.beta.holds(0.35)
    np.testing.assert_array_equal(np.sort(one.members), np.flatnonzero(peaks.label != 2))
    mine = peaks.label != 2
    np.testing.assert_allclose(one.intensity, peaks.intensity[mine].sum(axis=0) / peaks.size[mine].sum())
    assert (other.clusters, other.transitions) == ((2,), ())
    assert other.reason


def test_clusters_of_other_wave_vectors_are_order_parameters_of_their_own() -> None:
    found = order_parameters(simulated(KELVIN, [STRONG, WEAK], kind={1: "(1/2, 1/2, 0)", 2: "(0, 0, 0)"}))
    assert [one.clusters for one in found] == [(1,), (2,)]
    assert all(one.transitions[0].tc.holds(131) for one in found)


def test_clusters_of_other_temperatures_are_not_joined() -> None:
    found = order_parameters(simulated(KELVIN, [STRONG, 300 + 1e4 * law(X, 100)]))
    assert [one.clusters for one in ordering(found)] == [(1,), (2,)]


def test_a_cluster_of_two_kinds_of_peaks_is_two_order_parameters() -> None:
    curves = [STRONG, 300 + 1e4 * law(X, 91)]
    peaks = simulated(KELVIN, curves, together=True)
    truth = simulated(KELVIN, curves).label
    found = order_parameters(peaks)
    assert [one.clusters for one in found] == [(1,), (1,)]
    by_tc = sorted(found, key=lambda one: -one.transitions[0].tc.value)
    for number, one, tc in zip((1, 2), by_tc, (131, 91), strict=True):
        assert one.transitions[0].tc.value == pytest.approx(tc, abs=0.7)
        np.testing.assert_array_equal(np.sort(one.members), np.flatnonzero(truth == number))


@pytest.mark.parametrize("jitter", [0.0, 0.5])
def test_hysteresis_is_two_branches_with_a_temperature_each(jitter: float) -> None:
    down, up = X[::-1], X[1:]
    values = np.r_[down, up] + jitter * np.random.default_rng(0).standard_normal(47)
    curve = 300 + 1e4 * np.r_[law(values[:24], 120), law(values[24:], 135)]
    found = {
        one.branch: one for one in order_parameters(simulated(Axis("temperature", values, "K"), [curve]))
    }
    assert set(found) == {"cooling", "warming"}
    for branch, tc in (("cooling", 120), ("warming", 135)):
        assert found[branch].transitions[0].tc.value == pytest.approx(tc, abs=1)
        assert found[branch].transitions[0].tc.holds(tc)
    np.testing.assert_array_equal(found["cooling"].scan.values, values[:24])
    np.testing.assert_array_equal(found["warming"].scan.values, values[23:])


@pytest.mark.parametrize("low", [0.0, -9.0])
def test_order_above_a_field(low: float) -> None:
    field = np.linspace(low, 9, 37)
    found = order_parameters(simulated(Axis("magnetic_field", field, "T"), [300 + 1e4 * law(9 - field, 5.7)]))
    (one,) = found
    assert one.side == "above"
    tc = one.transitions[0].tc
    assert tc.value == pytest.approx(3.3, abs=0.05)
    assert tc.low < tc.value < tc.high
    assert tc.holds(3.3)
    assert tc.units == "T"
    np.testing.assert_array_equal(one.scan.values, field)
    assert np.interp(9.0, *one.model[np.argsort(one.model[:, 0])].T) == one.model[:, 1].max()


def test_order_below_a_field() -> None:
    field = np.linspace(0, 9, 24)
    (one,) = order_parameters(simulated(Axis("magnetic_field", field, "T"), [300 + 1e4 * law(field, 5.3)]))
    assert one.side == "below"
    assert one.transitions[0].tc.value == pytest.approx(5.3, abs=0.05)


def test_order_is_not_looked_for_at_high_temperatures() -> None:
    (one,) = order_parameters(simulated(KELVIN, [300 + 1e4 * law(250 - X, 120)]))
    assert one.transitions == ()


def test_two_transitions_of_the_same_peaks() -> None:
    x = np.linspace(30, 220, 96)
    (one,) = order_parameters(
        simulated(Axis("temperature", x, "K"), [300 + 1e4 * (law(x, 171) + law(x, 101))])
    )
    assert [each.tc.value for each in one.transitions] == pytest.approx([171, 101], abs=1)


@pytest.mark.parametrize("n", [5, 24])
def test_where_nothing_orders_there_is_a_reason_for_each_cluster(n: int) -> None:
    x = np.linspace(30, 220, n)
    curves = [np.full(n, 800.0), 1000 * np.exp(-x / 300), 300 + x]
    found = order_parameters(simulated(Axis("temperature", x, "K"), curves))
    assert [one.clusters for one in found] == [(1,), (2,), (3,)]
    for one in found:
        assert one.transitions == ()
        assert one.reason
        assert one.tail is None


def test_peaks_of_no_cluster_do_not_take_part() -> None:
    peaks = simulated(KELVIN, [STRONG, STEADY])
    peaks.label[peaks.label == 2] = 0
    (one,) = order_parameters(peaks)
    assert one.clusters == (1,)
    np.testing.assert_array_equal(np.sort(one.members), np.flatnonzero(peaks.label == 1))
    peaks.label[:] = 0
    assert order_parameters(peaks) == []


def test_neither_the_order_of_the_peaks_nor_of_the_temperatures_matters() -> None:
    peaks = simulated(KELVIN, [STRONG, STEADY, WEAK])
    rng = np.random.default_rng(5)
    place, turn = rng.permutation(len(peaks.label)), rng.permutation(len(X))
    shuffled = ClusterPeaks(
        KELVIN[turn], peaks.label[place], peaks.size[place], peaks.intensity[place][:, turn]
    )
    one, other = order_parameters(peaks)[0], order_parameters(shuffled)[0]
    assert other.clusters == one.clusters
    for mine, yours in (
        (one.transitions[0].tc, other.transitions[0].tc),
        (one.transitions[0].beta, other.transitions[0].beta),
    ):
        assert yours.value == pytest.approx(mine.value, rel=1e-6)
        assert yours.error == pytest.approx(mine.error, rel=0.2)
    np.testing.assert_allclose(other.intensity, one.intensity[turn], rtol=1e-12)
    np.testing.assert_array_equal(np.sort(place[other.members]), np.sort(one.members))


def test_the_same_seed_gives_the_same_numbers() -> None:
    peaks = simulated(KELVIN, [STRONG])
    first, again = (order_parameters(peaks, seed=3)[0] for _ in range(2))
    assert first.transitions == again.transitions
    np.testing.assert_array_equal(first.model, again.model)


@pytest.mark.parametrize(("n", "tc"), [(24, 131.0), (191, 131.0), (191, 130.97)])
def test_residuals_are_about_one_standard_error_at_tc_too(n: int, tc: float) -> None:
    x = np.linspace(30, 220, n)
    (one,) = order_parameters(
        simulated(Axis("temperature", x, "K"), [300 + 1e5 * onset(x, tc, 0.15, 0.0)], seed=4)
    )
    residual = (one.intensity - one.fitted) / one.error
    assert 0.4 < np.sqrt(np.mean(residual**2)) < 1.3
    assert np.abs(residual).max() < 5


def test_onsets_of_single_peaks() -> None:
    peaks = simulated(KELVIN, [STRONG, STEADY])
    one = order_parameters(peaks)[0]
    number, tc, low, high = onsets_of_peaks(peaks, one)
    np.testing.assert_array_equal(np.sort(number), np.flatnonzero(peaks.label == 1))
    np.testing.assert_allclose(tc, 131, atol=KELVIN.step)
    assert ((low <= tc) & (tc <= high)).all()
    assert np.mean((low <= 131) & (high >= 131)) > 0.8


def test_onsets_of_single_peaks_above_a_field() -> None:
    field = Axis("magnetic_field", np.linspace(0, 9, 37), "T")
    peaks = simulated(field, [300 + 1e4 * law(9 - field.values, 5.7)])
    _, tc, low, high = onsets_of_peaks(peaks, order_parameters(peaks)[0])
    np.testing.assert_allclose(tc, 3.3, atol=field.step)
    assert ((low <= tc) & (tc <= high)).all()


def test_no_cluster_is_lost_between_the_sides_of_a_field() -> None:
    """One cluster orders at high fields, two at low ones; each is there once."""
    field = Axis("magnetic_field", np.linspace(0, 9, 37), "T")
    high, low = law(9 - field.values, 5.7), law(field.values, 4.0)
    peaks = simulated(field, [300 + 1e4 * high, 300 + 1e4 * low, 900 + 8e3 * low, 2000 + 0 * low])
    found = order_parameters(peaks)
    assert sorted(number for one in found for number in one.clusters) == [1, 2, 3, 4]
    assert {one.clusters: one.side for one in found if one.transitions} == {(1,): "above", (2, 3): "below"}
