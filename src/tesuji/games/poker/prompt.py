"""A decision as a question in plain English, in the manner of PokerBench's instructions.

What counts most stands last, since a prompt that is too long loses its beginning. One looks so:

    You are playing 6-handed no-limit hold'em. Decide what to do.

    The small blind is 50 chips and the big blind is 100 chips. Everyone began with 10000 chips.
    The positions are SB, BB, UTG, HJ, CO and BTN. Your position is CO and you hold Ah Kh.
    Before the flop: UTG raises to 300, HJ folds.

    You hold Ah Kh: ace-king suited, connectors.
    The pot is 450 chips and 5 players are in the hand.
    You have 10000 chips left and need 300 to call.
    You can fold, call, raise to 500 or more or go all-in with 10000.
    Your decision:

"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite

from pokerkit import BoardDealing, Card, CheckingOrCalling, CompletionBettingOrRaisingTo, Folding

from tesuji.games.poker.card_words import HIGH, cards_text, chips
from tesuji.games.poker.history import Amount
from tesuji.games.poker.positions import one_of
from tesuji.games.poker.situation import Situation

BOARD_NAMES = {3: "flop", 4: "turn", 5: "river"}


def decision_prompt(at: Situation) -> str:
    """The question put to the player."""
    return "\n".join([*situation_lines(at), f"You can {_choices(at)}.", "Your decision:"])


def situation_lines(at: Situation) -> list[str]:
    """What the player to act knows, the choices left out."""
    lines = [*_begun(at, "Decide what to do."), "", *_now(at)]
    return [*lines, _price(at)]


def waiting_text(at: Situation, note: str) -> str:
    """What a player who is not to act knows; `note` says whose turn it is."""
    return "\n".join([*_begun(at, note), "", *_now(at)])


def menu_line(texts: Sequence[str]) -> str:
    """The moves to choose from as a sentence: "You can fold, call or go all-in." """
    *most, last = ["go all-in" if text == "all-in" else text for text in texts]
    return f"You can {', '.join(most)} or {last}." if most else f"You can {last}."


def _begun(at: Situation, task: str) -> list[str]:
    return [
        f"You are playing {len(at.names)}-handed {at.game}. {task}",
        "",
        f"{_stakes(at)} {_stacks(at)}",
        f"The positions are {one_of(at.names)}. Your position is {at.names[at.seat]} "
        f"and you hold {cards_text(at.hole)}.",
        *_face_up(at),
        *_story(at),
    ]


def _now(at: Situation) -> list[str]:
    return [
        holding(at.hole, at.hand),
        f"The pot is {chips(at.pot)} chips and {at.players_left} players are in the hand.",
    ]


def _stakes(at: Situation) -> str:
    """Blinds and antes; straddles are named by who posted them."""
    posted = {seat: blind for seat, blind in enumerate(at.blinds) if blind > 0}
    parts = []
    ordinary = sorted(posted.values())
    if len(ordinary) == 2:
        parts = [
            f"The small blind is {chips(ordinary[0])} chips and the big blind is "
            f"{chips(ordinary[1])} chips."
        ]
    elif posted:
        who = [f"{at.names[seat]} {chips(blind)}" for seat, blind in posted.items()]
        parts = [f"Blinds and straddles: {', '.join(who)} chips."]
    if any(at.antes):
        parts.append(_antes(at.antes, at.names))
    return " ".join(parts) or "There are no blinds."


def _antes(antes: Sequence[Amount], names: Sequence[str]) -> str:
    if len(set(antes)) == 1:
        return f"The ante is {chips(antes[0])} chips."
    who = [f"{name} {chips(ante)}" for name, ante in zip(names, antes, strict=True) if ante]
    return f"Antes: {', '.join(who)} chips."


def _stacks(at: Situation) -> str:
    if not all(isfinite(stack) for stack in at.stacks):
        return "The stacks are not known."
    if len(set(at.stacks)) == 1:
        return f"Everyone began with {chips(at.stacks[0])} chips."
    each = zip(at.names, at.stacks, strict=True)
    return f"Stacks at the start: {', '.join(f'{name} {chips(stack)}' for name, stack in each)}."


def holding(hole: Sequence[Card], hand: str) -> str:
    """The player's cards, and their class with the board where there is one."""
    return f"You hold {cards_text(hole)}{f': {hand}' if hand else ''}."


def _face_up(at: Situation) -> Iterator[str]:
    for seat, cards in at.face_up:
        yield f"{at.names[seat]} shows {cards_text(cards)}."


def _story(at: Situation) -> Iterator[str]:
    """One line a round: "The turn is 8d: BB bets 500." """
    dealt = 0
    for number, street in enumerate(at.streets):
        dealt += len(street.board)
        name = BOARD_NAMES.get(dealt, "board")
        head = (
            f"The {name} is {cards_text(street.board)}" if street.board else f"Round {number + 1}"
        )
        if number == 0:
            head = "So far" if at.phase.startswith("street") else "Before the flop"
        yield f"{head}: {', '.join(street.done) or 'nobody has acted yet'}."


def _price(at: Situation) -> str:
    price = f"need {chips(at.to_call)} to call" if at.to_call else "nothing to call"
    if not isfinite(at.stack):
        return f"You {price}." if at.to_call else f"There is {price}."
    left = f"You have {chips(at.stack)} chips left"
    if isfinite(at.effective) and at.effective < at.stack:
        left += f", of which {chips(at.effective)} are at stake,"
    return f"{left} and {price}."


def _choices(at: Situation) -> str:
    if at.bring_in is not None:
        options = [f"bring in {chips(at.bring_in)}"]
    else:
        options = ["fold", "call"] if at.to_call else ["check"]
    *most, last = [*options, *_bets(at)]
    return f"{', '.join(most)} or {last}" if most else last


def _bets(at: Situation) -> list[str]:
    """The sizes there are: "raise to between 500 and 9999", "go all-in"."""
    if at.least is None or at.most is None:
        return []
    verb = "complete to" if at.bring_in is not None else "raise to" if at.facing_bet else "bet"
    if at.least == at.most:
        return ["go all-in" if at.all_in else f"{verb} {chips(at.most)}"]
    if not isfinite(at.most):
        return [f"{verb} {chips(at.least)} or more"]
    if not at.all_in:
        return [f"{verb} between {chips(at.least)} and {chips(at.most)}"]
    return [f"{verb} {chips(at.least)} or more", f"go all-in with {chips(at.stack)}"]


@dataclass
class Betting:
    """The betting so far in letters."""

    letters: list[str] = field(default_factory=list)

    def read(self, operation: object) -> None:
        """Take in one of pokerkit's operations."""
        match operation:
            case BoardDealing():
                self.letters.append("/")
            case Folding():
                self.letters.append("f")
            case CheckingOrCalling(amount=amount):
                self.letters.append("c" if amount else "k")
            case CompletionBettingOrRaisingTo(amount=amount):
                self.letters.append(f"r{chips(amount)}")

    def __str__(self) -> str:
        return "".join(self.letters)


def brief(at: Situation, betting: Betting) -> str:
    """The two lines."""
    hole = sorted(at.hole, key=lambda card: (-HIGH[card.rank.value], card.suit.value))
    parts = ["".join(map(repr, hole)), "".join(map(repr, at.board)), _class(at)]
    cards = " ".join(filter(None, parts))
    money = f"p{chips(at.pot)} c{chips(at.to_call)} s{chips(at.stack)}"
    return f"{cards}\n{betting} {money}".replace("\n ", "\n")


def _class(at: Situation) -> str:
    """Before the flop what the two cards are together, then the made hand without its ranks."""
    if at.board:
        return at.hand.partition(",")[0]
    if len(at.hole) != 2:
        return ""
    first, second = at.hole
    if first.rank == second.rank:
        return "pair"
    return "suited" if first.suit == second.suit else "offsuit"
