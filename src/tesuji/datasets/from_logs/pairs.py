"""Preference pairs from logs: two replies that can be compared, and why one is the better.

Both replies are of the same game, role and phase, and as near in situation as there are any:

    prompt     the very same messages
    position   the same text was shown at some turn of the same role and phase
    phase      neither, but the number of the turn differs by at most two

The prompt of a pair is that of its chosen reply. At `phase` the other reply comes from another
situation, so it is taken only if it would (`outcome`) or would not (`legality`) have been legal
where the chosen one was said. Each reply stands in at most one pair of a kind.
"""

import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from tesuji.core.types import Found, Move
from tesuji.datasets.from_logs.candidates import Candidate, Span, TextFile, action_of, hash_of
from tesuji.games.textarena.secretmafia import is_secretmafia, naming, read_action, targets
from tesuji.players.prompting.parse_reply import read_reply

NEAR = ("prompt", "position", "phase")
TURNS_APART = (0, 1, -1, 2, -2)
LOOKED_AT = 16  # partners tried for one reply before it stays without one

Key = tuple[int, int, int]  # hashes of prompt, chosen and rejected reply
Dropped = Counter[str]  # pairs that were not made, by reason
Fits = Callable[[Candidate, Candidate], bool]


@dataclass(slots=True)
class Plan:
    """A pair to write: the prompt is that of turn `at` (of its first attempt where `first` says
    so), the replies are texts, or where they lie. `other` is the second turn, if there is one."""

    at: Candidate
    chosen: Span
    rejected: Span | str
    by: str
    near: str
    key: Key
    sizes: tuple[int, int]  # characters of the chosen and of the rejected reply
    other: Candidate | None = None
    first: bool = False


class Couple(NamedTuple):
    """Two turns found near each other."""

    chosen: Candidate
    rejected: Candidate
    near: str


def couples(
    chosen: Sequence[Candidate],
    rejected: Sequence[Candidate],
    near: str,
    dropped: Dropped,
    fits_far: Fits = lambda turn, other: True,
) -> Iterator[Couple]:
    """Chosen turns, each with the nearest rejected one that is left; `fits_far` says whether two go
    together where the situation is not the same."""
    left = sorted(chosen, key=lambda turn: turn.rank)
    pool = sorted(rejected, key=lambda turn: turn.rank)
    used: set[int] = set()
    met_equal: set[int] = set()
    for level in NEAR[: NEAR.index(near) + 1]:
        fits = fits_far if level == "phase" else None
        for apart in TURNS_APART if level == "phase" else (0,):
            still = []
            tables = _grouped(pool, used, level)
            for turn in left:
                table = tables.get(_key(turn, level, apart), [])
                if (partner := _partner(turn, table, fits, met_equal)) is None:
                    still.append(turn)
                else:
                    used.add(id(partner))
                    yield Couple(turn, partner, level)
            left = still
    if equal := sum(id(turn) in met_equal for turn in left):
        dropped["equal"] += equal


def _key(turn: Candidate, level: str, apart: int = 0) -> Hashable:
    same = (turn.game, turn.role, turn.phase, turn.type)
    if level == "prompt":
        return same, turn.prompt
    return (same, turn.position) if level == "position" else (same, turn.turn + apart)


def _grouped(
    pool: Sequence[Candidate], used: set[int], level: str
) -> dict[Hashable, list[Candidate]]:
    tables: dict[Hashable, list[Candidate]] = {}
    for turn in reversed(pool):  # the list's end is taken first
        if id(turn) not in used:
            tables.setdefault(_key(turn, level), []).append(turn)
    return tables


def _partner(
    turn: Candidate, table: list[Candidate], fits: Fits | None, met_equal: set[int]
) -> Candidate | None:
    """The first that fits among the next few; taken out of the table. A turn that met its own
    words there is put down in `met_equal`."""
    for place in range(len(table) - 1, max(-1, len(table) - 1 - LOOKED_AT), -1):
        other = table[place]
        if other.reply == turn.reply:
            met_equal.add(id(turn))
        elif other is not turn and (fits is None or fits(turn, other)):
            return table.pop(place)
    return None


def by_outcome(
    chosen: Sequence[Candidate],
    all_turns: Sequence[Candidate],
    near: str,
    replies: TextFile,
    dropped: Dropped,
) -> Iterator[Plan]:
    """A winner's reply over a loser's, both legal, of games that no illegal reply ended."""
    good = [turn for turn in chosen if turn.won and turn.legal and not turn.forfeited]
    bad = [turn for turn in all_turns if turn.won is False and turn.legal and not turn.forfeited]

    def far(turn: Candidate, other: Candidate) -> bool:
        return not turn.legal_moves or legal_there(replies.get(other.reply_span), turn)

    for couple in telling(couples(good, bad, near, dropped, far), dropped):
        yield plan(couple, "outcome")


def telling(some: Iterable[Couple], dropped: Dropped) -> Iterator[Couple]:
    """Those that can show which reply is better: not two night actions before the first day, each
    against somebody of whom nothing was known."""
    for couple in some:
        if couple.chosen.unknown and couple.rejected.unknown:
            dropped["first night, targets unknown"] += 1
        else:
            yield couple


def by_legality(
    chosen: Sequence[Candidate],
    all_turns: Sequence[Candidate],
    near: str,
    replies: TextFile,
    dropped: Dropped,
) -> Iterator[Plan]:
    """A legal reply over an illegal one: first a turn's retry over its first reply."""
    good = [turn for turn in chosen if turn.legal]
    retried = [turn for turn in good if turn.first_failed is not None]
    for turn in retried:
        assert turn.first_failed is not None
        text = replies.get(turn.first_failed)
        key = (turn.first_prompt, turn.reply, hash_of(text))
        sizes = (turn.reply_characters, len(text))
        yield Plan(
            turn, turn.reply_span, turn.first_failed, "legality", "prompt", key, sizes, first=True
        )
    bad = [turn for turn in all_turns if not turn.legal]

    def far(turn: Candidate, other: Candidate) -> bool:
        return bool(turn.legal_moves) and not legal_there(replies.get(other.reply_span), turn)

    others = [turn for turn in good if turn.first_failed is None]
    for couple in couples(others, bad, near, dropped, far):
        yield plan(couple, "legality")


def by_oracle(chosen: Sequence[Candidate], seed: int) -> Iterator[Plan]:
    """A solver's decision over another legal one, drawn by seed and deal.

    An action is drawn as rejected about as often as it is a label. Drawn evenly, rare actions
    would nearly always be the rejected ones, and a model could prefer without reading the hand.
    """
    solved = [turn for turn in chosen if turn.oracle and turn.move is not None]
    labels = Counter(action_of(turn.move[1]) for turn in solved if turn.move)
    for turn in solved:
        if (text := _other(turn, labels, seed)) is not None:
            key = (turn.prompt, turn.reply, hash_of(text))
            sizes = (turn.reply_characters, len(text))
            yield Plan(turn, turn.reply_span, text, "oracle", "prompt", key, sizes)


def _other(turn: Candidate, labels: Counter[str], seed: int) -> str | None:
    """A legal decision that is not the label; None where there is none. Of the sizes of one action
    each is as likely as another."""
    assert turn.move is not None
    others = [text for text in turn.legal_moves if text != turn.move[1]]
    sizes = Counter(map(action_of, others))
    weights = [(labels[action_of(text)] + 1) / sizes[action_of(text)] for text in others]
    draw = random.Random(hash_of(f"{seed}|oracle|{turn.rank}"))
    return draw.choices(others, weights)[0] if others else None


def legal_there(text: str, turn: Candidate) -> bool:
    """Whether a reply would have been a legal move at that turn, whose legal moves are known."""
    if is_secretmafia(turn.game):
        legal = (*_targets(turn.legal_moves), naming(turn.seat))  # itself, listed or not
        return read_action(text, turn.phase, legal, wrapped=True).move is not None
    return read_reply(text, _moves(turn.legal_moves)).found is not Found.NONE


@lru_cache(maxsize=4096)
def _targets(moves: tuple[str, ...]) -> tuple[Move, ...]:
    return targets(f"Valid: {', '.join(moves)}")


@lru_cache(maxsize=4096)
def _moves(moves: tuple[str, ...]) -> tuple[Move, ...]:
    return tuple(Move(number, text) for number, text in enumerate(moves))


def plan(couple: Couple, by: str, *, swapped: bool = False) -> Plan:
    """The pair of two turns; `swapped`: the second reply is the better one."""
    at, other = couple.chosen, couple.rejected
    good, bad = (other, at) if swapped else (at, other)
    return Plan(
        at,
        good.reply_span,
        bad.reply_span,
        by,
        couple.near,
        (at.prompt, good.reply, bad.reply),
        (good.reply_characters, bad.reply_characters),
        other,
    )


def agreeing(keys: Sequence[Key], ranks: Sequence[tuple[int, int]], dropped: Dropped) -> set[int]:
    """Places of the pairs to keep: none whose contrary stands there too, and of those alike the
    first by rank."""
    all_keys = set(keys)
    met: set[Key] = set()
    kept: set[int] = set()
    for place in sorted(range(len(keys)), key=lambda place: ranks[place]):
        key = prompt, chosen, rejected = keys[place]
        if chosen == rejected:
            dropped["equal"] += 1
        elif (prompt, rejected, chosen) in all_keys:
            dropped["contradictory"] += 1
        elif key in met:
            dropped["duplicate"] += 1
        else:
            met.add(key)
            kept.add(place)
    return kept
