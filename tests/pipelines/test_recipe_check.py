"""What a recipe would do, and everything in its way, told before it is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xtec.core.errors import BackendUnavailableError, ConfigError, InputError, XtecError
from xtec_pipelines.recipes.check import Checked, check_recipe
from xtec_pipelines.recipes.file import open_recipe


@pytest.fixture
def series(write_series: Callable[..., Path], ordering: Callable[..., np.ndarray]) -> Path:
    """10 to 80 K; L, K, H from -0.5 r.l.u. in steps of a tenth."""
    return write_series(ordering())


def check(folder: Path, text: str) -> tuple[list[Checked], list[tuple[int, type[XtecError]]]]:
    """What would be done; lines of problems with the kinds of their errors."""
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    checked, problems = check_recipe(open_recipe(path))
    return checked, [(one.line, type(one.error)) for one in problems]


def test_nothing_is_made(tmp_path: Path, series: Path) -> None:
    text = f'inputs = ["{series}"]\noutput = "{tmp_path}/run"\nregion = "H=0:9"\ntemperatures = "20:50"'
    (one,), problems = check(tmp_path, text)
    assert not problems
    assert one.output == tmp_path / "run"
    assert one.as_json()["series"][0]["shape"] == [4, 6, 12, 8]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.toml", "series.nxs"]


def test_memory_is_divided(tmp_path: Path, series: Path) -> None:
    """Samples done at the same time fit together into what one would have."""
    text = f'inputs = ["{series}"]\noutput = "{tmp_path}/{{sample}}"\n[samples.a]\n[samples.b]\n'
    ((whole, _), (half, other)) = (
        [one.series[0].plan.limit for one in check(tmp_path, first + text)[0]]
        for first in ("", "parallel = 2\n")
    )
    assert half + other == pytest.approx(whole, rel=0.3)  # what is free changes between two looks


NO_PLUGIN = BackendUnavailableError
FOLLOWING = """
then = ["order-parameter", "unit-cell"]
[order-parameter]
symmetry = "Pm-3q"
method = "nix"
[unit-cell]
classes = ["h%"]"""

WRONG = [
    ('inputs = [\n "SERIES",\n "nix.nxs",\n "*.none",\n]', {3: InputError, 4: InputError}),
    ('inputs = ["SERIES"]\nregion = "H=90:99"', {2: InputError}),
    ('inputs = ["SERIES"]\nregion = "X=1:2"\ntemperatures = "300:400"', {2: ConfigError, 3: InputError}),
    ('inputs = ["SERIES"]\nentry = "/nix"\nregion = "H=90:99"', {2: InputError, 3: InputError}),
    ('inputs = ["SERIES"]\nmemory_limit = "1MB"', {2: ConfigError}),
    ('inputs = ["SERIES"]\nfeatures = "nix"\nwriter = ["csv", "nix"]', {2: NO_PLUGIN, 3: NO_PLUGIN}),
    ('inputs = ["SERIES"]\nfeatures = "pca:n_componentz=2"', {2: ConfigError}),
    ('inputs = ["SERIES"]\nnovelty = "isolation-forest"\nreference = "nix.nxs"', {3: InputError}),
    ('from_run = "nix"\nkeep = [1]', {1: InputError}),
    (f'inputs = ["SERIES"]{FOLLOWING}', {4: ConfigError, 5: NO_PLUGIN, 7: ConfigError}),
    ('command = "watch"\ninputs = ["SERIES"]', {2: ConfigError}),
    (
        'command = "phase-diagram"\ninputs = ["SERIES", "nix"]\n[cluster]\nregion = "H=90:99"',
        {2: InputError, 4: InputError},
    ),
]


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_what_is_in_the_way(
    tmp_path: Path, series: Path, text: str, expected: dict[int, type[XtecError]]
) -> None:
    """Each at its line, with the kind of error that tells the exit code."""
    text = text.replace("SERIES", str(series))
    head, _, rest = text.partition("\n[")
    _, problems = check(tmp_path, f'{head}\noutput = "{tmp_path}/run"' + (f"\n[{rest}" if rest else ""))
    shifted = {line if line <= head.count("\n") + 1 else line + 1: kind for line, kind in expected.items()}
    assert {line for line, _ in problems} == set(shifted)
    for line, kind in problems:
        assert issubclass(kind, shifted[line]), line


def test_everything_at_once(tmp_path: Path, series: Path) -> None:
    """Options that are wrong hide nothing of what is in the way."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").touch()
    text = f'clusterz = 3\ninputs = ["{series}"]\nregion = "H=90:99"\noutput = "{tmp_path}/run"\n'
    _, problems = check(tmp_path, f'{text}features = "nix"\n')
    assert [line for line, _ in problems] == [1, 3, 4, 5]


def test_a_run_to_go_on_with(tmp_path: Path) -> None:
    _, problems = check(tmp_path, f'command = "order-parameter"\n\nrun = "{tmp_path}/nix"')
    assert [line for line, _ in problems] == [3]
