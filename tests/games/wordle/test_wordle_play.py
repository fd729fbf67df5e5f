"""Wordle played: the information player, rewards and how not to get them, data, judging, golden
episodes."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from places import GOLDEN

from tesuji.core.errors import GameError, RecipeError
from tesuji.core.types import Ending, Episode, Task
from tesuji.datasets.files import read_rows
from tesuji.datasets.from_positions.files import read_positions
from tesuji.datasets.from_positions.stage import make_data
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.rewards.total import make_terms
from tesuji.episodes.store import read_episodes
from tesuji.evaluation.evaluate import Subject, evaluate
from tesuji.games.catalogue import load_game
from tesuji.games.wordle.game import WordleMatch
from tesuji.games.wordle.words import marks
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.prompting.prompt import next_message
from tesuji.players.registry import make_player
from tesuji.players.search.oracle import oracle_moves
from tesuji.players.search.wordle_entropy import EntropyPlayer
from tesuji.recipe.schema.data import DataStage
from tesuji.recipe.schema.play import RewardTerm
from tesuji.recipe.schema.recipe import EvaluationSection, Recipe
from tesuji.recipe.schema.sections import PlayerSection, PromptSection

EPISODES_FILE = GOLDEN / "wordle.jsonl"
WORDS = {"words": 500, "split": "all"}
PAID = {
    "returns": RewardTerm(weight=0.5),
    "wordle_partial": RewardTerm(weight=1.0),
    "wordle_turns": RewardTerm(weight=1.0),
    "format": RewardTerm.model_validate({"weight": 0.2, "per": "match"}),
}


class Talker(Player):
    """Says these texts one after the other, then the last one again and again."""

    name = "talker"

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        return [Reply(text=self.texts.pop(0) if len(self.texts) > 1 else self.texts[0])]


def said(*texts: str, answer: str = "crane", name: str = "vf-wordle", **rules: str) -> Episode:
    """One match of a talker; the seed is the first that hides `answer`."""
    game = load_game(name, {"split": "all"})
    seed = next(s for s in range(100_000) if game.start(s).secret == answer)
    task = Task(name, seed, ("talker",), game.options)
    [episode] = play_matches(
        [task], game=game, players={"talker": Talker(*texts)}, rules=TurnRules(**rules)
    )
    return episode


def paid(episode: Episode, terms: dict[str, RewardTerm] = PAID) -> float:
    rewards = make_terms(terms, lambda e: load_game(e.game, e.options))
    return sum(rewards(episode, 0).total)


def tag(word: str) -> str:
    return f"<guess>[{word}]</guess>"


def many(player: Player, options: dict[str, object], matches: int = 100) -> list[Episode]:
    game = load_game("wordle", options)
    tasks = [Task("wordle", seed, ("one",), options) for seed in range(matches)]
    return list(play_matches(tasks, game=game, players={"one": player}))


@pytest.mark.parametrize("by", ["bits", "size"])
def test_the_information_player_solves_quickly(by: str) -> None:
    episodes = many(EntropyPlayer(by), WORDS)
    assert all(episode.returns == (1.0,) for episode in episodes)
    assert sum(len(e.turns) for e in episodes) / 100 < 3.2
    blind = many(RandomPlayer(), WORDS)
    assert sum(e.returns == (1.0,) for e in blind) < 10


def test_its_values_are_those_of_a_plain_count() -> None:
    game = load_game("wordle", {"words": 80, "length": 3, "split": "all"})
    match = game.start(0)
    match.play(0, game.moves[40])
    possible = [game.words[place] for place in match.possible()]

    def bits(guess: str) -> float:
        sizes = Counter(marks(guess, answer) for answer in possible).values()
        return -sum(n / len(possible) * math.log2(n / len(possible)) for n in sizes)

    request = MoveRequest(game, match, 0, "", match.legal_moves(0), 0)
    worth = EntropyPlayer().values(request)
    for place, word in enumerate(game.guesses):
        chance = (word in possible) / len(possible)
        assert worth[place] == pytest.approx(bits(word) + chance)
        sizes = Counter(marks(word, answer) for answer in possible).values()
        left = sum(n * n for n in sizes) / len(possible) - chance
        assert EntropyPlayer("size").values(request)[place] == pytest.approx(-left)
    [chosen] = oracle_moves(EntropyPlayer(), request)
    assert worth[chosen.id] == pytest.approx(max(worth.values()))


def test_as_a_reward_it_counts_what_was_given_away_and_never_sees_the_answer() -> None:
    terms = {"oracle": RewardTerm.model_validate({"weight": 1.0, "player": "entropy"})}
    rewards = make_terms(terms, lambda e: load_game(e.game, e.options))
    [best] = many(EntropyPlayer(), {**WORDS, "max_turns": 4}, 1)
    assert rewards(best, 0).total == pytest.approx((0.0,) * len(best.turns), abs=1e-9)
    [blind] = many(RandomPlayer(), {**WORDS, "max_turns": 4}, 1)
    assert all(loss < 0 for loss in rewards(blind, 0).total)
    options = {"words": 80, "length": 3, "split": "all", "max_turns": 1}
    lost = [rewards(episode, 0).total for episode in many(RandomPlayer(), options, 20)]
    assert set(lost) == {(0.0,)}  # without a hint any word is as good as the right one


def test_it_knows_no_more_than_the_seat_and_ends_with_what_may_be_right() -> None:
    game = load_game("wordle", {"words": 80, "length": 3, "split": "all", "max_turns": 2})
    player = EntropyPlayer()
    for answer in game.words:
        match = WordleMatch(game, answer)
        for _ in range(2):
            if match.to_act:
                request = MoveRequest(game, match, 0, "", match.legal_moves(0), 0)
                move = player.choose([request])[0].move
                fresh = EntropyPlayer().choose([request])[0].move
                assert move == fresh and move is not None
                assert match.left > 1 or move.id in match.possible()
                match.play(0, move)


def test_it_plays_hard_mode_and_nothing_else() -> None:
    episodes = many(EntropyPlayer(), {**WORDS, "hard_mode": True}, 40)
    assert all(e.ending is Ending.FINISHED and e.returns == (1.0,) for e in episodes)
    with pytest.raises(GameError, match="entropy cannot play tic_tac_toe"):
        make_player(PlayerSection(player="entropy"), game=load_game("tic_tac_toe", {}))
    with pytest.raises(RecipeError, match="no such measure"):
        EntropyPlayer("luck")


def test_what_a_match_pays() -> None:
    quick = said(tag("crane"))
    assert paid(quick) == pytest.approx(0.5 + 1.0 + 1 / 2 + 0.2)
    later = said(tag("slate"), tag("crane"))
    assert paid(later) == pytest.approx(0.5 + 1.0 + 1 / 3 + 0.2)
    lost = said(tag("trace"))  # XGGYG, six times
    assert paid(lost) == pytest.approx(-0.5 + (3 + 0.5) / 5 + 0.2)
    bits = {"wordle_bits": RewardTerm(weight=1.0)}
    assert 0 < paid(later, bits) <= paid(quick, bits) == pytest.approx(1.0)


def test_playing_on_does_not_pay() -> None:
    ways = [said(*[tag("slate")] * before, tag("crane")) for before in range(6)]
    sums = [paid(way) for way in ways]
    assert sums == sorted(sums, reverse=True) and len(set(sums)) == 6
    assert min(sums) > paid(said(tag("slate"))) + 1


ALL_AT_ONCE = " ".join(map(tag, load_game("vf-wordle", {}).words))
SHOWN = "\n".join(m["content"] for m in load_game("vf-wordle", {}).start(1).messages(0) or ())


TRICKS = {
    "empty": "",
    "blank": " \n",
    "no word": "<guess></guess>",
    "empty brackets": "<guess>[]</guess>",
    "dots": "<guess>[...]</guess>",
    "all answers": ALL_AT_ONCE,
    "prompt echo": SHOWN,
    "echo and all": SHOWN + ALL_AT_ONCE,
    "open thought": "<think>" + tag("crane"),
    "two in one": "<guess>[crane, slate]</guess>",
    "two tags": tag("crane") + tag("slate"),
    "giant": tag("crane") + "x" * 30_000,
    "many tags": "<guess>" * 3000,
}


@pytest.mark.parametrize("reply", TRICKS.values(), ids=TRICKS.keys())
def test_tricks_earn_nothing(reply: str) -> None:
    tricked = said(reply)
    assert tricked.ending is Ending.FORFEIT and paid(tricked) == pytest.approx(-0.5)
    opened = said(tag("trace"), reply)  # a good guess, then the trick: its letters are not paid
    assert opened.ending is Ending.FORFEIT and paid(opened) < -0.3
    put = said(reply, on_illegal="random")
    assert paid(put) <= 0.5  # what others did in its place earns no partial credit, no form


def test_repeated_tags_earn_less_than_one() -> None:
    once, thrice = said(tag("crane")), said(tag("crane") * 3)
    assert thrice.returns == (1.0,) and paid(thrice) == pytest.approx(paid(once) - 0.2)


def test_terms_are_for_wordle_and_form_is_per_turn_or_match() -> None:
    game = load_game("tic_tac_toe", {})
    tasks = [Task("tic_tac_toe", 0, ("random", "random"))]
    [episode] = play_matches(tasks, game=game, players={"random": RandomPlayer()})
    for name in ("wordle_partial", "wordle_turns", "wordle_bits"):
        with pytest.raises(RecipeError, match="knows wordle, not tic_tac_toe"):
            make_terms({name: RewardTerm(weight=1.0)}, lambda e: game)(episode, 0)
    with pytest.raises(RecipeError, match="turn or match"):
        make_terms({"format": RewardTerm.model_validate({"weight": 1, "per": "x"})}, lambda e: game)


def test_rows_are_taught_in_the_words_of_the_game(tmp_path: Path) -> None:
    options = {"words": 60, "length": 3, "tags": True}
    recipe = Recipe.model_validate(
        {
            "name": "rows",
            "game": {"name": "wordle", "options": options},
            "stages": {
                "data": {
                    "positions": "sampled",
                    "num_positions": 40,
                    "sampled_by": ["entropy", "random"],
                    "oracle": "entropy",
                    "held_out": 0.25,
                }
            },
        }
    )
    game, stage = load_game("wordle", options), recipe.stages["data"]
    assert isinstance(stage, DataStage)
    found = make_data(recipe, stage, game, tmp_path)
    assert (found["train_rows"], found["held_out_rows"]) == (30, 10)
    rows = list(read_rows(tmp_path / "train.jsonl"))
    assert all([m["role"] for m in row.prompt] == ["system", "user"] for row in rows)
    assert all(row.reply.startswith("<guess>[") and len(row.reply) == 20 for row in rows)
    asked = list(read_positions(tmp_path / "positions.jsonl", game))
    assert len(asked) == 40 and {split for _, split in asked} == {"trained", "held_out"}


def test_a_conversation_goes_on_with_the_last_of_the_games_own_messages() -> None:
    match = load_game("vf-wordle").start(1)
    told = {"observation": match.observe(0), "seat": 0, "role": "", "legal": match.legal_moves(0)}
    own = match.messages(0) or ()
    assert next_message(PromptSection(), own=own, **told) == own[-1]
    assert "1999 -> " in next_message(PromptSection(), **told)["content"]


def test_the_held_out_answers_are_what_is_judged() -> None:
    options = {"words": 60, "length": 3, "held_out": 0.25}
    game = load_game("wordle", options)
    section = EvaluationSection.model_validate(
        {"opponents": ["random", "entropy"], "episodes": 30, "options": {"split": "held_out"}}
    )
    seen: list[Episode] = []
    found = evaluate(
        Subject("now", "none", EntropyPlayer()),
        section,
        game=game,
        prompt=PromptSection(),
        questions=[],
        seed=1,
        record=seen.append,
    )
    kept = load_game("wordle", {**options, "split": "held_out"})
    answers = {kept.start(episode.seed).secret for episode in seen}
    assert answers <= set(kept.answers) and not answers & set(game.answers)
    [ours], [beside], [chance] = found.matches, found.beside, found.baseline
    assert (ours.opponent, beside.opponent) == ("alone", "entropy")
    assert ours.wins == beside.wins == 30 and chance.wins < 15 and chance.losses == 30 - chance.wins
    assert ours.turns == ours.turns_won == beside.turns and 2 < ours.turns < 5


def test_golden_episodes_are_played_again_to_the_letter() -> None:
    episodes = list(read_episodes(EPISODES_FILE))
    assert len(episodes) == 10
    for episode in episodes:
        match = load_game(episode.game, episode.options).start(episode.seed)
        for turn in episode.turns:
            assert match.to_act == (0,) and match.observe(0) == turn.observation
            assert turn.played is not None
            match.play(0, turn.played)
        assert match.to_act == () and match.returns() == episode.returns
