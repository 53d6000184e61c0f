"""``xtec plugins`` and what the documentation says of plugins."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xtec.plugins import SLOTS, entries, registry

ROOT = Path(__file__).resolve().parents[2]


def test_every_plugin_is_listed(run_cli: Callable[..., Any]) -> None:
    done = run_cli("plugins", "list")
    assert done.code == 0
    for slot in SLOTS.values():
        assert slot.option in done.stdout
        for entry in entries(slot.name):
            assert entry.name in done.stdout
    assert run_cli("plugins").stdout.splitlines() == done.stdout.splitlines()


def test_the_list_as_json(run_cli: Callable[..., Any]) -> None:
    found = json.loads(run_cli("plugins", "list", "--json").stdout)["plugins"]
    by_name = {(one["slot"], one["name"]): one for one in found}
    assert by_name["features", "pca"]["source"] == "sklearn.decomposition:PCA"
    assert by_name["samplers", "gp"]["options"]["step"] == "1.0"


def test_one_is_shown(run_cli: Callable[..., Any]) -> None:
    done = run_cli("plugins", "show", "k-means")
    assert done.code == 0
    assert "--clusterer k-means" in done.stdout
    assert "n_clusters" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["show", "nobody"], 5, "no plugin 'nobody'"),
        (["check", "nobody"], 5, "no plugin 'nobody'"),
        (["check", "pca:x"], 2, "no option of a plugin"),
        (["check", "pca", "--slot", "toasters"], 2, "no slot 'toasters'"),
        (["show", "pca", "--slot", "novelty"], 5, "no plugin 'pca'"),
    ],
)
def test_what_is_wrong_is_said(
    run_cli: Callable[..., Any], arguments: list[str], code: int, says: str
) -> None:
    done = run_cli("plugins", *arguments)
    assert done.code == code
    assert says in done.stderr


class Blind:
    """Sees one cluster."""

    def fit(self, rows: Any) -> Blind:
        return self

    def predict(self, rows: Any) -> np.ndarray:
        return np.zeros(len(rows), dtype=np.int64)


def test_a_plugin_that_does_not_fit_ends_with_code_5(
    run_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from xtec_pipelines import plugin_list

    monkeypatch.setattr(plugin_list, "load", lambda slot, name: Blind)
    done = run_cli("plugins", "check", "k-means", "--json")
    assert done.code == 5
    failed = [one["name"] for one in json.loads(done.stdout)["checks"] if not one["passed"]]
    assert failed == ["three plain shapes are told apart"]
    assert registry.find("clusterers", "k-means").name == "k-means"


def test_the_documentation_quotes_the_example() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"```(toml|python)\n(.*?)```", page, re.S)[:2])
    example = ROOT / "tests" / "plugin_example"
    project = (example / "pyproject.toml").read_text(encoding="utf-8")
    assert blocks["toml"].strip() == project.partition("\n[tool.setuptools]")[0].strip()
    code = (example / "xtec_example" / "__init__.py").read_text(encoding="utf-8")
    bare = re.sub(r'(        """.*?"""\n)|(^""".*?"""\n\n)', "", code, flags=re.S)
    assert blocks["python"].strip() == bare.strip()
    assert len(blocks["python"].strip().splitlines()) <= 20


def test_every_slot_and_plugin_is_documented() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    for slot in SLOTS:
        assert f"`xtec.{slot}`" in page
        for entry in entries(slot):
            assert entry.name in page
