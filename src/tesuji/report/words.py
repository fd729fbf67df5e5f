"""Numbers in words: shares that never round to a claim, intervals, sentences about a figure."""

import math

from tesuji.core.statistics import Interval
from tesuji.evaluation.matches.against import ALONE
from tesuji.evaluation.results import (
    Certificate,
    Evaluation,
    Exploitability,
    MatchScore,
    PositionScore,
    Winnings,
)

NO_VERDICT = "no verdict"  # of a game for one seat that does not know winning
SPLITS = {"trained": "seen in training", "held_out": "never seen", "all": "all positions"}


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


def instead(evaluation: Evaluation, row: MatchScore) -> list[tuple[str, MatchScore]]:
    """Who else, named in the recipe, played the same matches in the model's place, and what that
    came to."""
    if row.opponent == ALONE:
        return [(other.opponent, other) for other in evaluation.beside]
    same = (row.opponent, row.seat)
    return [(o.stand_in, o) for o in evaluation.beside if (o.opponent, o.seat) == same]


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
        f"95% interval {interval(score.optimal_interval, 1)}){thoughts_words(score)}"
    )


def thoughts_words(score: PositionScore) -> str:
    """What was thought before the moves; "" where nothing was."""
    if not score.thoughts:
        return ""
    true = "" if score.true_thoughts is None else f", true of the move {score.true_thoughts:,}"
    return (
        f"; with a thought {score.thoughts:,}{true}, {score.thought_words:.1f} words on average;"
        f" legal {score.legal:,}"
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
        return f"{signed(winnings.mbb)} mbb/hand, a single deal"
    bounds = f"{signed(winnings.interval.low)} to {signed(winnings.interval.high)}"
    return f"{signed(winnings.mbb)} mbb/hand ({bounds}, {winnings.deals:,} deals)"


def signed(value: float) -> str:
    """Rounded, with its sign: "+1,200", "-35", "0"."""
    return f"{round(value):+,}" if round(value) else "0"


def broken_off_sentence(row: MatchScore, by_chance: bool) -> str:
    """How many matches an error ended; with a random player in our place where `by_chance`."""
    where = f"against {row.opponent}{', with random play in its place' if by_chance else ''}"
    return f"{row.errors:,} of {row.games:,} matches {where}, by an error"


def illegal_sentence(evaluation: Evaluation) -> str:
    """Replies without a legal move, ours, and what illegal moves decided on either side."""
    rows = totals(evaluation)
    illegal, replies = sum(row.illegal for row in rows), sum(row.replies for row in rows)
    forfeits, gifts = sum(row.forfeits for row in rows), sum(row.gifts for row in rows)
    words = f"{illegal:,} of {replies:,} replies, {forfeits:,} matches lost by it"
    return f"{words}, {gifts:,} won by the opponent's" if gifts else words
