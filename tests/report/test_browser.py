"""The report in a real browser, without a network: what is seen, moved and clicked, and who can use it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from xtec.report import render_diagram
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config
from xtec_pipelines.order_parameter import OrderConfig, run_order_parameter
from xtec_pipelines.report import ReportConfig, run_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe checks accessibility")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "srn_cdw.nxs"
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


class Opened:
    """A page in a window, and whatever it complained of or asked for."""

    def __init__(self, browser: Any, path: Path) -> None:
        self.page = browser.new_page(viewport={"width": 1300, "height": 900}, offline=True)
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)
        self.page.goto(f"file://{path}")
        self.page.wait_for_selector("html[data-ready=yes]", timeout=300_000)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.complaints.append(request.url)

    def readout(self) -> str:
        return str(self.page.inner_text("#readout"))

    def picture(self) -> bytes:
        return bytes(self.page.locator("#map").screenshot())

    def point(self, across: float, up: float) -> str:
        self.page.locator("#map").scroll_into_view_if_needed()
        box = self.page.locator("#map").bounding_box()
        self.page.mouse.move(box["x"] + across * box["width"], box["y"] + (1 - up) * box["height"])
        return self.readout()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "run"
    run_cluster(
        make_config({"inputs": (str(SAMPLE),), "output": str(folder), "clusters": 4, "figures": False})
    )
    run_order_parameter(OrderConfig(run=str(folder), figures=False))
    run_report(ReportConfig(run=str(folder)))
    return folder


@pytest.fixture
def opened(browser: Any, run: Path) -> Iterator[Opened]:
    one = Opened(browser, run / "report.html")
    yield one
    one.page.close()


def test_it_opens_quietly_and_quickly(opened: Opened, run: Path) -> None:
    timing = opened.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert timing > 0
    assert opened.complaints == []
    assert (run / "report.html").stat().st_size < 10_000_000
    summary = json.loads((run / "summary.json").read_text())
    found = opened.page.inner_text("#found")
    tc = summary["order_parameters"][0]["tc"]["value"]
    assert abs(float(re.search(r"orders? below ([\d.]+)", found)[1]) - tc) < 0.01
    assert "(1/2, 1/2, 0)" in found
    assert f"{summary['n_kept']:,}" in found


def test_no_serious_finding_of_axe(opened: Opened) -> None:
    violations = axe.Axe().run(opened.page).response["violations"]
    assert [one["id"] for one in violations if one["impact"] in ("serious", "critical")] == []


def test_the_readout_tells_what_the_run_has(opened: Opened, run: Path) -> None:
    with h5py.File(run / "results.nxs") as file:
        group = file["entry/cluster_map"]
        labels = group["cluster_map"][()]
        axes = {name[-1].upper(): group[name][()] for name in ("Qh", "Qk", "Ql")}
    with h5py.File(SAMPLE) as file:
        series = file["entry/data/data"][()]
    told = [
        opened.point(across, up) for across in np.linspace(0.2, 0.9, 8) for up in np.linspace(0.2, 0.9, 8)
    ]
    clustered = 0
    for text in told:
        q = {name: float(value) for name, value in re.findall(r"([HKL]) (-?[\d.]+)", text)}
        at = tuple(int(np.argmin(np.abs(axes[name] - q[name]))) for name in "LKH")
        label = re.search(r"cluster (\d+)", text)
        assert (int(label[1]) if label else 0) == labels[at], text
        clustered += label is not None
        if value := re.search(r"intensity ([\d.e+]+) at 30 K", text):
            assert float(value[1]) == pytest.approx(series[(0, *at)], rel=0.03)
        else:
            assert not series[(0, *at)] > 0
    assert 3 < clustered < len(told)


def test_sliders_move_the_map(opened: Opened) -> None:
    page, first = opened.page, opened.picture()
    page.locator("#slice").focus()
    page.keyboard.press("ArrowRight")
    assert opened.picture() != first
    assert page.inner_text("#slice-value").startswith("0.1")
    page.check("input[value=intensity]")
    cold = opened.picture()
    page.locator("#scan").focus()
    page.keyboard.press("End")
    assert page.inner_text("#scan-value") == "220 K"
    assert page.inner_text("#shown").startswith("H, K: intensity at 220 K")
    assert page.inner_text("#shown").endswith("L = 0.1 r.l.u.")
    assert opened.picture() != cold
    assert opened.complaints == []


def test_every_plane_can_be_chosen(opened: Opened) -> None:
    pictures = {opened.picture()}
    for choice in opened.page.locator("#choose-plane input").all()[1:]:
        choice.check()
        pictures.add(opened.picture())
    assert len(pictures) == 3
    assert opened.complaints == []


def test_a_click_on_a_curve_hides_its_cluster_everywhere(opened: Opened) -> None:
    page, before = opened.page, opened.picture()
    page.locator("[data-cluster='1']:not([pointer-events]) use").first.click(force=True)
    assert page.get_attribute("[data-toggle='1']", "aria-pressed") == "false"
    curves = page.locator("[data-cluster='1']").all()
    assert len(curves) == 4
    assert all("off" in (one.get_attribute("class") or "") for one in curves)
    assert opened.picture() != before
    page.locator("[data-toggle='1']").focus()
    page.keyboard.press("Enter")
    assert opened.picture() == before


def test_the_map_is_read_with_the_keyboard(opened: Opened) -> None:
    opened.page.locator("#map").focus()
    for key in ("ArrowRight", "ArrowUp", "Shift+ArrowLeft"):
        opened.page.keyboard.press(key)
    first = opened.readout()
    opened.page.keyboard.press("ArrowUp")
    h, k = (re.findall(r"[HK] (-?[\d.]+)", text) for text in (first, opened.readout()))
    assert h[0] == k[0]
    assert float(k[1]) - float(h[1]) == pytest.approx(0.1)


def test_names_from_files_are_text(browser: Any, tmp_path: Path) -> None:
    series = tmp_path / "<b>series.nxs"
    shutil.copy(SAMPLE, series)
    with h5py.File(series, "a") as file:
        del file["entry/sample/name"]
        file["entry/sample/name"] = HOSTILE
    config = {"inputs": (str(series),), "output": str(tmp_path / "run"), "clusters": 2, "figures": False}
    run_cluster(make_config({**config, "region": "L=0:0,H=-2:2,K=-2:2"}))
    opened = Opened(browser, run_report(ReportConfig(run=str(tmp_path / "run"))))
    assert opened.page.title() == HOSTILE
    assert opened.page.inner_text("h1") == HOSTILE
    assert opened.complaints == []
    opened.page.close()


@pytest.mark.parametrize("region", ["L=0:0", "L=0:0,K=0:0"])
def test_maps_of_fewer_axes(browser: Any, tmp_path: Path, region: str) -> None:
    folder = tmp_path / "run"
    config = {"inputs": (str(SAMPLE),), "output": str(folder), "clusters": 2, "figures": False, "mode": "d"}
    run_cluster(make_config({**config, "region": region}))
    opened = Opened(browser, run_report(ReportConfig(run=str(folder))))
    assert re.search(r"H -?[\d.]+ · K -?[\d.]+ · L 0", opened.point(0.5, 0.5))
    assert opened.complaints == []
    opened.page.close()


def test_the_page_of_a_phase_diagram(browser: Any, tmp_path: Path) -> None:
    tc = {"value": 97.59, "low": 96.86, "high": 98.62, "units": "K"}
    limit = {"value": 40.0, "low": None, "high": 40.0, "units": "K"}
    common = {"boundary": "q = (1/2, 1/2, 0)", "beta": None, "kind": "second-order"}
    samples = [
        {"name": HOSTILE, "x": 0.45, "tc": tc, "upper_limit": None, **common},
        {"name": "b", "x": 0.95, "tc": None, "upper_limit": limit, **common, "kind": "none"},
    ]
    diagram = {"variable": "composition", "units": "", "samples": samples, "boundaries": []}
    summary = {"phase_diagram": diagram, "failed": {"c": HOSTILE}, "status": {"warnings": []}}
    path = tmp_path / "report.html"
    path.write_text(render_diagram(summary, command="xtec", recipe=HOSTILE, figures=[]), encoding="utf-8")
    page = browser.new_page(offline=True)
    page.goto(f"file://{path}")
    assert page.title() == "Phase diagram: composition"
    text = page.inner_text("main")
    assert "1 sample of 2 with a transition" in text
    assert "97.59 +1.03 -0.73 K" in text
    assert "none above 40 K" in text
    assert page.locator("tbody th").first.inner_text() == HOSTILE
    violations = axe.Axe().run(page).response["violations"]
    assert [one["id"] for one in violations if one["impact"] in ("serious", "critical")] == []
    page.close()
