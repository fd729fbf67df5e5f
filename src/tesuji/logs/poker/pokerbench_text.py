"""PokerBench's tables in words: six players, blinds of 0.5 and 1, 100 chips each.

Their grammar, as read from the project's own converter:

    prev_line         UTG/2.0bb/BTN/call/SB/13.0bb/BB/allin      position, what it did, ...
    preflop_action    HJ/2.0bb/BB/call
    postflop_action   OOP_CHECK/IP_BET_5/dealcards/Jc/...        or a position for OOP and IP
    available_moves   ['call', 'fold', '13.0bb'], ['Check', 'Bet 24']
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pokerkit import Card, StandardHighHand

from tesuji.games.poker.card_words import cards_text, chips, made_hand, starting_hand
from tesuji.games.poker.prompt import holding

TABLE = 6
ORDER = ("SB", "BB", "UTG", "HJ", "CO", "BTN")  # who acts first after the flop
STREETS = ("flop", "turn", "river")
_BB = re.compile(r"^(?:(?:raise|bet)s?\s+(?:to\s+)?)?([\d.]+)\s*bb$", re.IGNORECASE)
_DEALT = re.compile(r"^dealcards$", re.IGNORECASE)
LONGEST = 5_000  # characters of one cell


def decision_text(value: str) -> str:
    """A move of the tables in the words of a reply: "13.0bb" is "raise 13", "Bet 24" "bet 24"."""
    text = " ".join(value.split())
    if size := _BB.match(text):
        return f"raise {_plain(size[1])}"
    text = text.lower().replace("all in", "all-in").replace("allin", "all-in")
    return re.sub(r"(?<!\d)\d+\.\d+", lambda number: _plain(number[0]), text)


def _plain(number: str) -> str:
    return chips(float(number))


def preflop_prompt(row: Mapping[str, Any]) -> str:
    """The question of a row of the table before the flop. Raises ValueError or KeyError."""
    hole = _cards(row["hero_holding"], 2)
    lines = [
        *_opening(_position(row["hero_pos"]), hole),
        f"Before the flop: {_sequence(_pairs(_cell(row, 'prev_line')))}.",
    ]
    return "\n".join([*lines, *_closing(row, holding(hole, starting_hand(hole)))])


def postflop_prompt(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """(question, position, street) of a row of the other table. Raises ValueError or KeyError.

    Cards of streets after the one decided on stand in the row, and are not read.
    """
    street = str(row["evaluation_at"]).strip().lower()
    known = STREETS[: STREETS.index(street) + 1]
    before = _cell(row, "preflop_action")
    seats = _relative(before)
    hero = seats.get(str(row["hero_position"]).strip().upper()) or _position(row["hero_position"])
    hole = _cards(row["holding"], 2)
    boards = [_cards(row[f"board_{name}"], 3 if name == "flop" else 1) for name in known]
    acted = list(_rounds(_cell(row, "postflop_action"), seats))
    if len(acted) > len(known):
        raise ValueError(f"more rounds were played than the {street} has seen")
    lines = [*_opening(hero, hole), f"Before the flop: {_sequence(_pairs(before))}."]
    for number, (name, board) in enumerate(zip(known, boards, strict=True)):
        done = acted[number] if number < len(acted) else []
        lines.append(f"The {name} is {cards_text(board)}: {_sequence(done)}.")
    best = StandardHighHand.from_game(hole, [card for board in boards for card in board])
    return "\n".join([*lines, *_closing(row, holding(hole, made_hand(best)))]), hero, street


def _opening(hero: str, hole: Sequence[Card]) -> list[str]:
    return [
        f"You are playing {TABLE}-handed no-limit hold'em. Decide what to do.",
        "",
        "The small blind is 0.5 chips and the big blind is 1 chips. Everyone began with 100 chips.",
        f"The positions are SB, BB, UTG, HJ, CO and BTN. Your position is {hero} "
        f"and you hold {cards_text(hole)}.",
    ]


def _closing(row: Mapping[str, Any], holds: str) -> list[str]:
    pot = chips(float(row["pot_size"]))
    return [
        "Players who are not named have folded or are still to act.",
        "",
        holds,
        f"The pot is {pot} chips.",
        "Your decision:",
    ]


def _cell(row: Mapping[str, Any], name: str) -> str:
    """The cell's text; an empty one is "", whether it is missing, None or NaN."""
    value = row[name]
    if value is None or value != value:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST:
        raise ValueError(f"{name} is not a line of actions")
    return value.strip()


def _position(value: Any) -> str:
    name = str(value).strip().upper()
    if name not in ORDER:
        raise ValueError(f"no such position: {name[:20]!r}")
    return name


def _cards(value: Any, count: int) -> tuple[Card, ...]:
    cards = tuple(Card.parse(str(value).replace("10", "T")))
    if len(cards) != count or not all(cards) or len(set(cards)) != count:
        raise ValueError(f"{str(value)[:20]!r} is not {count} cards")
    return cards


def _pairs(line: str) -> list[str]:
    """ "UTG/2.0bb/BTN/call" as ["UTG raises to 2", "BTN calls"]."""
    parts = [part for part in line.split("/") if part]
    if len(parts) % 2:
        raise ValueError(f"a position without an action in {line[:80]!r}")
    return [
        f"{_position(who)} {_did(what)}" for who, what in zip(parts[::2], parts[1::2], strict=True)
    ]


def _relative(line: str) -> dict[str, str]:
    """Which positions "OOP" and "IP" are: of those who saw the flop, the first and the last."""
    parts = [part for part in line.split("/") if part]
    last = dict(zip(parts[::2], parts[1::2], strict=False))
    stayed = [name for name in ORDER if name in last and last[name].lower() != "fold"]
    return {"OOP": stayed[0], "IP": stayed[-1]} if len(stayed) == 2 else {}


def _rounds(line: str, seats: Mapping[str, str]) -> Iterator[list[str]]:
    """The actions of each round after the flop; "dealcards/Jc" opens the next one."""
    done: list[str] = []
    parts = iter(part for part in line.split("/") if part)
    for part in parts:
        if _DEALT.match(part):
            next(parts, None)
            yield done
            done = []
            continue
        who, _, what = part.partition("_")
        done.append(f"{seats.get(who.upper()) or _position(who)} {_did(what.replace('_', ' '))}")
    yield done


def _did(what: str) -> str:
    text = decision_text(what)
    verb, _, size = text.partition(" ")
    if verb in ("fold", "check", "call"):
        return f"{verb}s"
    if verb == "all-in":
        return "goes all-in"
    if verb not in ("bet", "raise") or not re.fullmatch(r"[\d.]+", size):
        raise ValueError(f"no such action: {what[:30]!r}")
    return f"bets {_plain(size)}" if verb == "bet" else f"raises to {_plain(size)}"


def _sequence(done: list[str]) -> str:
    return ", ".join(done) or "nobody has acted yet"
