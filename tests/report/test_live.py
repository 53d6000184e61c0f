"""The page of a run that goes on: whole, self-contained, and safe whatever files are called."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from xtec.report import live_page

HOSTILE = "<script>alert(1)</script>\"'&.nxs"
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Outline(HTMLParser):
    """Elements as they open; whether all are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def summary(state: str = "watching", **status: Any) -> dict[str, Any]:
    cluster = {"voxels": 10, "peaks": 2, "share": 0.5, "trend": "gone above about 131 K", "reading": HOSTILE}
    return {
        "sample": HOSTILE,
        "mode": "s",
        "n_kept": 20,
        "n_total": 1000,
        "clusters": [
            {"number": 1, **cluster},
            {"number": 2, **cluster, "voxels": 0},
            {"number": 5, **cluster},
        ],
        "suggestions": [{"value": 88.0, "units": "K", "reason": HOSTILE}],
        "status": {
            "state": state,
            "seen": 7,
            "updates": 3,
            "settled": True,
            "last_update": "2026-01-01T10:00:00.000+00:00",
            "latency": None,
            "warnings": [HOSTILE],
            "pending": {HOSTILE: HOSTILE},
            "bad": {},
            "gone": {},
            "changes": [{"update": 2, "temperatures": 5, "new": [5], "gone": [2]}],
            **status,
        },
    }


def page(**options: Any) -> Outline:
    events = [{"time": "2026-01-01T10:00:00.000+00:00", "event": "seen", "words": HOSTILE}]
    return Outline(
        live_page(
            summary(**options),
            colors={1: "#d55e00", 5: "#56b4e9"},
            figures={"threshold": b"\x89PNG"},
            events=events,
            reload=10.0,
        )
    )


def test_names_from_files_cannot_script_the_page() -> None:
    found = page()
    assert not [tag for tag, _ in found.tags if tag == "script"]
    assert any("alert(1)" in text for text in found.text)  # said, not run
    policy = next(a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy)


def test_it_asks_for_nothing_from_elsewhere() -> None:
    for tag, attributes in page().tags:
        for name in ("src", "href"):
            assert str(attributes.get(name) or "data:").startswith("data:"), (tag, attributes)


@pytest.mark.parametrize(("state", "times"), [("watching", 1), ("done", 0), ("interrupted", 0)])
def test_it_loads_itself_again_while_the_run_goes_on(state: str, times: int) -> None:
    assert sum(a.get("http-equiv") == "refresh" for _, a in page(state=state).tags) == times


def test_it_shows_the_clusters_that_have_members_and_says_what_changed() -> None:
    found = page()
    text = " ".join(" ".join(found.text).split())
    assert sum("swatch" in str(a.get("class")) for _, a in found.tags) == 2
    assert "update 2, 5 temperatures: new 5; gone 2" in text
    assert "88 K" in text
    images = [a for tag, a in found.tags if tag == "img"]
    assert [image["alt"] for image in images] == ["threshold"]
