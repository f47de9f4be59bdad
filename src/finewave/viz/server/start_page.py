"""The page of a viewer without a file: it asks for one."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bokeh.document import Document


def fill_start_page(document: Document, facts: dict[str, Any], ended: Callable[[], Any]) -> None:
    """Fill a document with the page.

    Parameters
    ----------
    document : bokeh.document.Document
    facts : dict
        Variables of the template.
    ended : callable
        Called when the tab was closed.
    """
    document.template = template("start.html")
    document.template_variables.update(facts)
    document.title = "finewave"
    document.on_session_destroyed(lambda context: ended())


@lru_cache(maxsize=4)
def template(name: str) -> Any:
    """Return a template of the page; what files say is escaped in it."""
    from jinja2 import Environment, FunctionLoader

    folder = files("finewave.viz.server") / "static"

    def source(which: str) -> str | None:
        path = folder / which
        return path.read_text(encoding="utf-8") if path.is_file() else None

    return Environment(loader=FunctionLoader(source), autoescape=True).get_template(name)
