"""Made hands in other people's shapes: PokerStars' text and PokerBench's tables."""

from collections.abc import Iterator
from decimal import Decimal

from pokerkit import (
    BoardDealing,
    CheckingOrCalling,
    ChipsPulling,
    CompletionBettingOrRaisingTo,
    Folding,
    HoleCardsShowingOrMucking,
    Operation,
)

from tesuji.core.types import Move
from tesuji.games.poker.card_words import cards_text
from tesuji.games.poker.history import Amount
from tesuji.games.poker.situation import Situation, by_seat, legal_moves
from tesuji.logs.synthetic.poker_play import BIG_BLIND, BLINDS, MadeHand
from tesuji.logs.synthetic.poker_players import in_words
from tesuji.players.poker.tight_aggressive import by_rule

CENTS = 100  # a made chip is a cent
FIRST_HAND = 230_000_000_000


def money(amount: Amount) -> str:
    """Chips as dollars and cents: "$0.50"."""
    return f"${Decimal(amount) / CENTS:.2f}"


def pokerstars_text(made: MadeHand, hero: int) -> str:
    """The hand as PokerStars writes it, in the eyes of the player at `hero`."""
    return "\n".join([*_head(made, hero), *_play(made), *_end(made)]) + "\n\n\n"


def _head(made: MadeHand, hero: int) -> Iterator[str]:
    state, names = made.state, made.history.players or []
    small, big = (money(blind) for blind in BLINDS)
    number = FIRST_HAND + made.number
    played = "2024/01/01 12:00:00 ET"
    yield f"PokerStars Hand #{number}:  Hold'em No Limit ({small}/{big} USD) - {played}"
    yield f"Table 'Made' 6-max Seat #{len(names)} is the button"
    for seat, name in enumerate(names):
        yield f"Seat {seat + 1}: {name} ({money(state.starting_stacks[seat])} in chips)"
    order = (1, 0) if len(names) == 2 else (0, 1)
    yield f"{names[order[0]]}: posts small blind {small}"
    yield f"{names[order[1]]}: posts big blind {big}"
    held = next(at.hole for at in made.situations if at.seat == hero)
    yield "*** HOLE CARDS ***"
    yield f"Dealt to {names[hero]} [{cards_text(held)}]"


def _play(made: MadeHand) -> Iterator[str]:
    board: list[str] = []
    bets = dict(enumerate(by_seat(made.state, made.state.blinds_or_straddles)))
    showdown = False
    for operation in made.state.operations:
        if isinstance(operation, BoardDealing):
            bets.clear()
            yield _dealt(board, cards_text(operation.cards))
        elif isinstance(operation, HoleCardsShowingOrMucking) and not showdown:
            showdown = True
            yield "*** SHOW DOWN ***"
        if phrase := _phrase(operation, bets):
            yield f"{(made.history.players or [])[_seat(operation)]}{phrase}"


def _dealt(board: list[str], cards: str) -> str:
    street = ("FLOP", "TURN", "RIVER")[len(board)]
    before = f" [{' '.join(board)}]" if board else ""
    board.append(cards)
    return f"*** {street} ***{before} [{cards}]"


def _seat(operation: Operation) -> int:
    return int(getattr(operation, "player_index"))  # noqa: B009 - only those of a player are asked


def _phrase(operation: Operation, bets: dict[int, Amount]) -> str:
    """What stands after the player's name; "" for what the text does not tell."""
    top = max(bets.values(), default=0)
    match operation:
        case Folding():
            return ": folds"
        case CheckingOrCalling(player_index=seat, amount=amount):
            bets[seat] = bets.get(seat, 0) + amount
            return f": calls {money(amount)}" if amount else ": checks"
        case CompletionBettingOrRaisingTo(player_index=seat, amount=amount):
            bets[seat] = amount
            return (
                f": raises {money(amount - top)} to {money(amount)}"
                if top
                else (f": bets {money(amount)}")
            )
        case HoleCardsShowingOrMucking(hole_cards=cards):
            return f": shows [{cards_text(cards)}] (a hand)" if cards else ": mucks hand"
        case ChipsPulling(amount=amount):
            return f" collected {money(amount)} from pot"
    return ""


def _end(made: MadeHand) -> Iterator[str]:
    pulled = sum(op.amount for op in made.state.operations if isinstance(op, ChipsPulling))
    yield "*** SUMMARY ***"
    yield f"Total pot {money(pulled)} | Rake $0.00"


def bench_preflop(at: Situation) -> dict[str, str] | None:
    """The decision as a row of PokerBench's table before the flop, None for a later one."""
    if at.phase != "preflop":
        return None
    actions = [_line(text) for text in at.streets[0].done]
    return {
        "prev_line": "/".join(actions),
        "hero_pos": at.names[at.seat],
        "hero_holding": cards_text(at.hole).replace(" ", ""),
        "correct_decision": _bench_move(label_of(at)),
        "num_players": str(at.players_left),
        "num_bets": str(sum("raises" in text for text in at.streets[0].done)),
        "available_moves": repr([_bench_move(move.text) for move in legal_moves(at)]),
        "pot_size": _blinds(at.pot),
    }


def bench_postflop(at: Situation) -> dict[str, str] | None:
    """The decision as a row of the table after the flop; None before it."""
    if at.phase == "preflop":
        return None
    flop, turn, river = (*(cards_text(at.board[a:b]) for a, b in ((0, 3), (3, 4), (4, 5))),)
    rounds = [[_line(text, "_") for text in street.done] for street in at.streets[1:]]
    opened = [[], *(["dealcards", card] for card in (turn, river))]
    raised = [text.split()[0] for text in at.streets[0].done if "raises" in text]
    line = [part for head, done in zip(opened, rounds, strict=False) for part in (*head, *done)]
    return {
        "preflop_action": "/".join(_line(text) for text in at.streets[0].done),
        "board_flop": flop.replace(" ", ""),
        "board_turn": turn,
        "board_river": river,
        "aggressor_position": raised[-1] if raised else "",
        "postflop_action": "/".join(line),
        "evaluation_at": at.phase.title(),
        "available_moves": repr([_bench_move(move.text).title() for move in legal_moves(at)]),
        "pot_size": _blinds(at.pot),
        "hero_position": at.names[at.seat],
        "holding": cards_text(at.hole).replace(" ", ""),
        "correct_decision": _bench_move(label_of(at)).title(),
    }


def label_of(at: Situation) -> str:
    """The rule's decision in the words of a reply."""
    return in_words(at, by_rule(at))


def others(at: Situation, label: str) -> list[Move]:
    """The legal moves the rule did not choose."""
    return [move for move in legal_moves(at) if move.text != label]


def _blinds(amount: Amount) -> str:
    return str(float(amount) / BIG_BLIND)


def _line(done: str, between: str = "/") -> str:
    """ "BTN raises to 300" as "BTN/3.0bb", or after the flop as "BTN_RAISE_3.0"."""
    who, verb, *rest = done.split()
    if done.endswith("all-in"):
        what = "allin"
    elif verb in ("raises", "bets"):
        size = _blinds(Decimal(rest[-1]))
        what = f"{size}bb" if between == "/" else f"{verb[:-1]}_{size}"
    else:
        what = verb[:-1]
    return f"{who}{between}{what.upper() if between == '_' else what}"


def _bench_move(text: str) -> str:
    """ "raise to 300" as "raise 3.0"; the sizes of the tables are in big blinds."""
    verb, *rest = text.split()
    return f"{verb} {_blinds(Decimal(rest[-1]))}" if rest else text
