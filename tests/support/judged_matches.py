"""Matches that the arena really played, and what reward terms say of them."""

from collections.abc import Sequence

from tesuji.core.types import Episode, Sampled, Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.rewards.total import TurnRewards, make_terms
from tesuji.games.base import play_through
from tesuji.games.catalogue import load_game
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.basic.scripted import ScriptedPlayer
from tesuji.recipe.schema.play import RewardTerm

GAMES = {name: load_game(name, {}) for name in ("tic_tac_toe", "kuhn_poker")}


def game_of(episode: Episode):
    return GAMES[episode.game]


class Talker(Player):
    """Says these texts one after the other, as a model of ours would: with tokens."""

    name = "talker"

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        return [self._say(self.texts.pop(0)) for _ in requests]

    def _say(self, text: str) -> Reply:
        ids = tuple(text.encode())
        return Reply(text=text, tokens=Sampled((1, 2, 3), ids, (-0.5,) * len(ids)))


def play(
    *texts: str,
    game: str = "tic_tac_toe",
    seat: int = 0,
    other: Player | None = None,
    opening: int = 0,
    seed: int = 0,
    rules: TurnRules | None = None,
) -> Episode:
    """One match of a talker in `seat` against `other` (default: the first legal move)."""
    labels = ("talker", "other") if seat == 0 else ("other", "talker")
    players = {"talker": Talker(*texts), "other": other or ScriptedPlayer()}
    task = Task(game, seed, labels, opening=opening)
    [episode] = play_matches([task], game=GAMES[game], players=players, rules=rules)
    return episode


def random_matches(game: str, count: int, opening: int = 0) -> list[Episode]:
    tasks = [Task(game, seed, ("random", "random"), opening=opening) for seed in range(count)]
    players = {"random": RandomPlayer()}
    return list(play_matches(tasks, game=GAMES[game], players=players))


def judged(episode: Episode, seat: int = 0, **weights: float | dict) -> TurnRewards:
    sections = {
        name: RewardTerm.model_validate(term if isinstance(term, dict) else {"weight": term})
        for name, term in weights.items()
    }
    return make_terms(sections, game_of)(episode, seat)


def losses(episode: Episode, place: int) -> dict[int, float]:
    """What each move at this turn loses, by a solver that knows nothing of the term."""
    moves = [(turn.seat, turn.played) for turn in episode.turns[:place]]
    match = play_through(GAMES[episode.game].start(episode.seed), moves)

    def best(match, seat) -> float:
        if not match.to_act:
            return match.returns()[seat]
        values = [
            best(after, seat) for after in map(play_on(match), match.legal_moves(to_act(match)))
        ]
        return max(values) if to_act(match) == seat else min(values)

    seat = to_act(match)
    values = {m.id: best(play_on(match)(m), seat) for m in match.legal_moves(seat)}
    return {move: value - max(values.values()) for move, value in values.items()}


def to_act(match) -> int:
    return match.to_act[0]


def play_on(match):
    def after(move):
        copy = match.clone()
        copy.play(to_act(copy), move)
        return copy

    return after
