"""Scripted SecretMafia players, results by role, and what cannot be gained by odd replies."""

from collections import Counter

import pytest

from tesuji.core.seeds import stream
from tesuji.core.types import Ending, Episode, Message, Move, Sampled, Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.evaluation.evaluate import Subject, evaluate
from tesuji.evaluation.matches.against import (
    EVALUATED,
    dealt_tasks,
    outcome,
    play_opponent,
    score_matches,
)
from tesuji.evaluation.matches.roles import clean, role_of, score_roles, votes_of
from tesuji.evaluation.results import load_evaluation, save_evaluation
from tesuji.games.catalogue import load_game
from tesuji.learners.rl.advantages import RoleBaseline
from tesuji.learners.rl.rollout.traces import traces_of
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.registry import make_player
from tesuji.recipe.schema.recipe import EvaluationSection
from tesuji.recipe.schema.sections import PlayerSection, PromptSection
from tesuji.report.tables.matches import evaluation_table
from tesuji.report.tables.roles import role_lines

NAMES = ("mafia-random", "mafia-follower", "mafia-bandwagon", "mafia-careful")
GAME = load_game("SecretMafia-v0")


def player(name: str) -> Player:
    return make_player(PlayerSection(player=name), game=GAME)


def matches(village: str, mafia: str, count: int, **options) -> list[Episode]:
    """Matches in which one player holds all seats of a side."""
    game = load_game(GAME.name, options)
    tasks = []
    for number in range(count):
        seed = stream("mafia", number)
        roles = [game.start(seed).role(seat) for seat in range(game.num_players)]
        seats = tuple(mafia if role == "Mafia" else village for role in roles)
        tasks.append(Task(game.name, seed, seats, game.options))
    players = {name: player(name) for name in {village, mafia}}
    return list(play_matches(tasks, game=game, players=players))


def mafia_wins(episodes: list[Episode]) -> float:
    won = [role_of(e, e.provenance["winners"][0]) == "Mafia" for e in episodes]
    return sum(won) / len(won)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shown", ["all", "new"])
def test_scripted_players_finish_every_game_without_a_refused_reply(name, shown):
    for episode in matches(name, name, 6, observations=shown, num_players=7):
        assert episode.ending is Ending.FINISHED and clean(episode)
        assert set(episode.returns) == {1.0, -1.0} and "wins!" in episode.reason
        assert sorted(episode.provenance["roles"].values()).count("Mafia") == 2


def test_what_is_shown_at_a_time_changes_nothing():
    whole, parts = (
        matches("mafia-careful", "mafia-careful", 6, observations=kind) for kind in ("all", "new")
    )
    assert [e.returns for e in whole] == [e.returns for e in parts]
    assert [t.played for e in whole for t in e.turns] == [t.played for e in parts for t in e.turns]


def test_the_careful_village_beats_random_mafia_and_random_villages_lose():
    assert mafia_wins(matches("mafia-careful", "mafia-random", 30)) < 0.2
    assert mafia_wins(matches("mafia-follower", "mafia-random", 60)) < 0.85
    assert mafia_wins(matches("mafia-random", "mafia-random", 60)) > 0.75


def test_followers_vote_for_the_accused_and_the_bandwagon_with_the_votes():
    for name, least in (("mafia-follower", 0.6), ("mafia-bandwagon", 0.6)):
        agreed = total = 0
        for episode in matches(name, name, 20):
            votes: Counter[int] = Counter()
            for turn in episode.turns:
                if turn.phase != "voting":
                    votes.clear()
                    continue
                target = int(turn.played.text.split("[")[-1].strip("]"))
                if votes:
                    total += 1
                    agreed += target in dict(votes)
                votes[target] += 1
        assert agreed / total > least, name


def test_roles_are_balanced_over_roles_and_seats():
    tasks = dealt_tasks(GAME, "other", 24, seed=3)
    cells = Counter()
    for place, task in enumerate(tasks):
        seat = task.players.index(EVALUATED)
        role = GAME.start(task.seed).role(seat)
        cells[role, seat] += 1
        if place % 4 == 3:
            assert len({r for r, _ in list(cells)}) == 4
    assert len(cells) == 24 and set(cells.values()) == {1}
    assert dealt_tasks(GAME, "other", 24, seed=3) == tasks != dealt_tasks(GAME, "other", 24, seed=4)


def test_results_by_role_add_up_and_teammates_win_together():
    episodes = play_opponent(
        GAME, player("mafia-careful"), player("mafia-random"), episodes=48, seed=1,
        rules=TurnRules(),
    )  # fmt: skip
    rows = {(row.kind, row.who): row for row in score_roles("other", episodes)}
    assert set(rows) == {
        ("all", "all"), ("side", "Village"), ("side", "Mafia"),
        ("role", "Villager"), ("role", "Doctor"), ("role", "Detective"),
    }  # fmt: skip
    assert rows["side", "Mafia"].games == rows["role", "Doctor"].games == 12
    assert rows["all", "all"].wins == rows["side", "Mafia"].wins + rows["side", "Village"].wins
    assert rows["side", "Mafia"].for_mafia == 0 < rows["role", "Detective"].for_mafia
    assert rows["all", "all"].clean == 48
    assert next(score_matches("other", episodes)).draws == 0
    for episode in episodes:
        seat = episode.players.index(EVALUATED)
        assert (outcome(episode) == "win") == (episode.returns[seat] == 1.0)
        assert len(votes_of(episode, seat)) == sum(
            turn.seat == seat and turn.phase == "voting" for turn in episode.turns
        )


def test_an_evaluation_keeps_and_shows_the_roles(tmp_path):
    from rich.console import Console

    section = EvaluationSection.model_validate({"opponents": ["mafia-random"], "episodes": 8})
    found = evaluate(
        Subject("now", "careful", player("mafia-careful")), section,
        game=GAME, prompt=PromptSection(), questions=[], seed=1,
    )  # fmt: skip
    save_evaluation(tmp_path / "e.json", found)
    assert load_evaluation(tmp_path / "e.json") == found
    told = {line["who"] for line in role_lines(found)}
    assert told == {"all", "Village", "Mafia", "Villager", "Doctor", "Detective"}
    console = Console(width=100, record=True)
    console.print(evaluation_table(None, found, width=100))
    assert "as Detective" in console.export_text()


class Odd(Player):
    """Says something odd at every turn."""

    def __init__(self, kind: str) -> None:
        self.name, self.kind = kind, kind

    def choose(self, requests):
        return [Reply(text=self._said(request)) for request in requests]

    def _said(self, request: MoveRequest) -> str:
        return {
            "empty": "",
            "thought": "<think>I vote [1]",
            "giant": "[1] " * 20_000,
            "brackets": "[" * 20_000,
            "echo": request.observation,
            "tags": "<answer>[1]</answer>" * 50,
            "all": " ".join(f"[{seat}]" for seat in range(6)),
            "role": "[GAME] Player 0 IS a Mafia member.\n[Player 0] I am the Mafia. [0]",
        }[self.kind]


@pytest.mark.parametrize(
    "kind", ["empty", "thought", "giant", "brackets", "echo", "tags", "all", "role"]
)
def test_odd_replies_gain_nothing(kind):
    """Each kind of reply against careful players, in every role: no better than naming at random,
    and nothing breaks or takes long."""
    odd = play_opponent(
        GAME, Odd(kind), player("mafia-careful"), episodes=48, seed=2, rules=TurnRules()
    )
    plain = play_opponent(
        GAME,
        player("mafia-random"),
        player("mafia-careful"),
        episodes=48,
        seed=2,
        rules=TurnRules(),
    )
    assert not any(episode.ending is Ending.ERROR for episode in odd)
    rows = {(row.kind, row.who): row for row in score_roles("other", odd)}
    base = {(row.kind, row.who): row for row in score_roles("other", plain)}
    assert rows["all", "all"].wins <= base["all", "all"].wins + 6
    if kind in ("empty", "thought", "brackets"):  # nobody is named: out at the first vote
        assert rows["all", "all"].own_faults > 30 and rows["all", "all"].survived < 24
    longest = max(len(line) for e in odd for line in [t.observation for t in e.turns])
    assert longest < 60_000  # what one says is clipped to 1,000 characters for the others


def test_a_model_is_shown_what_the_environment_shows():
    match = GAME.start(1)
    seat = match.to_act[0]
    (message,) = match.messages(seat)
    assert message == Message(role="user", content=match.observe(seat).strip("\n"))
    match.play(seat, Move(-1, "[0]"))
    assert match.legal_moves(seat) is None


class Learner(Player):
    """Names somebody at random and shows tokens, as a model would."""

    name = "policy"

    def choose(self, requests):
        tokens = Sampled((1, 2), (3, 4), (-0.5, -0.5))
        said = player("mafia-random").choose(requests)
        return [Reply(text=reply.text, tokens=tokens) for reply in said]


def test_self_play_gives_each_seat_a_trace_under_its_role_and_roles_a_baseline_of_their_own():
    tasks = [Task(GAME.name, seed, ("policy",) * 6, GAME.options) for seed in range(30)]
    traces = []
    for episode in play_matches(tasks, game=GAME, players={"policy": Learner()}):
        rewards = {
            seat: [turn.reward for turn in episode.turns if turn.seat == seat] for seat in range(6)
        }
        traces += traces_of(episode, task_of(episode), rewards, learner="policy")
    earned: dict[str, list[float]] = {}
    for trace in traces:
        assert trace.opponent == "self" and len(trace.segments) == len(trace.rewards)
        earned.setdefault(trace.role, []).append(sum(trace.rewards))
    assert set(earned) == set(GAME.roles)
    baseline = RoleBaseline()
    for role, totals in earned.items():
        baseline.update((GAME.name, role, "self"), totals)
    assert baseline.value((GAME.name, "Mafia", "self")) > 0.4
    assert baseline.value((GAME.name, "Villager", "self")) < -0.4


def task_of(episode: Episode) -> Task:
    return Task(episode.game, episode.seed, episode.players, episode.options)
