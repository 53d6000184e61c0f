"""Recipes: what their options come to, what is wrong with them and on which line, and their JSON schema."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from xtec_pipelines.config import ClusterConfig
from xtec_pipelines.recipes.commands import COMMANDS, REFUSED
from xtec_pipelines.recipes.file import load_recipe_file, open_recipe
from xtec_pipelines.recipes.reader import make_recipe
from xtec_pipelines.recipes.recipe import Recipe, RecipeError
from xtec_pipelines.recipes.schema import recipe_schema

SAMPLES = """
inputs = ["series/{sample}.nxs"]
output = "runs/{sample}/xtec"
clusters = 3
parallel = 5
then = ["order-parameter", "unit-cell"]
[order-parameter]
symmetry = "Pm-3n"
seed = 2
[samples.a]
[samples.b]
inputs = ["elsewhere.nxs"]
clusters = "2:4"
[samples.b.order-parameter]
seed = 7
"""


def read(text: str, **changes: object) -> Recipe:
    """A recipe that is in no file."""
    return make_recipe(Path("recipe.toml"), tomllib.loads(text), {}, **changes)


class TestOptions:
    def test_of_a_sample_win_over_those_of_all(self) -> None:
        a, b = read(SAMPLES).jobs
        assert [step.name for step in b.steps] == ["cluster", "order-parameter", "unit-cell"]
        assert dict(a.steps[0].values) == {
            "inputs": ["series/a.nxs"],
            "output": "runs/a/xtec",
            "clusters": 3,
        }
        assert (b.steps[0].values["inputs"], b.steps[0].values["clusters"]) == (["elsewhere.nxs"], "2:4")
        assert dict(a.steps[1].values) == {"symmetry": "Pm-3n", "seed": 2, "run": "runs/a/xtec"}
        assert dict(b.steps[1].values) == {"symmetry": "Pm-3n", "seed": 7, "run": "runs/b/xtec"}
        assert dict(b.steps[2].values) == {"run": "runs/b/xtec"}

    def test_no_more_at_a_time_than_there_are(self) -> None:
        recipe = read(SAMPLES)
        assert recipe.parallel == 2
        assert recipe.folder == Path("runs")

    @pytest.mark.parametrize(
        ("outputs", "folder"),
        [
            (('output = "x/y-{sample}"', "", ""), "x"),
            (('output = "{sample}"', "", ""), "."),
            (("", 'output = "p/q/a"', 'output = "p/r/b"'), "p"),
        ],
    )
    def test_the_table_goes_above_the_runs(self, outputs: tuple[str, str, str], folder: str) -> None:
        common, a, b = outputs
        recipe = read(f'inputs = ["s"]\n{common}\n[samples.a]\n{a}\n[samples.b]\n{b}')
        assert not recipe.problems
        assert recipe.folder == Path(folder)

    def test_given_on_the_command_line(self) -> None:
        a, b = read(SAMPLES, output="other/{sample}", resume=True, workers=3, memory_limit=None).jobs
        assert [job.steps[0].values["output"] for job in (a, b)] == ["other/a", "other/b"]
        assert all(job.steps[0].values["resume"] and job.steps[0].values["workers"] == 3 for job in (a, b))
        assert b.steps[1].values["run"] == "other/b"
        (order,) = read('command = "order-parameter"\nrun = "r"', resume=True).jobs
        assert dict(order.steps[0].values) == {"run": "r"}
        assert read('command = "order-parameter"\nrun = "r"', output="x").problems

    def test_one_sample_as_a_recipe_of_its_own(self) -> None:
        """What a process of its own is given comes to the same."""
        for job in read(SAMPLES).jobs:
            again = make_recipe(Path(), job.as_recipe({"workers": 1, "clusters": 9}), {})
            (one,) = again.jobs
            assert one.name == job.name
            assert dict(one.steps[0].values) == {**job.steps[0].values, "workers": 1}
            assert [(s.name, dict(s.values)) for s in one.steps[1:]] == [
                (s.name, dict(s.values)) for s in job.steps[1:]
            ]

    def test_only_one(self) -> None:
        recipe = read(SAMPLES)
        assert recipe.only(name="b").jobs == recipe.only(number=2).jobs == recipe.jobs[1:]
        assert recipe.only(name="b").folder == recipe.folder

    def test_select_chooses_by_itself(self) -> None:
        (job,) = read('command = "select"\ninputs = ["s"]\noutput = "r"').jobs
        config = job.steps[0].configure()
        assert isinstance(config, ClusterConfig)
        assert config.clusters == "auto"


@pytest.mark.parametrize(
    "name", ["../x", "..", ".", "/etc", "a/b", "a\\\\b", ".hidden", "-o", " a", "a ", "a\\n", "", "x" * 200]
)
def test_names_that_lead_elsewhere(name: str) -> None:
    (problem,) = read(f'inputs = ["s"]\noutput = "runs/{{sample}}"\n[samples."{name}"]').problems
    assert "name of a sample" in problem.text


@pytest.mark.parametrize("name", ["x0.00", "(Ca0.2Sr0.8)3Rh4Sn13", "probe 2", "été", "5K+2T", "a"])
def test_names_of_samples(name: str) -> None:
    recipe = read(f'inputs = ["s"]\noutput = "runs/{{sample}}"\n[samples."{name}"]')
    assert not recipe.problems
    assert recipe.jobs[0].steps[0].values["output"] == f"runs/{name}"


WRONG = [
    'inputs = ["a"]\noutput = "b"\nclusterz = 3  #!\nmode = "q"  #!\nthreshold = "x" #!',
    'inputs = ["a"]\noutput = "b"\nregion = "x" #!\ntemperatures = "hot" #!\nmemory_limit = "much" #!',
    'inputs = ["a"]\noutput = "b"\nseed = -1 #!\nmode = "smooth"\nnoise = "poisson" #!',
    'inputs = [\n  "a",\n  3, #!\n]\noutput = "b"',
    'output = "b" #!',
    'command = "dance" #!\ninputs = ["a"]',
    'inputs = ["a"]\noutput = "b"\nthen = [\n  "report",\n  "nix", #!\n]\n[report]\nrun = "c" #!\nnix = 3 #!',
    'inputs = ["a"]\noutput = "b"\n[unit-cell] #!\nspace_group = "Fd-3m"',
    'command = "phase-diagram"\ninputs = ["a"]\noutput = "d"\nthen = ["report"] #!\n[cluster]\nmodes = 3 #!',
    'command = "phase-diagram"\ninputs = ["a"]\noutput = "d"\njoint = 7 #!\n[values]\n"a" = "much" #!',
    'command = "watch"\ninputs = ["a"]\noutput = "b"\nidle = "long" #!\non_update = "rm -r /" #!',
    'inputs = ["a"]\noutput = "b" #!\n[samples.a]\n[samples.b]',
    'inputs = ["a"]\n[samples.a]\noutput = "r"\n[samples.b]\noutput = "r/b" #!',
    'inputs = ["a"]\noutput = "{sample}" #!',
    'inputs = ["a"]\noutput = "runs/{sample}"  #!\n[samples.logs]\n[samples."samples.csv"]',
    'inputs = [""]\noutput = "{sample}"\nparallel = 0 #!\n[samples]\na = 3 #!\n[samples."/"] #!\nseed="" #!',
    'output = "r/{sample}"\n[samples.a] #!\n[samples.b]\ninputs = ["b"]\nclusters = -2 #!',
    'command = "select"\ninputs = ["a"]\noutput = "b"\nclusters = 4 #!',
    'inputs = ["a"]\noutput = = "b" #!',
    'inputs = ["a"] #!\ninputs = ["b"] #!',
]


class TestProblems:
    @pytest.mark.parametrize("text", WRONG)
    def test_each_at_its_line(self, tmp_path: Path, text: str) -> None:
        """Lines marked #! and no others are named."""
        path = tmp_path / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        found = open_recipe(path).problems
        marked = [number for number, line in enumerate(text.splitlines(), start=1) if "#!" in line]
        if text.startswith('inputs = ["a"] #!\ninputs'):
            marked = marked[1:]  # the second is one too many
        assert list(dict.fromkeys(one.line for one in found)) == marked
        with pytest.raises(RecipeError) as error:
            load_recipe_file(path)
        for line in marked:
            assert f"{path}:{line}: " in str(error.value)

    def test_common_ones_are_said_once(self, tmp_path: Path) -> None:
        path = tmp_path / "recipe.toml"
        path.write_text('inputs = ["a"]\noutput = "{sample}"\nmode = "q"\n[samples.a]\n[samples.b]')
        assert [one.line for one in open_recipe(path).problems] == [3]

    def test_what_was_meant(self, tmp_path: Path) -> None:
        path = tmp_path / "recipe.toml"
        path.write_text('inputs = ["a"]\noutput = "b"\nparalel = 2\ncluster = 3')
        said = " ".join(one.text for one in open_recipe(path).problems)
        assert "(parallel?)" in said
        assert "(clusters?)" in said


@pytest.fixture(scope="module")
def judge() -> Any:
    schema = recipe_schema({"cluster": {"clusters": "How many."}})
    kind = jsonschema.validators.validator_for(schema, default=None)
    kind.check_schema(schema)
    return kind(schema)


class TestSchema:
    def test_has_every_command_and_option(self, judge: Any) -> None:
        branches = {one["if"]["properties"]["command"]["const"]: one["then"] for one in judge.schema["allOf"]}
        assert set(branches) == set(COMMANDS)
        for name, command in COMMANDS.items():
            options = command.kind.model_fields.keys() - REFUSED.keys()
            assert options <= branches[name]["properties"].keys()
        assert branches["cluster"]["properties"]["clusters"]["description"] == "How many."
        assert "$ref" not in str(judge.schema)

    @pytest.mark.parametrize("text", [one for one in WRONG if "= =" not in one and "#!\ninputs" not in one])
    def test_agrees_on_what_is_wrong(self, judge: Any, text: str) -> None:
        """Unless it is what only our own check can know, such as texts that do not parse."""
        unknowable = ("hot", "[unit-cell]", "poisson", "[samples.b]", "r/b", '{sample}" #!', "logs", "select")
        errors = list(judge.iter_errors(tomllib.loads(text)))
        assert bool(errors) or any(one in text for one in unknowable)

    def test_accepts_what_is_right(self, judge: Any) -> None:
        judge.validate(tomllib.loads(SAMPLES))
        judge.validate({"from_run": "r", "keep": [1], "output": "b"})
        judge.validate({"inputs": ["a"], "output": "b", "threshold": 2.5, "clusters": "auto"})
        judge.validate({"command": "watch", "inputs": ["a"], "output": "b", "idle": "2h", "every": 3})

    def test_accepts_recipes_to_begin_with(self, judge: Any) -> None:
        found = [one for one in files("xtec_pipelines.recipes").iterdir() if one.name.endswith(".toml")]
        assert len(found) >= 6
        for one in found:
            judge.validate(tomllib.loads(one.read_text(encoding="utf-8")))
