"""The headline: one honest sentence about a run, and whether it is good news."""

from dataclasses import dataclass, replace
from typing import Literal

from tesuji.core.statistics import Share, wilson
from tesuji.evaluation.held_out.results import Preferences
from tesuji.evaluation.matches.against import ALONE
from tesuji.evaluation.results import (
    Evaluation,
    Exploitability,
    MatchScore,
    TasksScore,
)
from tesuji.report.words import (
    alone_sentence,
    find,
    interval,
    mean_return_words,
    percent,
    signed,
    totals,
    winnings_sentence,
)

NO_CHANGE = "No change: before training it did exactly the same in all that was measured."

Mood = Literal["good", "bad", "open"]


@dataclass(frozen=True, slots=True)
class Headline:
    """One honest sentence, and whether it is `good` news, `bad` news or `open`."""

    mood: Mood
    sentence: str


def headline(evaluation: Evaluation | None, before: Evaluation | None = None) -> Headline:
    """Does it never lose? One sentence that claims no more than what was checked; and where the
    look before training found the very same, a second one that says so."""
    if evaluation is None:
        return Headline("open", "This run has no evaluation after training yet.")
    verdict = _verdict(evaluation, before)
    if before is None or not no_change(before, evaluation):
        return verdict
    return Headline(verdict.mood, f"{verdict.sentence} {NO_CHANGE}")


def no_change(before: Evaluation, after: Evaluation) -> bool:
    """Whether two looks found the same in everything they measured."""
    return _measured(before) == _measured(after)


def _measured(look: Evaluation) -> Evaluation:
    """A look without what tells it from another one of the same model."""
    rows = look.rows and replace(look.rows, seconds=0.0)
    return replace(look, label="", model="", seconds=0.0, rows=rows)


def _verdict(evaluation: Evaluation, before: Evaluation | None) -> Headline:
    if evaluation.certificates:
        return _by_certificate(evaluation)
    if evaluation.exploitability is not None:
        return _by_exploitability(evaluation.exploitability)
    played = _by_matches(evaluation, before)
    if not evaluation.matches or evaluation.rows is None:
        return played
    read = _by_rows(evaluation, before)
    return Headline(played.mood, f"{played.sentence} {read.sentence}")


def _by_certificate(evaluation: Evaluation) -> Headline:
    proofs = evaluation.certificates
    losses, lines = sum(p.losses for p in proofs), sum(p.lines for p in proofs)
    if losses:
        words = f"{losses:,} of {lines:,} lines against its greedy play lose"
        return Headline("bad", f"It can still be beaten: {words}.")
    played = {row.seat for row in evaluation.matches if row.seat is not None}
    unchecked = sorted(played - {proof.seat for proof in proofs})
    if unchecked:
        seats = ", ".join(map(str, unchecked))
        return Headline("open", f"It never loses from the seats checked; seat {seats} was not.")
    words = f"all {lines:,} lines of play against its greedy moves were checked, from every seat"
    return Headline("good", f"It never loses: {words}.")


def _by_exploitability(result: Exploitability) -> Headline:
    """Good news is a tenth of uniform play's figure or less: nobody reaches 0 exactly."""
    wins, uniform = result.value, result.uniform
    mood: Mood = "good" if wins <= uniform / 10 else "bad" if wins >= uniform else "open"
    if result.exploitability is None:
        return Headline(
            mood,
            f"Best responses of all seats, one at a time, win {wins:.3f} a match more than it does;"
            f" against uniformly random play {uniform:.3f}, against an equilibrium 0.",
        )
    return Headline(
        mood,
        f"A best response wins {wins:.3f} a match against it; against uniformly random play it "
        f"wins {uniform:.3f}, against an equilibrium 0.",
    )


def _by_rows(evaluation: Evaluation, before: Evaluation | None) -> Headline:
    """What the held-out rows say, where nothing was played."""
    rows, parts = evaluation.rows, []
    old = before.rows if before else None
    if rows and rows.decisions:
        right, of = rows.decisions.action.right, rows.decisions.action.total
        parts.append(f"it decides as the label does in {percent(right, of)}% of {of:,} cases")
    if rows and rows.preferences:
        parts.append(_preferences(rows.preferences, old.preferences if old else None))
    if rows and rows.likelihood:
        was = old.likelihood if old else None
        beside = f" ({was.perplexity:.3g} before)" if was else ""
        perplexity = f"{rows.likelihood.perplexity:.3g}{beside}"
        parts.append(f"its perplexity on other people's replies is {perplexity}")
    if not parts:
        return Headline("open", "Nothing was played in this evaluation.")
    return Headline("open", f"On held-out games {'; '.join(parts)}.")


def _preferences(now: Preferences, was: Preferences | None) -> str:
    """How often the better reply is the likelier one: before, per token, and by length alone."""

    def rate(share: Share) -> str:
        return f"{percent(share.right, share.total)}%"

    beside = [f"{rate(was.summed)} before"] if was else []
    per_token = f"per token {rate(now.per_token)}"
    beside.append(f"{per_token}, {rate(was.per_token)} before" if was else per_token)
    rules = [(one, name) for one, name in ((now.shorter, "shorter"), (now.longer, "longer")) if one]
    if rules:
        best, name = max(rules, key=lambda rule: rule[0].right)
        beside.append(f"always the {name} one {rate(best)}")
    of = f"{now.summed.total:,} pairs ({'; '.join(beside)})"
    return f"the better reply is the likelier one in {rate(now.summed)} of {of}"


def _by_tasks(score: TasksScore) -> Headline:
    """The share of questions answered right, held-out ones where there are such."""
    row = [row for row in score.rows if not row.category][-1]
    kind = "held-out questions" if row.split == "held_out" else "questions"
    share = f"{percent(row.right, row.tasks)}% of {row.tasks:,} {kind}"
    bounds = interval(row.right_interval)
    return Headline("open", f"It answers {share} right (95% interval {bounds}).")


def _by_matches(evaluation: Evaluation, before: Evaluation | None) -> Headline:
    if evaluation.tasks is not None:
        return _by_tasks(evaluation.tasks)
    rows = totals(evaluation)
    games, losses = sum(row.games for row in rows), sum(row.losses for row in rows)
    if games == 0:
        return _by_rows(evaluation, before)
    if rows[0].opponent == ALONE:
        return _alone(rows[0], find(evaluation.baseline, ALONE, None))
    if all(row.unjudged for row in rows):
        return _together(rows, evaluation.baseline)
    if any(row.winnings for row in rows):
        return _by_winnings(rows, evaluation.baseline)
    if evaluation.roles:
        return _by_roles(rows, evaluation.baseline)
    if losses:
        share = percent(losses, games)
        return Headline("bad", f"It lost {losses:,} of {games:,} matches ({share}%).")
    sentence = f"It lost none of {games:,} matches, which is evidence and not a proof."
    return Headline("open", sentence)


def _alone(row: MatchScore, chance: MatchScore | None) -> Headline:
    """A game for one seat: what was won or, where nobody can say, earned; random play beside."""
    beside = f"; a random player in its place: {alone_sentence(chance)}" if chance else ""
    if row.unjudged:
        words = "nothing in this game says that a match was won"
        return Headline("open", f"Alone: {alone_sentence(row)} ({words}){beside}.")
    low = chance.win_interval.high if chance else 0.0
    mood: Literal["good", "open"] = "good" if row.win_interval.low > low else "open"
    return Headline(mood, f"Alone it {alone_sentence(row)}{beside}.")


def _together(rows: list[MatchScore], baseline: tuple[MatchScore, ...]) -> Headline:
    """A cooperative game: what is earned with each of the others, a random player's beside."""
    parts = []
    for row in rows:
        chance = find(baseline, row.opponent, None)
        beside = f" (a random player in its place: {chance.mean_return:+.4g})" if chance else ""
        parts.append(f"with {row.opponent} {mean_return_words(row)}{beside}")
    return Headline("open", f"All seats earn the same: {'; '.join(parts)}.")


def _by_winnings(rows: list[MatchScore], baseline: tuple[MatchScore, ...]) -> Headline:
    """Good news is an interval above 0 against everybody, bad news one below 0 against somebody."""
    known = [(row.opponent, row.winnings) for row in rows if row.winnings is not None]
    parts = []
    for name, winnings in known:
        chance = find(baseline, name, None)
        paid = chance.winnings if chance else None
        beside = f", random in its place {signed(paid.mbb)}" if paid else ""
        parts.append(f"{winnings_sentence(winnings)} against {name}{beside}")
    good = all(winnings.interval.low > 0 for _, winnings in known)
    bad = any(winnings.interval.high < 0 for _, winnings in known)
    return Headline("good" if good else "bad" if bad else "open", f"It wins {'; '.join(parts)}.")


def _by_roles(rows: list[MatchScore], baseline: tuple[MatchScore, ...]) -> Headline:
    """A game that deals its roles: good news is an interval above what random play wins in the
    same roles. A side may be the weaker one, so that losing is no bad news by itself."""
    wins, games = sum(row.wins for row in rows), sum(row.games for row in rows)
    bounds = wilson(wins, games)
    chance = [row for row in baseline if row.seat is None]
    won, of = sum(row.wins for row in chance), sum(row.games for row in chance)
    words = (
        f"It won {percent(wins, games)}% ({interval(bounds)}) of {games:,} matches, each role held"
        f" equally often; a random player in its place {percent(won, of)}%."
    )
    return Headline("good" if of and bounds.low > won / of else "open", words)
