"""Models that learn from logs sit down at the real table, and are asked there as their rows ask."""

import random
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tesuji.core.types import Message, Move, Task
from tesuji.datasets.from_logs.prompts import prompt_of, seen_turns
from tesuji.episodes.arena import play_matches
from tesuji.episodes.store import episode_to_row
from tesuji.evaluation.evaluate import Subject, evaluate, judged_game
from tesuji.evaluation.results import Evaluation, load_evaluation, save_evaluation
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.logs.base import Record
from tesuji.logs.formats.mafia_json import Mafia
from tesuji.logs.formats.phh import Phh
from tesuji.logs.poker.phh_writer import save_hands
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.mafia.styles import Voice
from tesuji.players.registry import make_player, parse_player
from tesuji.recipe.schema.recipe import EvaluationSection
from tesuji.recipe.schema.sections import PromptSection
from tesuji.report.headline import headline
from tesuji.report.tables.matches import evaluation_table
from tesuji.report.tables.roles import role_lines

PROMPTS = load_game("prompts")


def section(**keys: Any) -> EvaluationSection:
    return EvaluationSection.model_validate(keys)


def table(name: str, **options: Any) -> Game:
    return judged_game(PROMPTS, section(game={"name": name, "options": options}))


class Noting(Player):
    """Plays as another player does, and notes what it was asked and what it said."""

    def __init__(self, inner: Player) -> None:
        self.name, self.inner = inner.name, inner
        self.noted: list[tuple[int, str, tuple[Message, ...] | None, str]] = []

    def choose(self, requests: list[MoveRequest]) -> list[Reply]:
        replies = self.inner.choose(requests)
        for asked, reply in zip(requests, replies, strict=True):
            shown = asked.match.messages(asked.seat)
            self.noted.append((asked.seat, asked.observation, shown, reply.text))
        return replies


def prompts_of(row: Any) -> list[tuple[Message, ...]]:
    return [prompt_of(row["game"], seen) for seen in seen_turns(row)]


def competitor(noted: list[tuple[int, str, Any, str]], seat: int, role: str) -> dict[str, Any]:
    """One player's view of a game, as a competitor's script writes it."""
    mine = [(shown, said) for who, shown, _, said in noted if who == seat]
    return {
        "game_id": "g1",
        "player_id": seat,
        "role": role,
        "outcome": "win",
        "reward": 1,
        "observations": [{"turn": n, "content": shown} for n, (shown, _) in enumerate(mine)],
        "actions": [{"turn": n, "action": said} for n, (_, said) in enumerate(mine)],
        "game_info": {},
    }


@pytest.mark.parametrize("name", ["mafia-careful", "mafia-random", "random"])
def test_secret_mafia_asks_as_the_rows_of_its_logs(name: str) -> None:
    """Replies that the game refuses are among those of `random`: then it asks again."""
    game = table("SecretMafia-v0")
    compared = 0
    for seed in range(4):
        player = Noting(make_player(parse_player(name), game=game))
        [episode] = play_matches(
            [Task(game.name, seed, (name,) * 6)], game=game, players={name: player}
        )
        for seat in range(6):
            asked = [messages for who, _, messages, _ in player.noted if who == seat]
            if not asked:
                continue
            log = competitor(player.noted, seat, episode.provenance["roles"][str(seat)])
            rows = prompts_of(episode_to_row(Mafia().read(Record(log, "game.json"))))
            assert rows == asked
            compared += len(rows)
    assert compared > 20


@pytest.mark.parametrize("observations", ["all", "new"])
def test_a_seat_is_shown_its_whole_transcript_whatever_the_environment_repeats(
    observations: str,
) -> None:
    plain = load_game("SecretMafia-v0").start(3)
    asked = table("SecretMafia-v0", observations=observations).start(3)
    for _ in range(12):
        [seat] = plain.to_act
        system, user = asked.messages(seat) or ()
        assert system["content"].startswith(f"You are playing Secret Mafia as {plain.role(seat)}.")
        assert user["content"].endswith(f"Observation:\n{plain.observe(seat).strip()}")
        said = Voice("careful", random.Random(seat)).reply(plain.transcript(seat))
        for match in (plain, asked):
            match.play(seat, Move(-1, said))
    assert asked.clone().messages(asked.to_act[0]) == asked.messages(asked.to_act[0])


def test_hold_em_asks_as_the_rows_of_hand_histories(tmp_path: Path) -> None:
    game = table("holdem", players=6)
    player = Noting(make_player(parse_player("tight_aggressive"), game=game))
    tasks = [Task(game.name, seed, (player.name,) * 6, game.options) for seed in range(12)]
    episodes = list(play_matches(tasks, game=game, players={player.name: player}))
    save_hands(tmp_path / "hands.phhs", game, episodes)
    importer = Phh()
    rows = [
        prompt
        for _, text in importer.split((tmp_path / "hands.phhs").read_text())
        for prompt in prompts_of(episode_to_row(importer.read(Record(text, "hands.phhs"))))
    ]
    asked = [messages for _, _, messages, _ in player.noted]
    assert len(rows) == len(asked) > 60
    assert sorted(map(repr, rows)) == sorted(map(repr, asked))


def test_what_the_recipe_says_of_the_question_stands() -> None:
    assert table("SecretMafia-v0").options == {"prompt": "logs"}
    assert table("SecretMafia-v0", prompt="environment").options == {"prompt": "environment"}
    assert table("holdem", bets="menu").options == {"bets": "menu"}
    by_playing = judged_game(load_game("kuhn_poker"), section(game="SecretMafia-v0"))
    assert by_playing.options == {}
    assert table("tic_tac_toe") == load_game("tic_tac_toe")


@pytest.fixture(scope="module")
def mafia() -> Evaluation:
    judged = section(
        game="SecretMafia-v0", opponents=["mafia-random"], beside=["mafia-careful"], episodes=8
    )
    game = judged_game(PROMPTS, judged)
    player = make_player(parse_player("random"), game=game)
    return evaluate(
        Subject("after", "random", player),
        judged,
        game=game,
        prompt=PromptSection(),
        questions=(),
        seed=1,
    )


def test_others_named_play_the_same_roles_in_its_place(mafia: Evaluation, tmp_path: Path) -> None:
    save_evaluation(tmp_path / "e.json", mafia)
    assert load_evaluation(tmp_path / "e.json") == mafia
    assert mafia.options == {"prompt": "logs"} and mafia.game == "SecretMafia-v0"
    assert {row.stand_in for row in mafia.beside} == {"mafia-careful"}
    roles, beside = (
        {(row.kind, row.who): row.games for row in rows}
        for rows in (mafia.roles, mafia.beside_roles)
    )
    assert roles == beside and roles["role", "Doctor"] == 2
    ours, careful = mafia.roles[0], mafia.beside_roles[0]
    assert ours.illegal > 0 == careful.illegal
    assert ours.replies == sum(row.replies for row in mafia.roles if row.kind == "side")
    assert [row.wins for row in mafia.baseline if row.seat is None] == [mafia.matches[0].wins]


def test_tables_and_headline_say_what_the_others_win(mafia: Evaluation) -> None:
    [line] = [line["sentence"] for line in role_lines(mafia) if line["who"] == "all"]
    assert "in its place random" in line and "mafia-careful" in line
    assert (
        f"legal replies {100 - 100 * mafia.roles[0].illegal / mafia.roles[0].replies:.1f}%" in line
    )
    said = headline(mafia)
    assert "each role held equally often" in said.sentence and said.mood == "open"
    assert "a random player in its place" in said.sentence


def test_at_poker_the_same_deals_are_played_in_its_place() -> None:
    judged = section(
        game={"name": "holdem", "options": {"players": 3}},
        opponents=["always_call"],
        beside=["tight_aggressive", "always_call"],
        episodes=60,
    )
    game = judged_game(PROMPTS, judged)
    found = evaluate(
        Subject("after", "caller", make_player(parse_player("always_call"), game=game)),
        judged,
        game=game,
        prompt=PromptSection(),
        questions=(),
        seed=1,
    )
    by_name = {row.stand_in: row.winnings for row in found.beside if row.seat is None}
    assert by_name["always_call"] == found.matches[0].winnings
    assert by_name["tight_aggressive"] != found.matches[0].winnings
    console = Console(width=100)
    with console.capture() as shown:
        console.print(evaluation_table(None, found, width=100))
    assert "... tight_aggressive" in shown.get() and "... random" in shown.get()
    assert "random in its place" in headline(found).sentence


def test_of_prompts_without_a_table_none_is_played() -> None:
    class Silent(Player):
        name = "silent"

        def choose(self, requests: list[MoveRequest]) -> list[Reply]:
            raise AssertionError("nobody is asked")

    found = evaluate(
        Subject("after", "silent", Silent()),
        section(),
        game=PROMPTS,
        prompt=PromptSection(),
        questions=(),
        seed=1,
    )
    assert found.matches == found.baseline == ()
