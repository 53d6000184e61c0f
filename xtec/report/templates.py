"""HTML templates; whatever is put into them is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from xtec.core.quantities import Quantity
from xtec.core.wording import plain


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("xtec.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["quantity"] = quantity
    return environment


def template(name: str) -> Template:
    """A template of this package."""
    return _environment().get_template(name)


def source(name: str) -> str:
    """A file of this package as it is: a script or a style sheet."""
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def quantity(found: Mapping[str, Any] | None) -> str:
    """``130.77 +0.30 -0.36 K`` of a quantity as summary.json has it; a dash for none."""
    if found is None or found["value"] is None:
        return "–"
    return " ".join(filter(None, [plain(Quantity(**found)), found["units"]]))
