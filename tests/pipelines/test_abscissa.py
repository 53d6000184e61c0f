"""What the samples of a phase diagram differ in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from xtec.core.errors import ConfigError
from xtec.core.quantities import Quantity, SampleInfo
from xtec_pipelines.findings.abscissa import abscissa


def runs(**conditions: dict[str, Quantity]) -> dict[str, Any]:
    return {
        f"folder/{name}": SimpleNamespace(name=name, sample=SampleInfo(name="Crystal", conditions=one))
        for name, one in conditions.items()
    }


def test_the_one_thing_in_which_files_differ() -> None:
    made = runs(
        a={"pressure": Quantity(0.5, units="GPa"), "thickness": Quantity(1.0)},
        b={"pressure": Quantity(1.5, units="GPa"), "thickness": Quantity(1.0)},
    )
    assert abscissa(made, {}) == ({"folder/a": 0.5, "folder/b": 1.5}, "pressure", "GPa")


def test_units_that_differ_are_refused() -> None:
    made = runs(a={"pressure": Quantity(0.5, units="GPa")}, b={"pressure": Quantity(10.0, units="kbar")})
    with pytest.raises(ConfigError, match=r"pressure is in GPa and in kbar \(folder/b\)"):
        abscissa(made, {})
    assert abscissa(made, {"b": 1.0})[0] == {"folder/a": 0.5, "folder/b": 1.0}


def test_a_name_of_several_samples_is_refused() -> None:
    made = runs(a={}, b={})
    with pytest.raises(ConfigError, match="Crystal names several samples"):
        abscissa(made, {"Crystal": 1.0})


def test_values_alone_are_called_x() -> None:
    assert abscissa(runs(a={}, b={}), {"a": 0, "b": 2})[1:] == ("x", "")
    assert abscissa(runs(a={}, b={}), {"a": 0, "b": 2}, "strain", "%")[1:] == ("strain", "%")


def test_an_unknown_x_is_named() -> None:
    with pytest.raises(ConfigError, match="folder/b does not say its strain"):
        abscissa(runs(a={}, b={}), {"a": 1.0}, "strain")
