"""Procedural tasks: every one of the library's, by seed, scored by itself, tricks paid nothing."""

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest
from places import GOLDEN

from tesuji.core.errors import GameError
from tesuji.core.types import Ending, Move, Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.store import read_episodes
from tesuji.games.catalogue import game_info, load_game
from tesuji.games.reasoning.game import ReasoningMatch, names
from tesuji.games.reasoning.library import score
from tesuji.games.reasoning.names import AREA_OF, PREFIX, UNAVAILABLE
from tesuji.players.registry import make_player
from tesuji.recipe.schema.sections import PlayerSection

EPISODES_FILE = GOLDEN / "reasoning_gym.jsonl"
NO_KEY = {"boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"}
UNSTEADY = ["isomorphic_strings", "polynomial_multiplication", "ransom_note"]  # in the library
SMALL = {  # tasks that take seconds for one question as they come
    "knight_swap": {"max_nodes": 6, "max_pieces": 2, "max_steps": 8},
    "futoshiki": {"min_board_size": 4, "max_board_size": 4, "min_difficulty": 0},
    "zebra_puzzles": {"num_people": 2, "num_characteristics": 2},
}


def start(task: str, seed: int = 1, **options: object) -> ReasoningMatch:
    match = load_game(PREFIX + task, {**SMALL.get(task, {}), **options}).start(seed)
    assert isinstance(match, ReasoningMatch)
    return match


def worth(match: ReasoningMatch, reply: str) -> float:
    other = match.clone()
    other.play(0, Move(-1, reply))
    return other.returns()[0]


def test_the_table_is_the_library() -> None:
    from reasoning_gym.factory import DATASETS

    assert set(DATASETS) == set(AREA_OF) | set(UNAVAILABLE) and len(AREA_OF) == 105
    areas = {name: kind.__module__.split(".")[1] for name, (kind, _) in DATASETS.items()}
    assert {name: areas[name] for name in AREA_OF} == AREA_OF


def test_tasks_are_listed_without_the_library() -> None:
    code = (
        "import sys\nfrom tesuji.games.catalogue import game_info\n"
        "from tesuji.games.reasoning.game import names\n"
        "found = [game_info(name) for name in names()]\n"
        "closed = [info.name for info in found if info.unavailable]\n"
        "print(len(found), closed, 'reasoning_gym' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout.strip() == "106 ['rg_composite'] False", ran.stderr
    assert len(names()) == 106 and game_info("rg_maze").title == "Maze (games)"


@pytest.mark.parametrize("task", sorted(AREA_OF))
def test_every_task_plays_its_own_questions(task: str) -> None:
    """The library's very question for the seed, its answer worth 1, tricks worth nothing, and the
    global generators as they were."""
    from reasoning_gym.factory import create_dataset

    before = (random.getstate(), np.random.get_state()[1].tolist())
    match = start(task, 7)
    assert start(task, 7).item["question"] == match.item["question"]
    answer = match.answer(0)
    assert (answer is None) == (task in NO_KEY)
    if answer is not None:
        assert worth(match, f"<think>...</think> {answer}") == 1.0
    some = answer or "<answer>x</answer>"
    question = match.observe(0)
    tricks = {
        "no tags": "zzz",
        "nothing in them": "<answer></answer>",
        "open tags": "<answer>" * 50,
        "twice": some * 2,
        "right among others": f"<answer>yes</answer>{some}",
        "a word": "<answer>zzz qqq</answer>",
        "giant": f"<answer>{'word ' * 3000}</answer>",
        "right and giant": some.replace("</answer>", " x" * 4000 + "</answer>"),
        "the question": f"<answer>{question}</answer>",
        "the question alone": question,
        "the instructions": match.messages(0)[0]["content"],
    }
    earned = {what: worth(match, reply) for what, reply in tricks.items()}
    assert earned == dict.fromkeys(tricks, 0.0)
    assert before == (random.getstate(), np.random.get_state()[1].tolist())
    random.seed(14)
    np.random.seed(14)
    theirs = create_dataset(task, seed=14, size=1, **SMALL.get(task, {}))[0]
    random.setstate(before[0])
    if task not in UNSTEADY:
        assert theirs["question"] == question


def questions_in(hash_seed: str) -> list[str]:
    """Of the three tasks, asked in a process of its own."""
    code = (
        "import json\nfrom tesuji.games.catalogue import load_game\n"
        f"found = [load_game('rg_' + task) for task in {UNSTEADY!r}]\n"
        "print(json.dumps([game.start(s).observe(0) for game in found for s in range(20)]))"
    )
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    found: list[str] = json.loads(ran.stdout)
    return found


def test_a_seed_is_the_same_question_in_every_process() -> None:
    assert questions_in("1") == questions_in("2")


def test_interleaved_matches_and_foreign_draws_change_nothing() -> None:
    tasks = ("list_functions", "pool_matrix", "acre", "word_sorting", "countdown")
    alone = {task: [start(task, seed).observe(0) for seed in range(3)] for task in tasks}
    for seed in (2, 0, 1):
        for task in tasks[::-1]:
            random.random()
            assert start(task, seed).observe(0) == alone[task][seed]
    assert all(len(set(shown)) == 3 for shown in alone.values())


def test_held_out_questions_are_others() -> None:
    game = load_game("rg_chain_sum", {"min_terms": 3, "max_terms": 4})
    assert game.held_out is not None and game.held_out.held_out is None
    asked = [{side.start(seed).observe(0) for seed in range(50)} for side in (game, game.held_out)]
    assert not asked[0] & asked[1]


def test_options_reach_the_task() -> None:
    assert start("chain_sum", min_terms=2, max_terms=2).observe(0).count("+") <= 1
    bare = start("chain_sum", system="none")
    assert [m["role"] for m in bare.messages(0)] == ["user"]
    assert worth(bare, str(bare.item["answer"])) == 1.0
    assert worth(bare, "<answer>1</answer>") == 0.0


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("rg_chain_sum", {"terms": 3}, "no option 'terms'"),
        ("rg_chain_sum", {"seed": 3}, "no option 'seed'"),
        ("rg_chain_sum", {"min_terms": 9, "max_terms": 2}, "refuses its options"),
        ("rg_chain_sum", {"system": "loud"}, "system: the text 'loud' is not one of the choices"),
        ("rg_composite", {}, "mixture of other tasks"),
        ("rg_chain_sums", {}, "did you mean rg_chain_sum"),
    ],
)
def test_what_cannot_be_played_is_said(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(GameError) as caught:
        load_game(name, options)
    assert words in f"{caught.value} {caught.value.hint}"


def test_partial_scores_are_paid_where_asked_for() -> None:
    both = "<answer>heads tails</answer>"
    assert worth(start("coin_flip"), both) == 0.0
    plain, graded = start("ransom_note"), start("ransom_note", partial=True)
    right = str(plain.item["answer"])
    assert worth(plain, f"<answer>{right} it is</answer>") == 0.0
    assert 0.1 < worth(graded, f"<answer>{right} it is</answer>") < 1.0
    assert worth(graded, f"<answer>{right}{' .' * 60}</answer>") == 0.0


def test_known_faults_of_the_library() -> None:
    """If one of these fails, the library has mended the fault: the mending here can go."""
    from reasoning_gym.factory import create_dataset

    halting = create_dataset("game_of_life_halting", seed=2, size=1)
    assert halting.score_answer("nonsense", entry=halting[0]) == 1.0
    assert score("game_of_life_halting", {}, halting[0], "nonsense") == 0.0
    factors = create_dataset("prime_factorization", seed=2, size=1)
    with pytest.raises(ValueError):
        factors.score_answer("two times three", entry=factors[0])
    assert score("prime_factorization", {}, factors[0], "two times three") == 0.0
    fractions = create_dataset("fraction_simplification", seed=2, size=1)
    assert fractions.score_answer("", entry=fractions[0]) > 0


def test_the_key_plays_and_says_where_there_is_none() -> None:
    for task, ending in (("gcd", Ending.FINISHED), ("rush_hour", Ending.ERROR)):
        game = load_game(PREFIX + task)
        key = make_player(PlayerSection(player="answer_key"), game=game)
        tasks = [Task(game.name, seed, ("it",)) for seed in range(3)]
        played = list(play_matches(tasks, game=game, players={"it": key}, rules=TurnRules()))
        assert {episode.ending for episode in played} == {ending}
        assert {episode.returns for episode in played} == {(float(task == "gcd"),)}


def test_golden_episodes_are_replayed() -> None:
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
    assert len({episode.game for episode in episodes}) == 10
    assert {episode.returns[0] for episode in episodes} >= {0.0, 1.0}
