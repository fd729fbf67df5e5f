"""The faults that real hand histories have, planted one by one into made hands."""

from collections.abc import Callable, Collection
from dataclasses import replace

from pokerkit import HandHistory

from tesuji.logs.synthetic.poker_play import MadeHand
from tesuji.logs.synthetic.poker_room import pokerstars_text

BETTING = ("f", "cc", "cbr")


def _betting(history: HandHistory) -> list[int]:
    """Where in the history the checks, calls, folds and bets stand."""
    split = [action.split() for action in history.actions]
    return [place for place, words in enumerate(split) if len(words) > 1 and words[1] in BETTING]


def shown_seats(history: HandHistory) -> set[int]:
    """The seats that showed their cards at the end."""
    words = [action.split() for action in history.actions]
    return {int(word[0][1:]) - 1 for word in words if len(word) == 3 and word[1] == "sm"}


def hidden(made: MadeHand) -> HandHistory:
    """Hole cards unknown but for those shown at the end, as in public sets of watched tables."""
    actions = [
        f"{action[: action.rindex(' ')]} ????" if action.startswith("d dh") else action
        for action in made.history.actions
    ]
    return replace(made.history, actions=actions)


def unknown_decisions(made: MadeHand, known: Collection[int] = ()) -> int:
    """How many decisions were made with cards never shown, of seats other than `known`."""
    seats = shown_seats(made.history) | set(known)
    return sum(at.seat not in seats for at in made.situations)


def missing_action(made: MadeHand) -> HandHistory | None:
    """The first decision left out; None for hands with a single one."""
    places = _betting(made.history)
    if len(places) < 2:
        return None
    return _without(made.history, places[0], places[0] + 1)


def illegal_action(made: MadeHand) -> HandHistory | None:
    """The first bet or raise made smaller than allowed; None where there is none."""
    for place in _betting(made.history):
        who, what, *amount = made.history.actions[place].split()
        if what == "cbr" and amount:
            actions = list(made.history.actions)
            actions[place] = f"{who} cbr 1"
            return replace(made.history, actions=actions)
    return None


def unfinished(made: MadeHand) -> HandHistory | None:
    """Broken off after the second decision; None for hands with fewer than three."""
    places = _betting(made.history)
    if len(places) < 3:
        return None
    return _without(made.history, places[1] + 1, len(made.history.actions))


def _without(history: HandHistory, start: int, end: int) -> HandHistory:
    return replace(history, actions=[*history.actions[:start], *history.actions[end:]])


def cut_text(made: MadeHand) -> str:
    """The file torn in the middle of its list of actions."""
    text = made.history.dumps()
    return text[: text.index("actions = ") + 20]


def flop_of(made: MadeHand, hero: int) -> tuple[str, int] | None:
    """A PokerStars text torn off in the line of the flop, and how many decisions in it were made
    with unknown cards; None where there was no flop."""
    text, flop, _ = pokerstars_text(made, hero).partition("*** FLOP")
    before = [at for at in made.situations if at.phase == "preflop"]
    return (f"{text}{flop}\n", sum(at.seat != hero for at in before)) if flop else None


# name → the history with the fault in it, None where the hand does not lend itself to it
HISTORY_TRAPS: dict[str, Callable[[MadeHand], HandHistory | None]] = {
    "missing_action": missing_action,
    "illegal_action": illegal_action,
    "unfinished": unfinished,
}
