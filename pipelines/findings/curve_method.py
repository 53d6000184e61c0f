"""Order parameters read off their curves by a plugin, in place of power laws."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from xtec.core.json_text import json_text
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
        facts = json.loads(json_text(found.facts))
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
