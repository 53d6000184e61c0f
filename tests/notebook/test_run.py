"""A run in a notebook: a DataTree like any other, its HTML, and its figures against what the run holds."""

from __future__ import annotations

import copy
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import xarray
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread

import xtec
from xtec.core.errors import ConfigError, InputError
from xtec.core.palette import cluster_color
from xtec.io.run.clustered import read_clustered
from xtec.io.run.folder import read_summary
from xtec.notebook import Run
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config
from xtec_pipelines.order_parameter import OrderConfig, run_order_parameter
from xtec_pipelines.simulate import make_simulate_config, run_simulate
from xtec_pipelines.unit_cell import UnitCellConfig, run_unit_cell

SERIES = Path(__file__).resolve().parents[2] / "sample_data" / "srn_cdw.nxs"
ALWAYS = ("trajectories", "average_intensity", "qmap", "threshold")


def clustered(folder: Path, series: Path = SERIES, **options: object) -> Path:
    """Cluster without figures, the bundled series in part."""
    part = {"region": "K=-3:3,H=-3:3"} if series == SERIES else {}
    fixed = {"inputs": [str(series)], "output": str(folder), "figures": False}
    run_cluster(make_config({**fixed, **part, **options}))
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing was added to, and whose number of clusters was given."""
    return clustered(tmp_path_factory.mktemp("notebook") / "plain", clusters=3, mode="d")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its number of clusters chosen and its order parameters read off."""
    folder = clustered(tmp_path_factory.mktemp("notebook") / "whole", clusters="auto")
    run_order_parameter(OrderConfig(run=str(folder), figures=False))
    return folder


def texts(figure: Figure) -> list[str]:
    """All labels of the legends of a figure."""
    legends = [*figure.legends, *(axes.legend_ for axes in figure.axes if axes.legend_)]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


class _Page(HTMLParser):
    """What tags there are, with their attributes, and the text outside of style sheets."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._style = "", False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._style = tag == "style"
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._style else data


def test_a_run_is_a_tree_and_its_nodes_are_plain(whole: Path) -> None:
    run = xtec.open_run(whole)
    assert isinstance(run, xarray.DataTree)
    assert {type(node) for node in run.subtree if node is not run} == {xarray.DataTree}
    assert run.identical(xarray.DataTree.from_dict(run.to_dict(), name=run.name))
    assert run.attrs == {"title": "X-TEC-s of Sr3Rh4Sn13", "sample": "Sr3Rh4Sn13", "mode": "s"}


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.copy(),
        copy.deepcopy,
        lambda run: pickle.loads(pickle.dumps(run)),
        lambda run: run.compute(),
        lambda run: run.filter(lambda node: True),
        lambda run: run.map_over_datasets(lambda data: data),
    ],
)
def test_operations_on_trees_leave_a_tree_that_is_equal(
    whole: Path, change: Callable[[Run], xarray.DataTree]
) -> None:
    run = xtec.open_run(whole)
    assert change(run).equals(run)


def test_what_is_cut_out_is_what_is_drawn(plain: Path) -> None:
    run = xtec.open_run(plain)
    cold = run.sel(temperature=slice(None, 100))
    (axes,) = cold.plot.trajectories().axes
    drawn = next(line for line in axes.lines if line.get_gid() == "cluster-1")
    np.testing.assert_array_equal(drawn.get_xdata(), np.arange(30.0, 101.0, 10.0))
    half = run.sel(Ql=slice(0.4, 0.6), Qh=slice(0, None))
    n_left = int((half["cluster_map/cluster_map"] == 1).sum())
    assert f"1  ({n_left:,})" in texts(half.plot.qmap(L=0.5))


@pytest.mark.parametrize("name", ALWAYS)
def test_figures_are_pictures_that_a_notebook_shows(plain: Path, name: str) -> None:
    figure = getattr(xtec.open_run(plain).plot, name)()
    assert isinstance(figure, Figure)
    image = imread(BytesIO(figure._repr_png_()))
    assert min(image.shape[:2]) > 150
    assert image[..., :3].std() > 0.05


def test_figures_are_those_of_the_run(whole: Path) -> None:
    run, clusters = xtec.open_run(whole), read_clustered(whole)
    names = [f"{k}   {n:,} peaks" for k, n in enumerate(np.bincount(clusters.peaks.label)[1:], start=1)]
    for figure, means in (
        (run.plot.trajectories(), clusters.curves.rescaled_mean),
        (run.plot.average_intensity(), clusters.curves.intensity_mean),
    ):
        assert texts(figure) == names
        for k, mean in enumerate(means, start=1):
            line = next(line for line in figure.axes[0].lines if line.get_gid() == f"cluster-{k}")
            np.testing.assert_array_equal(line.get_ydata(), mean)
            assert to_hex(line.get_color()) == cluster_color(k)


def test_the_cutoff_is_where_it_was_put(plain: Path) -> None:
    linear = xtec.open_run(plain).plot.threshold().axes[0]
    cutoff = next(line for line in linear.lines if line.get_gid() == "cutoff")
    assert cutoff.get_xdata()[0] == read_summary(plain)["cutoff"]["value"]


def test_the_number_that_was_chosen_is_marked(whole: Path) -> None:
    summary = read_summary(whole)["selection"]
    figure = xtec.open_run(whole).plot.selection()
    bic = next(line for line in figure.axes[0].lines if line.get_gid() == "BIC")
    np.testing.assert_array_equal(bic.get_xdata(), summary["n_clusters"])
    assert np.argmin(bic.get_ydata()) == np.argmin(summary["bic"])
    frontier = next(line for line in figure.axes[3].lines if line.get_gid() == "frontier")
    assert np.all(np.diff(frontier.get_xdata()) > 0)
    best = summary["n_clusters"].index(summary["recommended"])
    assert summary["size"][best] in frontier.get_xdata()


def test_the_transition_is_drawn_where_it_is(whole: Path) -> None:
    tc = read_summary(whole)["order_parameters"][0]["tc"]
    assert tc["low"] < 131.0 < tc["high"]
    figure = xtec.open_run(whole).plot.order_parameter()
    above, below = figure.axes
    assert above.get_title(loc="left") == "cluster 1, q = (1/2, 1/2, 0)"
    marks = {float(line.get_xdata()[0]) for line in above.lines if len(set(line.get_xdata())) == 1}
    assert tc["value"] in marks
    residual = next(line for line in below.lines if len(line.get_xdata()) == 20)
    assert np.abs(residual.get_ydata()).max() < 4


@pytest.mark.parametrize(("letter", "name"), [("L", "Ql"), ("K", "Qk"), ("H", "Qh")])
def test_planes_along_any_axis_hold_the_labels_of_the_map(plain: Path, letter: str, name: str) -> None:
    run = xtec.open_run(plain)
    figure = run.plot.qmap(**{letter: 0.52})
    (image,) = figure.axes[0].images
    plane = run["cluster_map/cluster_map"].sel({name: 0.5}, method="nearest").values
    painted = np.asarray(image.get_array())
    for number in range(1, 4):
        colour = tuple(int(cluster_color(number)[i : i + 2], 16) for i in (1, 3, 5))
        there = (painted[..., :3] == colour).all(axis=-1) & (painted[..., 3] > 0)
        np.testing.assert_array_equal(there, plane == number)
    assert figure.axes[0].get_title() == f"{letter} = 0.50 (r.l.u.)"


def test_planes_that_are_not_there(plain: Path) -> None:
    plot = xtec.open_run(plain).plot
    with pytest.raises(ConfigError, match="no plane at Ql = 7"):
        plot.qmap(L=7)
    with pytest.raises(ConfigError, match="one of H, K, L"):
        plot.qmap(H=0, L=0)
    flat = xtec.open_run(plain).sel(Ql=0.0).plot
    with pytest.raises(ConfigError, match="no axis L"):
        flat.qmap(L=0)
    with pytest.raises(ConfigError, match="3-D map only"):
        flat.qmap(K=0)


@pytest.mark.parametrize("name", ["selection", "order_parameter", "unit_cell"])
def test_what_was_not_asked_for_says_what_to_run(plain: Path, name: str) -> None:
    with pytest.raises(InputError) as error:
        getattr(xtec.open_run(plain).plot, name)()
    command = {"selection": "xtec select", "order_parameter": "xtec order-parameter"}
    assert command.get(name, "xtec unit-cell") in str(error.value)
    assert "results.nxs" in str(error.value)


def test_a_run_without_order_says_so(tmp_path: Path) -> None:
    series = tmp_path / "still.nxs"
    run_simulate(make_simulate_config({"preset": "tiny", "output": series, "no_transition": True}))
    folder = clustered(tmp_path / "run", series, clusters=2)
    run_order_parameter(OrderConfig(run=str(folder), figures=False))
    with pytest.raises(InputError, match="no cluster of this run orders"):
        xtec.open_run(folder).plot.order_parameter()


def test_classes_of_reflections(tmp_path: Path) -> None:
    series = tmp_path / "iuc.nxs"
    size = {"pixels": 6, "region": "L=0:2,K=-4:4,H=-4:4", "n_temperatures": 12}
    run_simulate(make_simulate_config({"preset": "iuc", "output": series, **size}))
    folder = clustered(tmp_path / "run", series, clusters=4)
    found = run_unit_cell(UnitCellConfig(run=str(folder), figures=False))
    classes, curves = xtec.open_run(folder).plot.unit_cell().axes
    telling = max(found.tables.values(), key=lambda table: table.information)
    assert [label.get_text() for label in classes.get_yticklabels()] == list(telling.classes[:12])
    drawn = sorted(int(text.get_text().replace(",", "")) for text in classes.texts)
    assert drawn == sorted(telling.counts[:12][telling.counts[:12] > 0].tolist())
    assert texts(curves.figure) == [group.text for group in found.groups]


def test_a_run_shows_what_was_found(whole: Path) -> None:
    summary, page = read_summary(whole), _Page(xtec.open_run(whole)._repr_html_())
    for part in (
        "Sr3Rh4Sn13",
        "temperature (K) 30 to 220",
        f"{summary['n_kept']:,}",
        "130.8",
        "(1/2, 1/2, 0)",
    ):
        assert part in page.text
    for cluster in summary["clusters"]:
        assert f"{cluster['voxels']:,}" in page.text
        assert cluster["reading"] in page.text
    swatches = [attributes["style"] for _, attributes in page.tags if attributes.get("class") == "swatch"]
    assert swatches == [f"background: {cluster_color(k)}" for k in range(1, len(summary["clusters"]) + 1)]
    assert not {"script", "link", "iframe", "img"} & {tag for tag, _ in page.tags}
    assert "details" in {tag for tag, _ in page.tags}


def test_names_from_files_are_escaped(plain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "<script>1"
    shutil.copytree(plain, folder)
    text = (folder / "summary.json").read_text(encoding="utf-8")
    (folder / "summary.json").write_text(text.replace("Sr3Rh4Sn13", "<script>2</script>"), encoding="utf-8")
    page = _Page(xtec.open_run(folder)._repr_html_())
    assert "script" not in {tag for tag, _ in page.tags}
    assert "<script>2</script>" in page.text


def test_without_a_summary_the_tree_is_shown(plain: Path, tmp_path: Path) -> None:
    shutil.copytree(plain, tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    run = xtec.open_run(tmp_path / "run")
    assert "swatch" not in run._repr_html_()
    assert "cluster_map" in run._repr_html_()
    with xarray.set_options(display_style="text"):
        assert xtec.open_run(plain)._repr_html_().startswith("<pre>")


def test_a_series_shows_itself_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    series = xtec.open_series(SERIES)
    monkeypatch.setattr("xtec.io.reading.series.Series.read", lambda *_: pytest.fail("voxels were read"))
    page = _Page(series._repr_html_())
    for part in ("Sr3Rh4Sn13", "srn_cdw.nxs", "temperature", "Qh", "units", "r.l.u."):
        assert part in page.text


def test_opening_loads_no_matplotlib(plain: Path) -> None:
    code = "import sys, xtec; run = xtec.open_run(sys.argv[1]); run._repr_html_(); run.plot"
    call = [sys.executable, "-c", f"{code}; print('matplotlib' in sys.modules)", str(plain)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
