"""Charts as inline SVG: text stays text, ink takes the page's colour.

Drawn by matplotlib without a display. The same numbers give the same bytes.
"""

import io
import math
import re
from collections.abc import Callable
from typing import Any

INK = "#010203"  # replaced by currentColor: matplotlib itself knows no such colour
LETTER, LINE = 0.085, 0.2  # inches, of ten points
LEGEND = 50  # letters of ten points on a line above the axes
COLOURS = ("#3b78d8", "#d9731a", "#3a9a6a", "#a35bc0")


def ink_svg(name: str, draw: Callable[[Any], None], size: tuple[float, float] = (4.6, 2.7)) -> str:
    """An SVG element with what `draw(axes)` puts on one pair of axes. `name` makes its ids its
    own, `size` is in inches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_style(name)):
        figure = Figure(figsize=size)
        axes = figure.add_subplot()
        draw(axes)
        _make_room(figure, axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata=NO_METADATA)
    return _inline(text.getvalue())


def legend_above(axes: Any) -> None:
    """Say which line is which above the axes, where no line can run through it."""
    handles, labels = axes.get_legend_handles_labels()
    across = max(1, int(LEGEND / max(len(label) + 4 for label in labels)))
    axes.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=across,
        frameon=False,
        handlelength=1.5,
        borderaxespad=0.2,
        columnspacing=1.2,
    )


NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def _make_room(figure: Any, axes: Any) -> None:
    """Margins by the letters of the labels: a layout engine would draw everything twice, and
    measure in a font that a page need not have."""
    from matplotlib.transforms import blended_transform_factory

    across, down = axes.xaxis, axes.yaxis
    letters = max(map(len, _words_at_ticks(down)), default=0)
    left = 0.16 + LETTER * letters + LINE * bool(axes.get_ylabel())
    bottom = 0.12 + LINE * bool(_words_at_ticks(across)) + LINE * bool(axes.get_xlabel())
    top = 0.12 + 0.15 * bool(down.get_major_formatter().get_offset()) + LINE * _legend_rows(axes)
    width, height = figure.get_size_inches()
    figure.subplots_adjust(left / width, bottom / height, 1 - 0.25 / width, 1 - top / height)
    page, inside = figure.transFigure, axes.transAxes
    across.set_label_coords(0.5, LINE / height, blended_transform_factory(inside, page))
    down.set_label_coords(LINE / width, 0.5, blended_transform_factory(page, inside))


def _legend_rows(axes: Any) -> int:
    legend = axes.get_legend()
    return math.ceil(len(legend.get_texts()) / legend._ncols) if legend else 0


def _words_at_ticks(axis: Any) -> list[str]:
    words: list[str] = axis.get_major_formatter().format_ticks(axis.get_majorticklocs())
    return words


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
