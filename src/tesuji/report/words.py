"""Numbers in words: shares that never round to a claim, intervals, the headline."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from tesuji.core.statistics import Interval, Share
from tesuji.evaluation.held_out.results import Preferences
from tesuji.evaluation.matches.against import ALONE
from tesuji.evaluation.results import (
    Certificate,
    Evaluation,
    Exploitability,
    MatchScore,
    PositionScore,
    TasksScore,
    Winnings,
)

NO_VERDICT = "no verdict"  # of a game for one seat that does not know winning
NO_CHANGE = "No change: before training it did exactly the same in all that was measured."
SPLITS = {"trained": "seen in training", "held_out": "never seen", "all": "all positions"}


Mood = Literal["good", "bad", "open"]


@dataclass(frozen=True, slots=True)
class Headline:
    """One honest sentence, and whether it is `good` news, `bad` news or `open`."""

    mood: Mood
    sentence: str


def percent(part: int, whole: int, digits: int = 1) -> str:
    """The share in percent without the sign. Only all of them are 100, only none of them 0."""
    if whole == 0:
        return "–"
    smallest = 10.0**-digits
    value = round(100 * part / whole, digits)
    if 0 < part < whole:
        value = min(max(value, smallest), 100 - smallest)
    return f"{value:.{digits}f}".removesuffix("." + "0" * digits)


def interval(bounds: Interval, digits: int = 0) -> str:
    """A 95% interval of a share, in percent, rounded outwards: `94–100`."""
    if math.isnan(bounds.low) or math.isnan(bounds.high):
        return "–"
    scale = 10**digits
    low = math.floor(round(100 * bounds.low * scale, 6)) / scale
    high = math.ceil(round(100 * bounds.high * scale, 6)) / scale
    return f"{low:.{digits}f}–{high:.{digits}f}"


def number(value: float) -> str:
    """A number as short as it can be said: thousands apart, four significant digits."""
    if isinstance(value, int) or (math.isfinite(value) and value == int(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: `14 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def seat_name(seat: int | None, evaluation: Evaluation) -> str:
    """The role the rules give a seat, where the evaluation says it; else its number."""
    if seat is None:
        return "all seats"
    roles = {proof.seat: proof.role for proof in evaluation.certificates}
    return f"as {roles[seat]}" if roles.get(seat) else f"seat {seat}"


def find(rows: tuple[MatchScore, ...], opponent: str, seat: int | None) -> MatchScore | None:
    """The row of one opponent and seat, if there is one."""
    return next((row for row in rows if (row.opponent, row.seat) == (opponent, seat)), None)


def game_words(evaluation: Evaluation) -> str:
    """The game's name, and what was set otherwise where the model was judged."""
    inside = ", ".join(f"{key}={value}" for key, value in evaluation.options.items())
    return f"{evaluation.game} ({inside})" if inside else evaluation.game


def alone_sentence(row: MatchScore) -> str:
    """A game of one seat: how often it was won, and in how many turns, or that nothing says what
    winning is; what it paid; and how many matches our own refused replies ended."""
    won = f"won {percent(row.wins, row.games)}% ({interval(row.win_interval, 1)})"
    parts = [NO_VERDICT if row.unjudged else won, turns_words(row), mean_return_words(row)]
    own = f"{row.forfeits:,} ended by its own refused replies" if row.forfeits else ""
    return ", ".join(part for part in (*parts, own) if part) + f", of {row.games:,} matches"


def mean_return_words(row: MatchScore) -> str:
    """What a match paid on average, with its interval where there is one."""
    low, high = row.return_interval.low, row.return_interval.high
    bounds = f" ({low:+.4g} to {high:+.4g})" if math.isfinite(low) else ""
    return f"mean return {row.mean_return:+.4g}{bounds}"


def turns_words(row: MatchScore) -> str:
    """How many turns the won matches took; "" where none was won."""
    return "" if row.turns_won is None else f"{row.turns_won:.2f} turns where won"


def totals(evaluation: Evaluation) -> list[MatchScore]:
    """One row an opponent, all seats together."""
    return [row for row in evaluation.matches if row.seat is None]


def positions_sentence(score: PositionScore) -> str:
    """Share of optimal moves on one set of positions."""
    share = percent(score.optimal, score.positions)
    return (
        f"{share}% optimal ({score.optimal:,} of {score.positions:,}, "
        f"95% interval {interval(score.optimal_interval, 1)})"
    )


def certificate_sentence(proof: Certificate) -> str:
    """What the walk through the whole game tree found, from one seat."""
    who = f"as {proof.role}" if proof.role else f"from seat {proof.seat}"
    if proof.holds:
        return f"{who}: never loses, {proof.lines:,} lines checked"
    line = " ".join(proof.losing_line)
    shortest = f"; the shortest: {line}" if line else ""
    return f"{who}: loses {proof.losses:,} of {proof.lines:,} lines{shortest}"


def exploitability_words(result: Exploitability) -> dict[str, str]:
    """What the report says of it: title, meaning and the figure's sentence."""
    alone = result.exploitability is not None
    return {
        "title": "Exploitability" if alone else "NashConv",
        "meaning": "What a best response would win against this policy, a match, averaged over the"
        " seats"
        if alone
        else "What the seats would gain a match by best responses to the others, one at a time,"
        " added up",
        "sentence": exploitability_sentence(result),
    }


def exploitability_sentence(result: Exploitability) -> str:
    """What a best response would win, beside random play's figure."""
    words = (
        f"{result.value:.4f} (uniformly random play: {result.uniform:.4f}; an equilibrium:"
        f" 0), over {result.information_states:,} information states"
    )
    if result.illegal_mass < 0.001:
        return words
    return f"{words}; {100 * result.illegal_mass:.1f}% of replies were no legal move and left out"


def winnings_sentence(winnings: Winnings) -> str:
    """What is won a hand, with its interval over deals."""
    if math.isinf(winnings.interval.low):
        return f"{_signed(winnings.mbb)} mbb/hand, a single deal"
    bounds = f"{_signed(winnings.interval.low)} to {_signed(winnings.interval.high)}"
    return f"{_signed(winnings.mbb)} mbb/hand ({bounds}, {winnings.deals:,} deals)"


def _signed(value: float) -> str:
    """Rounded, with its sign: "+1,200", "-35", "0"."""
    return f"{round(value):+,}" if round(value) else "0"


def illegal_sentence(evaluation: Evaluation) -> str:
    """Replies without a legal move, ours, and what illegal moves decided on either side."""
    rows = totals(evaluation)
    illegal, replies = sum(row.illegal for row in rows), sum(row.replies for row in rows)
    forfeits, gifts = sum(row.forfeits for row in rows), sum(row.gifts for row in rows)
    words = f"{illegal:,} of {replies:,} replies, {forfeits:,} matches lost by it"
    return f"{words}, {gifts:,} won by the opponent's" if gifts else words


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
    return _by_matches(evaluation, before)


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
        return _by_winnings(rows)
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


def _by_winnings(rows: list[MatchScore]) -> Headline:
    """Good news is an interval above 0 against everybody, bad news one below 0 against somebody."""
    known = [(row.opponent, row.winnings) for row in rows if row.winnings is not None]
    parts = "; ".join(f"{winnings_sentence(winnings)} against {name}" for name, winnings in known)
    good = all(winnings.interval.low > 0 for _, winnings in known)
    bad = any(winnings.interval.high < 0 for _, winnings in known)
    return Headline("good" if good else "bad" if bad else "open", f"It wins {parts}.")
