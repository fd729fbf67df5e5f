"""Function calling as a game: split, options, what is missing, its reward term, golden episodes."""

import subprocess
import sys
from collections.abc import Sequence

import pytest
from places import GOLDEN

from tesuji.core.errors import GameError, RecipeError
from tesuji.core.types import Episode, Move, Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.rewards.total import make_terms
from tesuji.episodes.store import read_episodes
from tesuji.games.base import Game
from tesuji.games.bfcl.calls import write_calls
from tesuji.games.bfcl.gold import gold_calls
from tesuji.games.catalogue import load_game
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.basic.answer_key import AnswerKeyPlayer, slip
from tesuji.players.search.oracle import oracle_moves
from tesuji.recipe.schema.play import RewardTerm


class Says(Player):
    """A player with prepared replies."""

    name = "says"

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = iter(texts)

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        return [Reply(text=next(self.texts)) for _ in requests]


def played(game: Game, texts: Sequence[str], seeds: Sequence[int]) -> list[Episode]:
    tasks = [Task(game.name, seed, ("says",), game.options) for seed in seeds]
    rules = TurnRules(retry=False)
    return list(play_matches(tasks, game=game, players={"says": Says(texts)}, rules=rules))


def test_the_split_keeps_its_sides_apart() -> None:
    options = {"category": "simple_python,multiple"}
    train = load_game("bfcl", options)
    held_out, every = train.held_out, load_game("bfcl", {**options, "split": "all"})
    assert held_out is not None and held_out.held_out is None
    sides = [{q.id for q in game.questions} for game in (train, held_out, every)]
    assert not sides[0] & sides[1] and sides[0] | sides[1] == sides[2] and len(sides[2]) == 600
    assert 90 < len(sides[1]) < 150
    alone = load_game("bfcl", {"category": ["multiple"], "split": "held_out"})
    assert {q.id for q in alone.questions} <= sides[1]
    other = load_game("bfcl", {**options, "split_seed": 1, "split": "held_out"})
    assert {q.id for q in other.questions} != sides[1]
    few = load_game("bfcl", {**options, "tasks": 5, "max_prompt_characters": 900})
    assert few.tasks == 5 and (few.held_out and few.held_out.tasks) > 5
    shown = [few.start(seed) for seed in range(5)]
    assert len({match.question.id for match in shown}) == 5
    assert few.start(7).question == few.start(2).question


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"category": "multi_turn_base"}, "no category 'multi_turn_base'"),
        ({"categories": "java"}, "no option 'categories'"),
        ({"split": "test"}, "split: the text 'test' is not one of the choices"),
        ({"held_out": 1}, "held_out: must be less than 1, not 1"),
        ({"tasks": 0}, "tasks: must be more than 0, not 0"),
        ({"max_prompt_characters": 1}, "no question is left"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(GameError, match=words):
        load_game("bfcl", options).start(0)


def test_without_the_package_it_says_what_to_install() -> None:
    code = (
        "import importlib.util, sys\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, *a: None if n == 'bfcl_eval' else real(n, *a)\n"
        "from tesuji.games.catalogue import game_info, load_game\n"
        "print(game_info('bfcl').unavailable)\n"
        "try: load_game('bfcl')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    listed, failed = ran.stdout.splitlines()[:2]
    assert "--no-deps bfcl-eval" in listed and failed.startswith("GameError")


def test_the_checker_brings_nothing_else_along() -> None:
    code = (
        "import sys\n"
        "from tesuji.games.catalogue import load_game\n"
        "print('bfcl_eval' in sys.modules)\n"
        "game = load_game('bfcl'); match = game.start(0)\n"
        "from tesuji.core.types import Move\n"
        "match.play(0, Move(-1, match.answer(0))); print(match.returns())\n"
        "print([m for m in sys.modules if 'bfcl' in m and 'config' in m], 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout.splitlines() == ["False", "(1.0,)", "[] False"], ran.stderr


def test_form_never_outweighs_the_checker() -> None:
    def game_of(at):
        return load_game(at.game, at.options)

    for weights in (
        {"returns": 1.0, "tool_format": 0.3},
        {"tool_format": 0.1},
        {"returns": 1.0, "tool_format": -0.1},
    ):
        with pytest.raises(RecipeError, match="outweighs"):
            make_terms({name: RewardTerm(weight=w) for name, w in weights.items()}, game_of)
    terms = {"returns": RewardTerm(weight=1.0), "tool_format": RewardTerm(weight=0.1)}
    rewards = make_terms(terms, game_of)
    game = load_game("bfcl")
    question = game.questions[0]
    [(name, arguments)] = gold_calls(question)
    replies = [
        (write_calls([(name, arguments)]), 1.1),
        (write_calls([(name, dict.fromkeys(arguments, "zzz"))]), 0.1),
        (write_calls([(name, {"no": 1})]), 0.05),
        (write_calls([("no", arguments)]), 0.0),
        ("<think>It is this one.</think>\n" + write_calls([(name, arguments)]), 1.1),
    ]
    for text, worth in replies:
        [episode] = played(game, [text], [0])
        assert rewards(episode, 0).total == pytest.approx((worth,))


EPISODES_FILE = GOLDEN / "bfcl.jsonl"


def test_golden_episodes_are_replayed() -> None:
    """Ten recorded episodes, right and wrong ones of all kinds, come out as they did."""
    episodes = list(read_episodes(EPISODES_FILE))
    assert len(episodes) == 10
    for episode in episodes:
        match = load_game(episode.game, episode.options).start(episode.seed)
        [turn] = episode.turns
        assert match.observe(0) == turn.observation and match.role(0) == turn.role
        if turn.played is None:
            match.forfeit(0)
        else:
            match.play(0, Move(*turn.played))
        assert match.returns() == episode.returns and not match.to_act
    assert {episode.returns[0] for episode in episodes} == {0.0, 1.0}
    assert len({episode.turns[0].role for episode in episodes}) >= 7


def test_a_teacher_that_slips_is_wrong_in_one_place_beside_each_answer() -> None:
    game = load_game("bfcl", {"tasks": 16, "show": "signatures"})
    sure, slipping = (AnswerKeyPlayer(slips=count) for count in (0, 2))
    for seed in range(16):
        request = MoveRequest(game, game.start(seed), 0, "", None, seed=0)
        answer = request.match.answer(0)
        assert sure.taught(request) == oracle_moves(sure, request) == (Move(-1, answer),)
        first, *wrong = oracle_moves(slipping, request)
        assert first.text == answer and 1 <= len(wrong) <= 2
        for move in wrong:
            assert len(move.text) == len(answer)
            assert sum(a != b for a, b in zip(move.text, answer, strict=True)) == 1
        assert slipping.taught(request) == (first, *wrong), "the same slips every time"
        assert slipping.choose([request])[0].text == answer, "as a player it does not slip"
        paid = [played(game, [move.text], [seed])[0].returns[0] for move in (first, *wrong)]
        assert paid[0] == 1.0 and 0.0 in paid[1:]
    assert slip("?!", 0) == "?!"
