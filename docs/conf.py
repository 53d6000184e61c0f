"""How the documentation is built: `make docs`."""

from importlib.metadata import version as version_of
from typing import Any

project = "xtec"
copyright = "the xtec developers"
release = version_of("xtec-pipeline")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["notebooks/.ipynb_checkpoints"]

autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "xtec"
html_copy_source = False
copybutton_prompt_text = "$ "


def _plain_stars(app: Any, context: Any, lines: list[str]) -> None:
    """Help of options is plain text: patterns such as ``*/*.nxs`` are no emphasis."""
    lines[:] = [line.replace("*", r"\*") for line in lines]


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("sphinx-click-process-options", _plain_stars)
    app.connect("sphinx-click-process-description", _plain_stars)
