"""A game shown to a person: facts in words, and a match played at random."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tesuji.core.types import Move
from tesuji.games.base import Game, GameInfo, Match
from tesuji.players.registry import players_of

FREE_TEXT = "Moves of this game are free text; no match is played here."


@dataclass(frozen=True, slots=True)
class Step:
    """One turn of a match: what the seat was shown, who it is, what it chose."""

    observation: str
    role: str
    move: str


@dataclass(frozen=True, slots=True)
class SampleMatch:
    """A match played at random. `ending` is the last position with everybody's returns, or why
    there is none."""

    steps: tuple[Step, ...]
    ending: str


def facts(game: Game) -> dict[str, str]:
    """What is to be known before one plays, by its name."""
    info = game.info
    anyone = () if "text" in info.traits else ("model", "human")
    return {
        "players": seats(info),
        "information": info.information,
        "chance": "yes" if info.chance else "no",
        "moves": "all at the same time" if info.simultaneous else "in turns",
        "longest, in moves": str(info.max_moves or "?"),
        "returns": f"{info.min_utility:g} to {info.max_utility:g}"
        + (", zero-sum" if info.zero_sum else ""),
        "can be played by": ", ".join((*players_of(info), *anyone)),
        "exact metrics": ", ".join(info.metrics) or "none",
        "comes from": info.family,
    }


def seats(info: GameInfo) -> str:
    """`2`, or `2-10`."""
    fewest, most = info.seats
    return str(most) if fewest == most else f"{fewest}-{most}"


def random_match(game: Game, seed: int, most: int) -> SampleMatch:
    """At most `most` turns; none where moves are free text and the game knows none at random."""
    match = game.start(seed)
    steps = tuple(_steps(match, random.Random(seed), most))
    if not match.to_act:
        returns = match.returns()
        earned = ", ".join(f"{match.role(s)} {value:+g}" for s, value in enumerate(returns))
        return SampleMatch(steps, f"{match.render()}\nReturns: {earned}")
    if len(steps) == most:
        return SampleMatch(steps, f"... and so on: only the first {most} turns are shown.")
    return SampleMatch(steps, FREE_TEXT)


def _steps(match: Match, draw: random.Random, most: int) -> Iterator[Step]:
    for _ in range(most):
        move = _draw(match, draw) if match.to_act else None
        if move is None:
            return
        seat = match.to_act[0]
        step = Step(match.observe(seat), match.role(seat), move.text)
        match.play(seat, move)
        yield step


def _draw(match: Match, draw: random.Random) -> Move | None:
    seat = match.to_act[0]
    legal = match.legal_moves(seat)
    if legal is not None:
        return draw.choice(legal)
    reply = match.random_reply(seat, draw)
    return None if reply is None else Move(-1, reply)
