"""What the TextArena adapter costs a step, beside the library itself; and 200 matches at once.

    python benchmarks/textarena_overhead.py [seconds per environment]

The library's loop (make, reset, get_observation, step) and ours (start, observe, play) take turns
in one process, on the same seeds with the same replies. Printed: microseconds a step of both,
what ours costs more, and that as a share of the library's own cost (the aim: below 1; below 0
where ours is quicker, because a growing transcript is not written anew at every turn).
"""

import contextlib
import io
import random
import resource
import sys
import time
from collections.abc import Callable

from tesuji.core.types import Move, Task
from tesuji.episodes.arena import play_matches
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.players.registry import make_player
from tesuji.recipe.schema.sections import PlayerSection

GAMES = (
    "SecretMafia-v0",
    "Nim-v0",
    "ConnectFour-v0-train",
    "PigDice-v0",
    "LiarsDice-v0",
    "ThreePlayerIPD-v0",
    "Minesweeper-v0",
)
SEEDS = 12
LONGEST = 200  # replies of a match that are recorded
MATCHES = 200


def record(game: Game, seed: int) -> list[str]:
    """What is said in one match, so that both loops say the same."""
    name = "mafia-random" if game.roles else "random"
    player = make_player(PlayerSection(player=name), game=game)
    task = Task(game.name, seed, (name,) * game.num_players, game.options)
    (episode,) = play_matches([task], game=game, players={name: player})
    return [turn.played.text for turn in episode.turns[:LONGEST] if turn.played is not None]


def bare_match(name: str, players: int, seed: int, replies: list[str]) -> int:
    """The library alone."""
    import textarena

    env = textarena.make(name)
    env.reset(num_players=players, seed=seed)
    for text in replies:
        env.get_observation()
        env.step(action=text)
    return len(replies)


def adapter_match(game: Game, seed: int, replies: list[str]) -> int:
    """The same through `Game` and `Match`."""
    match = game.start(seed)
    for text in replies:
        seat = match.to_act[0]
        match.observe(seat)
        match.play(seat, Move(-1, text))
    return len(replies)


def side_by_side(loops: list[Callable[[], int]], seconds: float) -> list[float]:
    """Microseconds a step of each loop: the best of many short stretches, taken in turns."""
    best = [float("inf")] * len(loops)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for place, loop in enumerate(loops):
            began = time.perf_counter()
            steps = loop()
            best[place] = min(best[place], (time.perf_counter() - began) / steps * 1e6)
    return best


def measure(name: str, seconds: float) -> float:
    """Print one environment's line; returns the overhead as a share of the library's cost."""
    game = load_game(name)
    matches = [(seed, record(game, seed)) for seed in range(SEEDS)]

    def bare() -> int:
        return sum(bare_match(name, game.num_players, seed, replies) for seed, replies in matches)

    def ours() -> int:
        return sum(adapter_match(game, seed, replies) for seed, replies in matches)

    with contextlib.redirect_stdout(io.StringIO()):  # some environments print as they are made
        state = random.getstate()
        library, adapter = side_by_side([bare, ours], seconds)
        random.setstate(state)
    share = (adapter - library) / library
    print(
        f"{name:24} library {library:7.1f} us/step  ours {adapter:7.1f}  "
        f"overhead {adapter - library:+7.1f}  ratio {share:+.2f}"
    )
    return share


def many_matches() -> None:
    """200 SecretMafia matches under way at once, all seats scripted: time and memory."""
    game = load_game("SecretMafia-v0")
    player = make_player(PlayerSection(player="mafia-careful"), game=game)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, turns = time.perf_counter(), 0
    tasks = [Task(game.name, seed, ("careful",) * 6, game.options) for seed in range(MATCHES)]
    players = {"careful": player}
    for episode in play_matches(tasks, game=game, players=players, concurrent=MATCHES):
        turns += len(episode.turns)
    seconds = time.perf_counter() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{MATCHES} SecretMafia matches at once: {seconds:.1f} s, {turns / seconds:,.0f} turns/s, "
        f"peak memory +{grown:.0f} MB"
    )


def main(seconds: float) -> None:
    """Measure and print."""
    many_matches()
    shares = [measure(name, seconds) for name in GAMES]
    print(f"largest overhead: {max(shares):+.2f} of the library's own cost")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)
