"""PokerBench rows: one decision each, with the decision a solver gave.

Three shapes: JSON `{instruction, output}`, and the two CSV tables from which that JSON was made,
of decisions before the flop and after it. From a table row the question is written here, with the
board only as far as the decision knows it. The order of the table's bets is told as it stands;
players it does not name have folded or are still to act.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tesuji.core.types import Ending, Episode, Move
from tesuji.logs.base import Importer, Record, Refused
from tesuji.logs.poker.hand_to_episode import GAME, decision_turn, digest, refusing
from tesuji.logs.poker.pokerbench_text import TABLE, decision_text, postflop_prompt, preflop_prompt
from tesuji.players.poker.read_reply import read_decision

PREFLOP = frozenset({"prev_line", "hero_pos", "hero_holding", "correct_decision"})
POSTFLOP = frozenset({"preflop_action", "board_flop", "hero_position", "holding"})
# Fields of chats, preferences and labelled replies: a row that has one holds more than a decision.
OF_CHATS = ("input", "system", "history", "tools", "chosen", "rejected", "label", "kto_tag")
_POKER = re.compile(r"\bhold'?e?m\b|\bpoker\b", re.IGNORECASE)
_ASKED = re.compile(r"\byour (?:holding|hole cards|position)\b|\byou hold\b", re.IGNORECASE)
_CHOICES = re.compile(r"^You can (.+)\.\nYour decision:$", re.MULTILINE)
_SAME_DEAL = (
    re.compile(r"[Yy]our position is (\w+)"),
    re.compile(r"(?:holding is|[Yy]ou hold) \[?([^\].:]+)"),
    re.compile(r"[Tt]he flop (?:comes|is) ([^.:]+?)(?:, then|[.:])"),
    re.compile(r"Before the flop[:,] ([^.]*(?:\.\d[^.]*)*)"),
)


class PokerBench(Importer):
    """Rows of PokerBench: https://huggingface.co/datasets/RZ412/PokerBench."""

    kind: ClassVar[str] = "pokerbench"
    title: ClassVar[str] = "PokerBench (JSON of instruction and output, both CSV tables)"

    def fits(self, value: Any) -> bool:
        """Whether it is one of the three shapes; an instruction must be about a poker hand."""
        if not isinstance(value, Mapping):
            return False
        if value.keys() >= PREFLOP or value.keys() >= POSTFLOP:
            return True
        text = value.get("instruction")
        return (
            isinstance(text, str)
            and "output" in value
            and not any(value.get(name) is not None for name in OF_CHATS if value.get(name) != "")
            and bool(_POKER.search(text[:2000]) and _ASKED.search(text[:5000]))
        )

    def read(self, record: Record) -> Episode:
        """The decision. Raises Refused: `not_a_decision`, `bad_row`."""
        row = record.value
        if not self.fits(row):
            raise Refused("bad_row", "it has none of the three shapes of PokerBench")
        if row.keys() >= PREFLOP:
            return _episode(*_preflop(row))
        if row.keys() >= POSTFLOP:
            return _episode(*_postflop(row))
        return _episode(*_instruction(row))


_Read = tuple[str, str, str, str, Sequence[str], str]  # prompt, decision, role, phase, moves, deal


def _instruction(row: Mapping[str, Any]) -> _Read:
    text = row["instruction"].strip()
    matches = [pattern.search(text) for pattern in _SAME_DEAL]
    deal = repr([match and match[1] for match in matches]) if matches[0] and matches[1] else text
    moves = _offered(text) or _implied(row["output"])
    street = re.findall(r"[Tt]he (flop|turn|river) (?:comes|is)\b", text)
    decision = _decision(row["output"])
    role = matches[0][1] if matches[0] else ""
    return text, decision, role, street[-1] if street else "preflop", moves, deal


def _offered(text: str) -> list[str]:
    """The moves that a question in our own words ends with."""
    choices = _CHOICES.search(text)
    if not choices:
        return []
    parts = re.split(r", | or ", choices[1].replace(" or more", ""))
    ranged = (re.sub(r" between (\S+) and \S+", r" \1", part) for part in parts)
    return ["all-in" if part.startswith("go all-in") else part for part in ranged]


def _implied(output: Any) -> list[str]:
    """The moves that the rules allow where this decision is: who can fold can call, for one."""
    decision = read_decision(output) if isinstance(output, str) else None
    if decision is None or decision.action == "all-in":
        return []
    named = decision_text(output)
    if decision.action in ("check", "bet"):
        return list(dict.fromkeys(["check", named]))
    if named.startswith("raise") and not decision.amount:
        return []
    return list(dict.fromkeys(["fold", "call", named]))


def _preflop(row: Mapping[str, Any]) -> _Read:
    with refusing("bad_row"):
        prompt = preflop_prompt(row)
        deal = repr([str(row[name]) for name in ("hero_pos", "hero_holding", "prev_line")])
        role = str(row["hero_pos"])
    return prompt, _decision(row["correct_decision"]), role, "preflop", _moves(row), deal


def _postflop(row: Mapping[str, Any]) -> _Read:
    with refusing("bad_row"):
        prompt, role, phase = postflop_prompt(row)
        names = ("hero_position", "holding", "preflop_action", "board_flop")
        deal = repr([str(row[name]) for name in names])
    return prompt, _decision(row.get("correct_decision")), role, phase, _moves(row), deal


def _decision(value: Any) -> str:
    text = decision_text(value) if isinstance(value, str) else ""
    if not text or read_decision(text) is None:
        cell = f"{value!r}"[:80]
        raise Refused("not_a_decision", f"{cell} names no decision, or several")
    return text


def _moves(row: Mapping[str, Any]) -> list[str]:
    """The moves there were, from a list or a text that is one; none where that cannot be read."""
    value = row.get("available_moves")
    if isinstance(value, str) and len(value) < 10_000:
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return []
    if not isinstance(value, list) or not all(isinstance(move, str) for move in value):
        return []
    return [decision_text(move) for move in value]


def _episode(
    prompt: str, reply: str, role: str, phase: str, moves: Sequence[str], deal: str
) -> Episode:
    legal = tuple(Move(number, text) for number, text in enumerate(dict.fromkeys(moves)))
    move = next((move for move in legal if move.text == reply), Move(-1, reply))
    return Episode(
        game=GAME,
        options={"variant": "NT", "players": TABLE},
        seed=0,
        players=("",),
        turns=(decision_turn(0, role, phase, prompt, move, legal),),
        returns=(float("nan"),),
        ending=Ending.FINISHED,
        provenance={
            "kind": PokerBench.kind,
            "match": f"deal-{digest(deal)}",
            "seat": 0,
            "outcome": "",
            "notes": [] if legal or not moves else ["moves_unread"],
            "roles": {"0": role} if role else {},
            "oracle": True,
        },
    )
