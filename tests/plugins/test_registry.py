"""Plugins by name."""

from __future__ import annotations

import pytest

from xtec.core.errors import BackendUnavailableError, ConfigError
from xtec.operando import Sampler
from xtec.plugins import create, names, parse_plugin


def test_options_are_numbers_truth_values_or_texts() -> None:
    spec = parse_plugin("flow:layers=4,rate=1e-3,deep=true,name=abc,path=a/b.npz")
    assert spec.name == "flow"
    assert spec.options == {"layers": 4, "rate": 1e-3, "deep": True, "name": "abc", "path": "a/b.npz"}
    assert parse_plugin("flow").options == {}


@pytest.mark.parametrize("text", ["", ":a=1", "flow:a", "flow:=3", "flow:a b=3", "flow:1a=3"])
def test_what_is_no_plugin(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_plugin(text)


def test_an_option_is_never_code(tmp_path: object) -> None:
    spec = parse_plugin("flow:a=__import__('os').getcwd()")
    assert spec.options["a"] == "__import__('os').getcwd()"


def test_our_sampler_is_one_of_them() -> None:
    assert "gp" in names("samplers")
    sampler = create("samplers", parse_plugin("gp"), 30.0, 300.0, step=5.0, direction="cooling", budget=8)
    assert isinstance(sampler, Sampler)
    assert (sampler.bounds.low, sampler.bounds.step, sampler.budget) == (30.0, 5.0, 8)


def test_what_is_not_there_says_what_is() -> None:
    with pytest.raises(BackendUnavailableError, match="nobody") as refused:
        create("samplers", parse_plugin("nobody"))
    assert "gp" in str(refused.value)
