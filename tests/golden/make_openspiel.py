"""Play the ten golden episodes of OpenSpiel anew (only when the library's version changes).

python tests/golden/make_openspiel.py
"""

from pathlib import Path

from tesuji.core.types import Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.store import write_episodes
from tesuji.games.catalogue import load_game
from tesuji.players.basic.random import RandomPlayer

TABLES = (
    ("tic_tac_toe", {}),
    ("connect_four", {}),
    ("kuhn_poker", {"players": 3}),
    ("leduc_poker", {}),
    ("liars_dice", {}),
    ("goofspiel", {"num_cards": 5}),
    ("matrix_pd", {}),
    ("2048", {}),
    ("hearts", {}),
    ("universal_poker", {}),
)


def main() -> None:
    episodes = []
    for seed, (name, options) in enumerate(TABLES):
        game = load_game(name, options)
        seats = ("random",) * game.num_players
        players = {"random": RandomPlayer()}
        episodes += play_matches([Task(name, seed, seats, options)], game=game, players=players)
    write_episodes(Path(__file__).parent / "openspiel.jsonl", episodes)


if __name__ == "__main__":
    main()
