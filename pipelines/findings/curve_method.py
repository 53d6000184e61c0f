"""Order parameters read off their curves by a plugin, in place of power laws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from xtec.core.order import CurveReading, OrderParameter, Transition
from xtec.core.quantities import Quantity
from xtec.core.types import Float64Array
from xtec.plugins import Plugin
from xtec_pipelines.clustering.plugged import failing

_KINDS = ("second-order", "first-order", "crossover", "none")


def read_by(plugin: Plugin, one: OrderParameter) -> OrderParameter:
    """The same curve as a plugin reads it.

    Parameters
    ----------
    plugin : Plugin
        Of the slot ``order_parameters``.
    one : OrderParameter
        Whose intensities and errors are read.

    Raises
    ------
    BackendUnavailableError
        If the plugin fails, or gives no `CurveReading`.
    """
    turn = _mirror(one)
    with failing(plugin):
        found = plugin.object.fit(turn(one.scan.values), one.intensity.copy(), one.error.copy())
        if not isinstance(found, CurveReading) or found.kind not in _KINDS:
            raise TypeError(f"fit gave {found!r}, not a CurveReading with a kind of {', '.join(_KINDS)}")
        facts = _as_json(found.facts)
    model = np.column_stack([turn(found.model[:, 0]), found.model[:, 1]])
    return replace(
        one,
        transitions=() if found.tc is None or found.kind == "none" else (_transition(found, one, turn),),
        reason=found.reason,
        model=model[np.argsort(model[:, 0], kind="stable")],
        tail=None,
        criteria={},
        facts=facts,
    )


def _as_json(facts: Any) -> Any:
    """As JSON has it: no NaN and no infinity.

    Raises
    ------
    TypeError
        If it is nothing that JSON can hold.
    """
    if isinstance(facts, Mapping):
        return {str(name): _as_json(value) for name, value in facts.items()}
    if isinstance(facts, list | tuple):
        return [_as_json(value) for value in facts]
    if isinstance(facts, np.generic):
        facts = facts.item()
    if isinstance(facts, float) and not np.isfinite(facts):
        return None
    if facts is None or isinstance(facts, str | bool | int | float):
        return facts
    raise TypeError(f"facts hold {facts!r:.100}, which JSON cannot")


def _mirror(one: OrderParameter) -> Callable[[Float64Array], Float64Array]:
    """Turns the scan round where a cluster orders at its high values, and back: plugins look below."""
    if one.side == "below":
        return np.array
    ends = float(one.scan.values.min() + one.scan.values.max())
    return lambda x: ends - np.asarray(x)


def _transition(
    found: CurveReading, one: OrderParameter, turn: Callable[[Float64Array], Float64Array]
) -> Transition:
    tc = found.tc or Quantity(np.nan)
    curve = found.model if found.model.size else np.stack([turn(one.scan.values), one.intensity], axis=1)
    x, intensity = curve[np.argsort(curve[:, 0], kind="stable")].T
    gained = Quantity(float(intensity[0] - np.interp(tc.value, x, intensity)))
    low, high = tc.low, tc.high
    if one.side != "below":
        low, high = (None if end is None else float(turn(np.array(end))) for end in (tc.high, tc.low))
    here = Quantity(float(turn(np.array(tc.value))), low, high, one.scan.units)
    return Transition(found.kind, here, found.beta, gained)
