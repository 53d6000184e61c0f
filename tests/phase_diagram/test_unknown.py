"""Samples without a transition that say nothing of where one is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xtec.core.axes import Axis
from xtec.core.order import Arm, OrderParameter, Transition, WaveVector
from xtec.core.quantities import Quantity
from xtec.phase_diagram import SampleTransitions, assemble

HALF = np.array([0.5, 0.5, 0.0])


def vector(q: np.ndarray, fraction: tuple[str, ...], number: int = 1) -> WaveVector:
    arm = Arm(q, np.full(3, 0.001), 20, 10)
    return WaveVector((1,), q, np.full(3, 0.001), fraction, 20, [arm], 3, 10, 12, number)


Q_HALF = vector(HALF, ("1/2", "1/2", "0"))


def order(tc: float) -> OrderParameter:
    x = np.linspace(10, 200, 20)
    one = Transition("second-order", Quantity(tc, tc - 1, tc + 1, "K"), None, Quantity(1.0))
    return OrderParameter((1,), "", Axis("temperature", x, "K"), x, x, (one,), "", np.empty((0, 2)))


def sample(x: float, tc: float | None, present: list[WaveVector]) -> SampleTransitions:
    orders = [] if tc is None else [order(tc)]
    return SampleTransitions(f"x{x:g}", x, orders, [Q_HALF] if tc else [], 30.0, present)


def test_peaks_that_do_not_set_in_are_no_limit() -> None:
    samples = [sample(0.0, 100, [Q_HALF]), sample(0.2, 90, [Q_HALF]), sample(0.5, 70, [Q_HALF])]
    ordered = sample(0.3, None, [Q_HALF])
    diagram = assemble([*samples, ordered], "composition", "", "K")
    (point,) = [point for point in diagram.points if point.x == 0.3]
    assert (point.tc, point.upper_limit) == (None, None)
    xc = diagram.boundaries[0].xc
    assert xc is not None
    assert xc.value == assemble(samples, "composition", "", "K").boundaries[0].xc.value


def test_a_sample_without_such_peaks_is_one() -> None:
    other = vector(np.array([0.5, 0.0, 0.0]), ("1/2", "0", "0"))
    diagram = assemble([sample(0.0, 100, [Q_HALF]), sample(0.9, None, [other])], "composition", "", "K")
    (point,) = [point for point in diagram.points if point.x == 0.9]
    assert point.upper_limit == 30.0


def test_wave_vectors_belong_by_number() -> None:
    """Two order parameters of one cluster, each with a wave vector of its own."""
    both = replace(
        sample(0.0, 100, []),
        order_parameters=[order(131), order(105)],
        wave_vectors=[vector(np.full(3, 0.5), ("1/2",) * 3, 2), Q_HALF],
    )
    diagram = assemble([both], "composition", "", "K")
    found = {point.boundary: point.tc.value for point in diagram.points if point.tc}
    assert found == {"q = (1/2, 1/2, 0)": 131, "q = (1/2, 1/2, 1/2)": 105}
