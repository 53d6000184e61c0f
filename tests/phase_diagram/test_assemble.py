"""Transitions of made-up samples end up in the boundaries that they were drawn from."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.axes import Axis
from xtec.core.diagram import PhaseDiagram
from xtec.core.errors import ConfigError
from xtec.core.order import OrderParameter, Transition, WaveVector
from xtec.core.quantities import Quantity
from xtec.phase_diagram import SampleTransitions, assemble

HALVES = ("1/2", "1/2", "0")


def law(x, t0, xc, phi=0.5):
    return float(t0 * (1 - x / xc) ** phi)


def order(clusters, *tcs, branch="", error=1.0, kind="second-order"):
    transitions = tuple(
        Transition(kind, Quantity(tc, tc - error, tc + error, "K"), Quantity(0.3), Quantity(1.0))
        for tc in tcs
    )
    scan = Axis("temperature", np.linspace(20, 170, 16), "K")
    empty = np.zeros(16)
    return OrderParameter(clusters, branch, scan, empty, empty, transitions, "", np.empty((0, 2)))


def wave_vector(clusters, fraction=HALVES, q=None, peaks=20):
    known = {"0": 0.0, "1/2": 0.5, "1/3": 1 / 3}
    at = np.array([known[part] for part in fraction] if q is None else q)
    return WaveVector(clusters, at, np.full(3, 0.002), fraction, peaks, (), 12, 10, 12)


def sample(x, orders, vectors=None, name=None, lowest=40.0):
    found = [wave_vector(order.clusters) for order in orders] if vectors is None else vectors
    return SampleTransitions(name or f"x={x}", x, orders, found, lowest)


def joined(samples) -> PhaseDiagram:
    return assemble(samples, "composition", "", "K")


def points(diagram, boundary):
    """Tc against x; None for a limit."""
    return {p.x: p.tc and p.tc.value for p in diagram.points if p.boundary == boundary}


def names(diagram):
    return [boundary.name for boundary in diagram.boundaries]


def test_the_bundled_series_gives_one_boundary_and_its_end():
    compositions = (0.0, 0.2, 0.45, 0.65, 0.8)
    samples = [sample(x, [order((1, 3), law(x, 138, 0.9))]) for x in compositions]
    diagram = joined([sample(0.95, [order((2,))]), *samples[::-1]])
    assert (diagram.variable, diagram.units, diagram.temperature_units) == ("composition", "", "K")
    assert names(diagram) == ["q = (1/2, 1/2, 0)"]
    assert [p.x for p in diagram.points] == [*compositions, 0.95]
    last = diagram.points[-1]
    assert (last.tc, last.upper_limit, last.name) == (None, 40.0, "x=0.95")
    assert diagram.points[0].kind == "second-order"
    assert diagram.points[0].beta == Quantity(0.3)
    (boundary,) = diagram.boundaries
    assert boundary.t0 is not None
    assert boundary.xc is not None
    assert boundary.t0.value == pytest.approx(138, rel=1e-4)
    assert boundary.xc.value == pytest.approx(0.9, rel=1e-4)


def test_the_end_is_in_the_units_of_the_variable():
    samples = [sample(x, [order((1,), law(x, 138, 9))]) for x in (0.0, 2.0, 4.0, 6.0)]
    (boundary,) = assemble(samples, "magnetic_field", "T", "K").boundaries
    assert boundary.xc is not None
    assert boundary.xc.units == "T"


def test_wave_vectors_are_apart_whatever_the_clusters_numbers():
    thirds = ("1/3", "0", "0")
    samples = []
    for i, x in enumerate((0.0, 0.2, 0.4, 0.6)):
        half, third = (1, 2) if i % 2 else (2, 1)
        orders = [order((half,), law(x, 140, 0.9)), order((third,), law(x, 130, 0.7))]
        samples.append(sample(x, orders, [wave_vector((third,), thirds), wave_vector((half,))]))
    diagram = joined(samples)
    assert names(diagram) == ["q = (1/2, 1/2, 0)", "q = (1/3, 0, 0)"]
    assert points(diagram, "q = (1/2, 1/2, 0)") == {s.x: law(s.x, 140, 0.9) for s in samples}
    assert points(diagram, "q = (1/3, 0, 0)") == {s.x: law(s.x, 130, 0.7) for s in samples}


def test_order_inside_the_cell_is_q_zero_and_a_missing_wave_vector_unknown():
    diagram = joined(
        [sample(0.0, [order((1,), 120.0), order((2,), 60.0)], [wave_vector((1,), ("0", "0", "0"))])]
    )
    assert names(diagram) == ["q = 0", "q unknown"]


def test_an_incommensurate_wave_vector_may_drift():
    q = (None, "0", "0")
    samples = [
        sample(x, [order((1,), law(x, 100, 1.0))], [wave_vector((1,), q, (0.21 + 0.1 * x, 0, 0))])
        for x in (0.0, 0.2, 0.4, 0.6)
    ]
    far = sample(0.7, [order((1,), 90.0)], [wave_vector((1,), q, (0.4, 0, 0))])
    assert sorted(names(joined([*samples, far]))) == ["q = (0.210, 0, 0)", "q = (0.400, 0, 0)"]


def test_different_fractions_never_join():
    samples = [
        sample(x, [order((1,), 100.0)], [wave_vector((1,), fraction, (0.5, 0.5, h))])
        for x, fraction, h in ((0.0, ("1/2", "1/2", "0"), 0.0), (0.2, ("1/2", "1/2", "1/20"), 0.04))
    ]
    assert len(names(joined(samples))) == 2


@pytest.mark.parametrize("shuffle", range(4))
def test_boundaries_that_cross_are_followed_through(shuffle):
    steep = {x: 150 - 140 * x for x in (0.0, 0.15, 0.3, 0.45, 0.6, 0.75)}
    shallow = {x: 110 - 20 * x for x in (0.0, 0.15, 0.3, 0.45, 0.6, 0.75)}
    rng = np.random.default_rng(shuffle)
    samples = [sample(x, [order((1,), *rng.permutation([steep[x], shallow[x]]))]) for x in steep]
    diagram = joined([samples[i] for i in rng.permutation(len(samples))])
    assert points(diagram, "q = (1/2, 1/2, 0)") == steep
    assert points(diagram, "q = (1/2, 1/2, 0), transition 2") == shallow


def test_a_transition_that_ends_leaves_the_other_alone():
    upper = {x: law(x, 140, 1.2) for x in (0.0, 0.2, 0.4, 0.6, 0.8)}
    lower = {x: law(x, 70, 0.5) for x in (0.0, 0.2, 0.4)}
    samples = [sample(x, [order((1,), *([upper[x], lower[x]] if x in lower else [upper[x]]))]) for x in upper]
    diagram = joined([*samples, sample(1.3, [])])
    assert points(diagram, "q = (1/2, 1/2, 0)") == {**upper, 1.3: None}
    assert points(diagram, "q = (1/2, 1/2, 0), transition 2") == lower, "no limits for a second transition"


def test_a_second_transition_may_begin_at_larger_x():
    upper = {x: law(x, 140, 1.5) for x in (0.0, 0.2, 0.4, 0.6)}
    lower = {0.4: 50.0, 0.6: 45.0}
    samples = [sample(x, [order((1,), *([lower[x], upper[x]] if x in lower else [upper[x]]))]) for x in upper]
    diagram = joined(samples)
    assert points(diagram, "q = (1/2, 1/2, 0)") == upper
    assert points(diagram, "q = (1/2, 1/2, 0), transition 2") == lower


def test_one_transition_seen_in_two_clusters_counts_once_and_at_its_best():
    orders = [order((1,), 100.0, error=3.0), order((2,), 101.0, error=0.5)]
    diagram = joined([sample(0.0, orders, [wave_vector((1, 2))])])
    assert points(diagram, "q = (1/2, 1/2, 0)") == {0.0: 101.0}
    assert names(diagram) == ["q = (1/2, 1/2, 0)"]


def test_two_transitions_of_one_curve_stay_two():
    diagram = joined([sample(0.0, [order((1,), 101.0, 100.0, error=3.0)])])
    assert names(diagram) == ["q = (1/2, 1/2, 0)", "q = (1/2, 1/2, 0), transition 2"]


def test_branches_have_boundaries_of_their_own():
    samples = [
        sample(x, [order((1,), tc, branch="warming"), order((1,), tc - 8, branch="cooling")])
        for x, tc in ((0.0, 140.0), (0.3, 110.0), (0.6, 70.0))
    ]
    diagram = joined([*samples, sample(0.2, [order((1,), 120.0)]), sample(0.9, [])])
    assert names(diagram) == [
        "q = (1/2, 1/2, 0) (warming)",
        "q = (1/2, 1/2, 0) (cooling)",
        "q = (1/2, 1/2, 0)",
    ]
    cooling = points(diagram, "q = (1/2, 1/2, 0) (cooling)")
    assert cooling == {0.0: 132.0, 0.3: 102.0, 0.6: 62.0, 0.9: None}, "a sample that orders is no limit"


def test_samples_that_share_x_are_kept_both():
    samples = [
        sample(x, [order((1,), tc)], name=str(i))
        for i, (x, tc) in enumerate([(0, 140), (0.5, 90), (0.5, 92)])
    ]
    diagram = joined(samples)
    assert names(diagram) == ["q = (1/2, 1/2, 0)"]
    assert sorted(p.name for p in diagram.points) == ["0", "1", "2"]


def test_without_any_order_there_are_only_limits():
    diagram = joined([sample(0.4, [], lowest=55.0), sample(0.1, [order((1,))], lowest=35.0)])
    assert [(p.x, p.tc, p.upper_limit, p.boundary) for p in diagram.points] == [
        (0.1, None, 35.0, ""),
        (0.4, None, 55.0, ""),
    ]
    (boundary,) = diagram.boundaries
    assert (boundary.name, boundary.t0, boundary.xc, boundary.phi) == ("", None, None, None)


def test_a_sample_that_could_not_show_order_is_no_limit():
    diagram = joined([sample(0.0, [order((1,), 100.0)]), sample(0.5, [], lowest=np.nan)])
    assert diagram.points[1].upper_limit is None


def test_samples_have_to_be_told_apart():
    with pytest.raises(ConfigError, match="A twice"):
        joined([sample(0.0, [], name="A"), sample(0.1, [], name="A")])
    with pytest.raises(ConfigError, match="needs samples"):
        joined([])
    with pytest.raises(ConfigError, match="not finite"):
        joined([sample(np.nan, [])])
