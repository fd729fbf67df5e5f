"""The rules in words: short true texts for well-known games, for the rest what the facts say.

The texts (`rulebook.yaml`) describe OpenSpiel's variants. `{names}` in them are the game's options.
"""

import itertools
from typing import Any

from tesuji.core.files import read_beside
from tesuji.core.types import Move
from tesuji.games.base import GameInfo
from tesuji.games.openspiel.options import Options, parameters, specification


def rules_of(
    name: str,
    inner: str,
    options: Options,
    info: GameInfo,
    spiel: Any,
    legal: tuple[Move, ...],
) -> str:
    """The rules of a game, the payoffs of a small one-shot game, and what a move looks like.

    `inner` is the game inside a transformation such as `misere` (else the same as `name`),
    `legal` the moves of some position, from which the example is taken.
    """
    parts = [_text(name, inner, options, info), *_payoffs(info, spiel), _notation(legal)]
    return "\n".join(part for part in parts if part)


def _text(name: str, inner: str, options: Options, info: GameInfo) -> str:
    given = {**specification(name), **parameters(name, options)}
    book = read_beside(__file__, "rulebook.yaml")
    rules, changes = book["rules"], book["changes"]
    change = changes.get(name, "").format(**given)
    nested = given.get("game")
    inside = {**specification(inner), **nested} if isinstance(nested, dict) else given
    if inner not in rules or (inner != name and name not in changes):
        words = _generated(info)
    else:
        words = f"{info.title}. {rules[inner].format(**inside)}"
    return f"{words} {change}".strip()


def _generated(info: GameInfo) -> str:
    """What can be said of any game from its facts."""
    seats = "one player" if info.seats[1] == 1 else f"{info.seats[1]} players"
    turns = "who choose at the same time" if info.simultaneous else "who take turns"
    hidden = "nothing is hidden" if info.information == "perfect" else "some things are hidden"
    chance = "chance plays a part" if info.chance else "there is no chance"
    first = f"{info.title}: {seats}" + (f" {turns}" if info.seats[1] > 1 else "")
    crowd = "The crowd around it moves at random. " if info.name.startswith("mfg_") else ""
    return f"{first}; {hidden}, {chance}. {crowd}{_stakes(info)}".strip()


def _stakes(info: GameInfo) -> str:
    parts = []
    if info.zero_sum and info.seats[1] > 1:
        parts.append("What one side wins the other loses.")
    if abs(info.min_utility) < float("inf") and abs(info.max_utility) < float("inf"):
        parts.append(f"Returns lie between {info.min_utility:g} and {info.max_utility:g}.")
    if info.max_moves:
        parts.append(f"At most {info.max_moves} move{'s' if info.max_moves > 1 else ''}.")
    return " ".join(parts)


def _payoffs(info: GameInfo, spiel: Any) -> list[str]:
    """One line for each combination of choices, where there are few and no chance."""
    if not info.simultaneous or info.chance or info.max_moves != 1:
        return []
    start = spiel.new_initial_state()
    choices = [start.legal_actions(seat) for seat in range(info.seats[1])]
    combinations = list(itertools.islice(itertools.product(*choices), 65))
    if len(combinations) > 64:
        return []
    lines = []
    for joint in combinations:
        after = start.clone()
        after.apply_actions(list(joint))
        chosen = ", ".join(
            start.action_to_string(seat, action) for seat, action in enumerate(joint)
        )
        lines.append(f"({chosen}): " + ", ".join(f"{value:g}" for value in after.returns()))
    return ["Returns for each choice of all players:", *lines]


def _notation(legal: tuple[Move, ...]) -> str:
    """An example of a move, from the middle of the legal ones."""
    if not legal:
        return ""
    example = legal[len(legal) // 2].text
    if "\n" in example or len(example) > 80:
        return ""
    return f"A move looks like `{example}`."
