"""The rules by which turns of logs become rows; each says what it dropped.

Content rules look at one turn alone; the rules after those look at all turns together. What is
drawn (balance, caps) is drawn by `Candidate.rank`, a hash of seed and identity: the order of files
does not matter.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from tesuji.datasets.columns import SPEECH
from tesuji.datasets.from_logs.candidates import Candidate, TextFile
from tesuji.datasets.from_logs.strategy_words import indicators, quality
from tesuji.recipe.schema.data import SelectSection

ROUNDS = 20  # of balancing several things that disturb each other
EVEN = 1.05  # largest class over smallest one, at which they count as equal

Why = Callable[[Candidate], str]  # why a turn is dropped; "" to keep it


class Rule(NamedTuple):
    """One rule about single turns."""

    name: str
    why: Why


def content_rules(section: SelectSection, replies: TextFile) -> Iterator[Rule]:
    """The rules about single turns that a recipe asks for, in order."""
    if section.seats == "winners":
        yield Rule("seats: winners", _not_won)
    if section.legal:
        yield Rule("legal", _illegal)
    if section.spoken:
        yield Rule("spoken", lambda turn: "nothing but a bracket" if turn.bare else "")
    if section.decisive_votes:
        yield Rule("decisive_votes", _indecisive)
    if section.phases:
        yield Rule("phases", lambda turn: "" if turn.phase in section.phases else "other phase")
    if section.quality:
        yield Rule("quality", lambda turn: _form(turn, section, replies))


def _not_won(turn: Candidate) -> str:
    if turn.won is None:
        return "not known who won"
    if not turn.won:
        return "did not win"
    return "won by the illegal reply of another" if turn.forfeited else ""


def _illegal(turn: Candidate) -> str:
    return "" if turn.legal else "no legal move"


def _indecisive(turn: Candidate) -> str:
    if turn.type != "vote" or turn.hit:
        return ""
    return "result not told" if turn.hit is None else "hit nobody, or another player"


def _form(turn: Candidate, section: SelectSection, replies: TextFile) -> str:
    if turn.type not in SPEECH:
        return ""
    text = replies.get(turn.reply_span).strip()
    turn.score = quality(text, won=bool(turn.won), role=turn.role)
    if len(text) < section.min_characters:
        return "too short"
    if indicators(text) < section.min_indicators:
        return "too few words of strategy"
    return "score too low" if turn.score < section.min_score else ""


class Report:
    """What each rule dropped, in order."""

    def __init__(self) -> None:
        self.rules: list[dict[str, Any]] = []

    def add(self, name: str, left: int, why: Counter[str]) -> None:
        """One rule's counts; those of a reason without a name ("") say no more than the rule."""
        why = +why
        row: dict[str, Any] = {"rule": name, "dropped": why.total(), "left": left}
        self.rules.append({**row, "why": dict(why.most_common())} if any(why) else row)


def apply(rules: Sequence[Rule], turns: Sequence[Candidate], report: Report) -> list[Candidate]:
    """The turns that pass every rule."""
    left = list(turns)
    for rule in rules:
        why: Counter[str] = Counter()
        kept = []
        for turn in left:
            if reason := rule.why(turn):
                why[reason] += 1
            else:
                kept.append(turn)
        left = kept
        report.add(rule.name, len(left), why)
    return left


def select(section: SelectSection, turns: Sequence[Candidate], report: Report) -> list[Candidate]:
    """What the rules about all turns together leave of those that passed the others."""
    left = list(turns)
    steps: list[tuple[str, Callable[[Sequence[Candidate]], list[Candidate]]]] = []
    if section.deduplicate:
        steps.append(("deduplicate", distinct))
    if section.balance:
        name = f"balance: {', '.join(section.balance)}"
        steps.append((name, lambda rows: balanced(rows, section.balance)))
    if (most := section.max_rows_per_game) is not None:
        steps.append(("max_rows_per_game", lambda rows: capped_by_match(rows, most)))
    if (limit := section.max_rows) is not None:
        steps.append(("max_rows", lambda rows: capped(rows, limit)))
    for name, step in steps:
        before, left = len(left), step(left)
        report.add(name, len(left), Counter({"": before - len(left)}))
    return left


def distinct(turns: Sequence[Candidate]) -> list[Candidate]:
    """One of several with the same prompt and reply: the first by rank."""
    first: dict[tuple[int, int], Candidate] = {}
    for turn in turns:
        other = first.setdefault((turn.prompt, turn.reply), turn)
        if turn.rank < other.rank:
            first[turn.prompt, turn.reply] = turn
    return [turn for turn in turns if first[turn.prompt, turn.reply] is turn]


def class_of(turn: Candidate, by: str) -> str:
    """The class of a turn for balancing; "" where it is not known."""
    if by == "outcome":
        return {True: "won", False: "lost", None: ""}[turn.won]
    return turn.role if by == "role" else turn.phase


def balanced(turns: Sequence[Candidate], by: Sequence[str]) -> list[Candidate]:
    """As many of each class as of the smallest, for each of `by`. Turns whose class is not known
    stay. Evening out one disturbs another, so it goes on until all are even, at most `ROUNDS`
    times; some cannot be (only doctors have the doctor's night)."""
    left = list(turns)
    for _ in range(ROUNDS):
        for name in by:
            left = _evened(left, name)
        if all(_ratio(left, name) <= EVEN for name in by):
            break
    return left


def _counts(turns: Sequence[Candidate], by: str) -> Counter[str]:
    return Counter(name for turn in turns if (name := class_of(turn, by)))


def _ratio(turns: Sequence[Candidate], by: str) -> float:
    counts = _counts(turns, by).values()
    return max(counts) / min(counts) if counts else 1.0


def _evened(turns: Sequence[Candidate], by: str) -> list[Candidate]:
    counts = _counts(turns, by)
    room = dict.fromkeys(counts, min(counts.values(), default=0))
    return _drawn(turns, room, lambda turn: class_of(turn, by))


def capped_by_match(turns: Sequence[Candidate], most: int) -> list[Candidate]:
    """At most so many rows of one match."""
    return _drawn(turns, {turn.match: most for turn in turns}, lambda turn: turn.match)


def capped(turns: Sequence[Candidate], most: int) -> list[Candidate]:
    """At most so many rows in all."""
    return _drawn(turns, {"all": most}, lambda turn: "all")


def _drawn(
    turns: Sequence[Candidate], room: dict[str, int], name: Callable[[Candidate], str]
) -> list[Candidate]:
    """As many of each class as there is room for, by rank, in their old order; a turn without a
    class stays."""
    left = dict(room)
    dropped: set[int] = set()
    for place in sorted(range(len(turns)), key=lambda place: turns[place].rank):
        key = name(turns[place])
        if not key:
            continue
        if left[key] == 0:
            dropped.add(place)
        else:
            left[key] -= 1
    return [turn for place, turn in enumerate(turns) if place not in dropped]
