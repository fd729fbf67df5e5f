"""Charts as inline SVG: text stays text, ink takes the page's colour.

Drawn by matplotlib without a display. The same numbers give the same bytes.
"""

import io
import re
from collections.abc import Callable
from typing import Any

INK = "#010203"  # replaced by currentColor: matplotlib itself knows no such colour
COLOURS = ("#3b78d8", "#d9731a", "#3a9a6a", "#a35bc0")


def ink_svg(name: str, draw: Callable[[Any], None], size: tuple[float, float] = (4.6, 2.7)) -> str:
    """An SVG element with what `draw(axes)` puts on one pair of axes. `name` makes its ids its
    own, `size` is in inches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_style(name)):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata=NO_METADATA)
    return _inline(text.getvalue())


NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def plain(text: str) -> str:
    """A text as it is: dollar signs would start a formula, control characters break the page."""
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return printable.replace("$", r"\$")


def _style(name: str) -> dict[str, Any]:
    from cycler import cycler

    ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": f"tesuji {name}",
        "font.family": "sans-serif",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=COLOURS),
        "grid.color": INK,
        **dict.fromkeys(ink, INK),
    }


def _inline(svg: str) -> str:
    """The bare element: no prolog, no namespaces (HTML needs none), the page's ink, any width."""
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r"<style.*?</style>", "", svg)
    svg = re.sub(r' id="[^"_]+_[^"]*"', "", svg)  # nothing points to them
    head, _, body = svg.partition(">")
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} role="presentation">{body}'.strip()
