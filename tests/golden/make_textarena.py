"""Play the ten golden episodes of TextArena anew (only when the library's version changes).

python tests/golden/make_textarena.py
"""

from pathlib import Path

from tesuji.core.types import Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.store import write_episodes
from tesuji.games.catalogue import load_game
from tesuji.players.registry import make_player
from tesuji.recipe.schema.sections import PlayerSection

TABLES = (
    ("SecretMafia-v0", {}, ("mafia-careful",) * 6),
    ("SecretMafia-v0", {"num_players": 7, "fix_night_kills": True}, ("mafia-follower",) * 7),
    ("SecretMafia-v0", {"discussion_rounds": 1}, ("random",) * 6),
    ("Nim-v0", {}, ("random",) * 2),
    ("KuhnPoker-v0", {"max_rounds": 2}, ("random",) * 2),
    ("PigDice-v0-short", {"max_turns": 12}, ("random",) * 2),
    ("LiarsDice-v0-small", {"num_players": 3}, ("random",) * 3),
    ("TruthAndDeception-v0", {}, ("random",) * 2),
    ("ThreePlayerIPD-v0", {"num_rounds": 2}, ("random",) * 3),
    ("Minesweeper-v0-small", {"observations": "new"}, ("random",)),
)


def main() -> None:
    episodes = []
    for seed, (name, options, seats) in enumerate(TABLES):
        game = load_game(name, options)
        players = {
            seat: make_player(PlayerSection(player=seat), game=game)
            for seat in dict.fromkeys(seats)
        }
        episodes += play_matches([Task(name, seed, seats, options)], game=game, players=players)
    write_episodes(Path(__file__).parent / "textarena.jsonl", episodes)


if __name__ == "__main__":
    main()
