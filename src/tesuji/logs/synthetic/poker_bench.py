"""Decisions of made hands as rows of PokerBench's two tables."""

from decimal import Decimal

from tesuji.core.types import Move
from tesuji.games.poker.card_words import cards_text
from tesuji.games.poker.history import Amount
from tesuji.games.poker.situation import Situation, legal_moves
from tesuji.logs.synthetic.poker_play import BIG_BLIND
from tesuji.logs.synthetic.poker_players import in_words
from tesuji.players.poker.tight_aggressive import by_rule


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
