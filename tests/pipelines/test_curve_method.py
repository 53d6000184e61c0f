"""Order parameters read by a plugin: what it is given, and that its answer is put down where it belongs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from xtec.core.axes import Axis
from xtec.core.errors import BackendUnavailableError
from xtec.core.order import CurveReading, OrderParameter
from xtec.core.quantities import Quantity
from xtec.plugins import Plugin, PluginSpec
from xtec_pipelines.findings.curve_method import read_by

SCAN = Axis("temperature", np.array([10.0, 20.0, 30.0, 40.0, 50.0]), "K")
CURVE = OrderParameter(
    (1,), "", SCAN, np.array([9.0, 7.0, 4.0, 1.0, 1.0]), np.full(5, 0.1), (), "", np.empty((0, 2))
)


class Says:
    """Says what it was told to, and keeps what it was given."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def fit(self, temperature: np.ndarray, intensity: np.ndarray, sigma: np.ndarray) -> Any:
        self.given = temperature, intensity, sigma
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def plugin(answer: Any) -> Plugin:
    return Plugin("order_parameters", PluginSpec("says"), Says(answer), "", "")


READING = CurveReading(
    "second-order",
    Quantity(35.0, 33.0, 38.0),
    Quantity(0.5, 0.4, 0.6),
    "as told",
    np.array([[10.0, 9.0], [35.0, 1.0], [50.0, 1.0]]),
    {"terms": 3},
)


def test_below() -> None:
    says = plugin(READING)
    found = read_by(says, CURVE)
    np.testing.assert_array_equal(says.object.given[0], SCAN.values)
    np.testing.assert_array_equal(says.object.given[1], CURVE.intensity)
    (one,) = found.transitions
    assert (one.tc.value, one.tc.low, one.tc.high, one.tc.units) == (35.0, 33.0, 38.0, "K")
    assert one.amplitude.value == pytest.approx(8.0)
    assert (found.reason, found.facts) == ("as told", {"terms": 3})


def test_units_are_those_of_the_scan_whatever_the_plugin_says() -> None:
    kelvin = replace(READING, tc=Quantity(35.0, 33.0, 38.0, "K"))
    field = replace(CURVE, scan=Axis("magnetic_field", SCAN.values, "T"))
    assert read_by(plugin(kelvin), field).transitions[0].tc.units == "T"


def test_above_the_scan_is_turned_round_and_the_answer_back() -> None:
    says = plugin(READING)
    turned = replace(CURVE, side="above", intensity=CURVE.intensity[::-1].copy())
    found = read_by(says, turned)
    np.testing.assert_array_equal(says.object.given[0], SCAN.values[::-1])
    (one,) = found.transitions
    assert (one.tc.value, one.tc.low, one.tc.high) == (25.0, 22.0, 27.0)
    assert one.amplitude.value == pytest.approx(8.0)
    np.testing.assert_array_equal(found.model, [[10.0, 1.0], [25.0, 1.0], [50.0, 9.0]])


def test_none() -> None:
    found = read_by(plugin(CurveReading("none", reason="flat")), CURVE)
    assert found.transitions == ()
    assert found.reason == "flat"
    assert found.model.shape == (0, 2)


def test_facts_are_what_json_can_hold() -> None:
    facts = {"a": np.float64(2.5), "b": [float("nan"), np.int64(3), True], "c": {"d": float("inf")}}
    found = read_by(plugin(replace(READING, facts=facts)), CURVE)
    assert found.facts == {"a": 2.5, "b": [None, 3, True], "c": {"d": None}}
    assert json.loads(json.dumps(found.facts, allow_nan=False)) == found.facts
    with pytest.raises(BackendUnavailableError, match="'says'"):
        read_by(plugin(replace(READING, facts={"a": object()})), CURVE)


@pytest.mark.parametrize("answer", [None, 3.0, CurveReading("odd"), ZeroDivisionError("its own fault")])
def test_what_is_no_reading_is_named(answer: Any) -> None:
    with pytest.raises(BackendUnavailableError, match="'says'"):
        read_by(plugin(answer), CURVE)
