"""The report of a run: one HTML page that opens offline, and the same in Markdown.

    write_report(Path("runs/tictactoe-tiny"))

Nothing on the page is fetched from anywhere. Texts of models and players are escaped by the
template, a Content-Security-Policy lets no script run but our own, and secrets are redacted.
"""

import base64
import functools
import hashlib
import re
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from tesuji.core.files import write_text
from tesuji.core.json_dataclass import json_safe
from tesuji.core.redact import safe_all
from tesuji.report.collect import RunSummary, collect
from tesuji.report.views.curves import draw_curves
from tesuji.report.views.run import view


def write_report(run: Path) -> tuple[Path, Path]:
    """Write `report.html` and `report.md` into the run folder and return their paths.

    Raises DataError when `run` is no run folder or cannot be written. Whatever the run lacks,
    the report says.
    """
    page = build(collect(run))
    html, markdown = run / "report.html", run / "report.md"
    write_text(html, render_html(page))
    write_text(markdown, render_markdown(page))
    return html, markdown


def build(summary: RunSummary) -> dict[str, Any]:
    """Everything both templates show, as plain values without secrets or control characters."""
    page: dict[str, Any] = json_safe(safe_all(view(summary)))
    page["curves"] = [asdict(chart) for chart in draw_curves(safe_all(summary.metrics))]
    return page


def render_html(page: dict[str, Any]) -> str:
    """The HTML page."""
    script = asset("board.js")
    template = _environment(autoescape=True).get_template("page.html.j2")
    return template.render(
        page,
        style=Markup(asset("style.css") + asset("replay.css")),
        script=Markup(script),
        script_hash=_csp_hash(script),
    )


def static_page(name: str, values: dict[str, Any]) -> str:
    """A page of another template, in the same style and without scripts."""
    style = Markup(asset("style.css"))
    return _environment(autoescape=True).get_template(name).render(values, style=style)


def render_markdown(page: dict[str, Any]) -> str:
    """The same report without games and curves, for a terminal, a diff or a model card."""
    return markdown_template("page.md.j2").render(page)


def markdown_template(name: str) -> Template:
    """A template in which every value is inert Markdown."""
    return _environment(autoescape=False, finalize=_markdown_value).get_template(name)


@functools.cache
def _environment(**options: Any) -> Environment:
    templates = Environment(
        loader=PackageLoader("tesuji.report", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    templates.filters["svg"] = Markup
    templates.filters["fenced"] = _fenced
    return templates


def asset(name: str) -> str:
    """A script or style sheet of this folder."""
    return files("tesuji.report").joinpath(name).read_text(encoding="utf-8")


def board_script_hash() -> str:
    """What a Content-Security-Policy calls the one script of a report."""
    return _csp_hash(asset("board.js"))


def _csp_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _markdown_value(value: Any) -> Any:
    """A value as inert Markdown: no markup, no HTML, one line. Markup passes as it is."""
    if isinstance(value, Markup):
        return value
    text = re.sub(r"\s+", " ", str(value))
    return re.sub(r"([\\`*_\[\]<>|#~&$!])", r"\\\1", text)


def _fenced(text: str, language: str) -> Markup:
    """A code block that the text cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}{language}\n{text.rstrip()}\n{fence}")
