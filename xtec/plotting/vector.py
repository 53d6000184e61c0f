"""Figures as SVG that stands in a page, with other figures."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
import zlib

import matplotlib as mpl
from matplotlib.figure import Figure

from xtec.plotting.style import figure_style

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_CLUSTER = re.compile(r"(cluster|band|bars)-(\d+)")


def svg_text(figure: Figure, description: str) -> str:
    """A figure as an ``svg`` element; the figure is emptied.

    What belongs to a cluster carries its number as ``data-cluster``. Names differ from those of figures with
    other descriptions.

    Parameters
    ----------
    figure : Figure
    description : str
        For readers who do not see it.
    """
    written = io.BytesIO()
    with figure_style(), mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    figure.clear()
    root = ElementTree.fromstring(written.getvalue())
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", description)
    _own_names(root, f"{zlib.crc32(description.encode()):08x}")
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def _own_names(root: ElementTree.Element, prefix: str) -> None:
    """Names that something refers to get a prefix; the others go, those of clusters into ``data-cluster``."""
    link = f"{{{_XLINK}}}href"
    used = {one.get(link, "")[1:] for one in root.iter()}
    values = [value for one in root.iter() for value in one.attrib.values()]
    used |= {name for value in values for name in _REFERENCE.findall(value)}
    for one in root.iter():
        name = one.attrib.pop("id", "")
        if match := _CLUSTER.fullmatch(name):
            one.set("data-cluster", match[2])
            if match[1] != "cluster":  # bands lie over curves, which are to be clicked
                one.set("pointer-events", "none")
        elif name in used:
            one.set("id", f"{prefix}-{name}")
        for key, value in one.attrib.items():
            if key == link:
                one.set(key, f"#{prefix}-{value[1:]}")
            elif "url(#" in value:
                one.set(key, _REFERENCE.sub(rf"url(#{prefix}-\1)", value))
