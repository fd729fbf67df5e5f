"""The table at the end of `tesuji run`: before and after against every opponent, and what else."""

from rich.table import Table
from rich.text import Text

from tesuji.evaluation.matches.against import ALONE
from tesuji.evaluation.results import Evaluation, MatchScore
from tesuji.report.headline import NO_CHANGE, no_change
from tesuji.report.tables.layout import left_table
from tesuji.report.tables.questions import tasks_table
from tesuji.report.tables.roles import role_lines
from tesuji.report.words import (
    NO_VERDICT,
    SPLITS,
    alone_sentence,
    broken_off_sentence,
    certificate_sentence,
    exploitability_sentence,
    find,
    game_words,
    illegal_sentence,
    instead,
    interval,
    mean_return_words,
    percent,
    positions_sentence,
    seat_name,
    totals,
    winnings_sentence,
)

WIDE = 98  # columns from which the intervals of both evaluations fit


def evaluation_table(before: Evaluation | None, after: Evaluation, width: int = 80) -> Table:
    """Results in percent, `before → after (95% interval)`, over lines on moves and proofs.

    Fits in `width` columns, from 80 up; from 98 on, the intervals of `before` are shown too.
    """
    page = Table.grid()
    if after.matches:
        page.add_row(_matches(before, after, width))
    if after.tasks is not None:
        page.add_row(tasks_table(before, after))
    page.add_row(_facts(before, after))
    return page


def _matches(before: Evaluation | None, after: Evaluation, width: int) -> Table:
    play = "greedy" if after.temperature == 0 else f"temperature {after.temperature:g}"
    change = "before → after (95%)" if before else "95% interval"
    table = left_table(f"{game_words(after)}, {play}: % of matches, {change}")
    table.add_column("against", overflow="fold", style="bold")
    for name in ("win", "draw", "loss"):
        table.add_column(name, justify="right", no_wrap=True)
    beside = "random instead" if width >= WIDE else "random\ninstead"
    table.add_column(beside, justify="right", no_wrap=True, style="dim")
    previous = ""
    for row in after.matches:
        if previous and row.opponent != previous:
            table.add_section()
        previous = row.opponent
        _add(table, row, before, after, wide=width >= WIDE)
    return table


def _add(
    table: Table, row: MatchScore, before: Evaluation | None, after: Evaluation, *, wide: bool
) -> None:
    old = find(before.matches, row.opponent, row.seat) if before else None
    chance = find(after.baseline, row.opponent, row.seat)
    opponent = row.opponent.replace("(", " (", 1)  # where a narrow column may break
    name = opponent if row.seat is None else f"  {seat_name(row.seat, after)}"
    then = _shares(old, intervals=wide) if old else ("", "", "")
    now = _shares(row, intervals=True)
    styles = ("green", "yellow", "red" if row.losses else "green")
    table.add_row(
        Text(name, style="bold" if row.seat is None else "dim"),
        *map(_change, then, now, styles),
        "/".join(_shares(chance, intervals=False)) if chance else "–",
    )


def _shares(row: MatchScore, *, intervals: bool) -> tuple[str, str, str]:
    """Wins, draws and losses in whole percent; where nobody can say, that."""
    if row.unjudged:
        return NO_VERDICT, "–", "–"
    win, draw, loss = (
        percent(part, row.games, digits=0) for part in (row.wins, row.draws, row.losses)
    )
    if not intervals:
        return win, draw, loss
    return f"{win} ({interval(row.win_interval)})", draw, f"{loss} ({interval(row.loss_interval)})"


def _change(old: str, new: str, style: str) -> Text:
    arrow = (f"{old} → ", "dim") if old else ""
    return Text.assemble(arrow, (new, style))


def _facts(before: Evaluation | None, after: Evaluation) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    if before is not None and no_change(before, after):
        facts.add_row("no change", Text(NO_CHANGE.partition(": ")[2], "bold yellow"))
    for proof in after.certificates:
        style = "bold green" if proof.holds else "bold red"
        facts.add_row("certificate", Text(certificate_sentence(proof), style))
    for look in filter(None, (before, after)):
        if look.exploitability is not None:
            name = look.exploitability.name if look is after else f"... {look.label}"
            facts.add_row(name, exploitability_sentence(look.exploitability))
    for row in totals(after):
        _add_winnings(facts, row, before, after)
        _add_earned(facts, row, before, after)
        _add_instead(facts, row, after)
    for look in filter(None, (before, after)):
        for row in (one for one in totals(look) if one.opponent == ALONE):
            facts.add_row(f"alone, {look.label}", alone_sentence(row))
    for row in (one for one in after.baseline if one.opponent == ALONE):
        facts.add_row("... random", Text(alone_sentence(row), "dim"))
    for line in role_lines(after):
        facts.add_row(f"as {line['who']}", line["sentence"])
    for score in after.positions:
        facts.add_row(SPLITS.get(score.split, score.split), positions_sentence(score))
    for look in filter(None, (before, after) if after.matches else ()):
        facts.add_row(f"illegal, {look.label}", illegal_sentence(look))
        _add_broken_off(facts, look)
    return facts


def _add_broken_off(facts: Table, look: Evaluation) -> None:
    for rows, by_chance in ((look.matches, False), (look.baseline, True)):
        for row in (one for one in rows if one.errors and one.seat is None):
            sentence = Text(broken_off_sentence(row, by_chance), "red")
            facts.add_row(f"broken off, {look.label}", sentence)


def _add_winnings(
    facts: Table, row: MatchScore, before: Evaluation | None, after: Evaluation
) -> None:
    """At poker, what is won a hand: now, before, and by a random player in its place."""
    old = find(before.matches, row.opponent, None) if before else None
    chance = find(after.baseline, row.opponent, None)
    if row.winnings is None:
        return
    facts.add_row(f"against {row.opponent}", winnings_sentence(row.winnings))
    others = [("before", old), ("random", chance), *instead(after, row)]
    for name, other in others:
        if other is not None and other.winnings is not None:
            facts.add_row(f"... {name}", Text(winnings_sentence(other.winnings), "dim"))


def _add_instead(facts: Table, row: MatchScore, after: Evaluation) -> None:
    """What the other players named come to in its place, but for winnings and roles, which have
    lines of their own."""
    for name, other in instead(after, row):
        if row.opponent == ALONE:
            facts.add_row(f"{name} instead", alone_sentence(other))
        elif other.winnings is None and not after.roles:
            shares = "/".join(_shares(other, intervals=False))
            facts.add_row(f"{name} instead", f"{shares} against {row.opponent}")


def _add_earned(
    facts: Table, row: MatchScore, before: Evaluation | None, after: Evaluation
) -> None:
    """In a cooperative game, what is earned together: now, before, and by a random player."""
    if not row.unjudged or row.opponent == ALONE:
        return
    old = find(before.matches, row.opponent, None) if before else None
    facts.add_row(f"with {row.opponent}", mean_return_words(row))
    for name, other in (("before", old), ("random", find(after.baseline, row.opponent, None))):
        if other is not None:
            facts.add_row(f"... {name}", Text(mean_return_words(other), "dim"))
