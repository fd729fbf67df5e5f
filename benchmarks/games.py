"""What the game adapter costs per step, against bare pyspiel that renders the same strings.

    python benchmarks/games.py [seconds per measurement]

Each step asks for the board, the legal moves and their notation, and plays a random one. The peer
is pyspiel called directly. Prints microseconds a step and the ratio, figures last.
"""

import random
import sys
import time
from collections.abc import Callable

import pyspiel

from tesuji.games.catalogue import load_game
from tesuji.games.openspiel.game import OpenSpielGame

GAMES = ("tic_tac_toe", "connect_four", "leduc_poker")


def bare_match(spiel: pyspiel.Game, draw: random.Random, strings: str) -> int:
    """One random match on pyspiel alone; returns how many decisions it had."""
    state, steps = spiel.new_initial_state(), 0
    while (seat := state.current_player()) != pyspiel.PlayerId.TERMINAL:
        if seat == pyspiel.PlayerId.CHANCE:
            actions, weights = zip(*state.chance_outcomes(), strict=True)
            state.apply_action(draw.choices(actions, weights)[0])
            continue
        getattr(state, strings)(seat)
        legal = state.legal_actions(seat)
        _ = [state.action_to_string(seat, action) for action in legal]
        state.apply_action(legal[int(draw.random() * len(legal))])
        steps += 1
    return steps


def adapter_match(game: OpenSpielGame, draw: random.Random, seed: int) -> int:
    """The same through `Game` and `Match`."""
    match, steps = game.start(seed), 0
    while match.to_act:
        seat = match.to_act[0]
        match.observe(seat)
        legal = match.legal_moves(seat)
        match.play(seat, legal[int(draw.random() * len(legal))])
        steps += 1
    return steps


def microseconds_a_step(play: Callable[[int], int], seconds: float) -> float:
    """The best of five stretches, since other work on the machine only ever slows one down."""
    best = float("inf")
    for stretch in range(5):
        steps, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds / 5:
            steps += play(stretch)
        best = min(best, (time.perf_counter() - began) / steps)
    return best * 1e6


def main(seconds: float) -> None:
    """Measure and print."""
    figures = []
    for name in GAMES:
        game = load_game(name)
        assert isinstance(game, OpenSpielGame)
        spiel, draw = game.spiel, random.Random(1)
        strings = "observation_string" if name != "leduc_poker" else "information_state_string"

        def bare(
            _: int, spiel: pyspiel.Game = spiel, draw: random.Random = draw, kind: str = strings
        ) -> int:
            return bare_match(spiel, draw, kind)

        def adapter(seed: int, game: OpenSpielGame = game, draw: random.Random = draw) -> int:
            return adapter_match(game, draw, seed)

        peer = microseconds_a_step(bare, seconds)
        ours = microseconds_a_step(adapter, seconds)
        print(f"{name}: bare pyspiel {peer:.2f} us a step, {1e6 / peer:,.0f} steps a second")
        figures += [
            f"{name}_peer_us_per_step: {peer:.2f}",
            f"{name}_adapter_us_per_step: {ours:.2f}",
            f"{name}_adapter_ratio: {ours / peer:.2f}",
        ]
    print("\n".join(figures))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
