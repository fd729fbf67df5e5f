import io

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tesuji.cli.browse.replay import app
from tesuji.core.errors import DataError
from tesuji.core.types import Attempt, Ending, Episode, Found, Move, Turn
from tesuji.episodes.show import LONGEST, show_episode
from tesuji.episodes.store import write_episodes

CENTRE = Move(4, "x(1,1)")


def said(reply: str, found: Found = Found.EXACT, **more: object) -> Attempt:
    return Attempt(reply, found=found, move=None if found == Found.NONE else CENTRE, **more)


def an_episode(*turns: Turn, **changes: object) -> Episode:
    fields = {"game": "tic_tac_toe", "options": {}, "seed": 3, "players": ("tiny", "mcts")}
    return Episode(**{**fields, "turns": turns, "returns": (1.0, -1.0), **changes})


def a_turn(*attempts: Attempt, played: Move | None = CENTRE) -> Turn:
    return Turn(0, "x", "...\n...\n...", attempts, played)


def shown(episode: Episode, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    show_episode(episode, console)
    return console.file.getvalue()


def test_a_turn_says_who_saw_what_said_what_and_how_it_was_read() -> None:
    text = shown(an_episode(a_turn(said("[x(1,1)]", Found.SOFT, thought="take the centre"))))
    assert "seat 0 · tiny as x" in text
    assert "...\n...\n..." in text
    assert "thought: take the centre" in text
    assert "reply: [x(1,1)]" in text
    assert "played x(1,1) (found by a soft match" in text


def test_the_position_after_the_last_move_is_shown() -> None:
    text = shown(an_episode(a_turn(said("x(1,1)")), returns=(0.0, 0.0)))
    assert "── the end" in text or "the end ──" in text
    assert "1 │   │ x │   │" in text[text.index("the end") :]


@pytest.mark.parametrize(
    "changes",
    [
        {"game": "no_such_game"},
        {"provenance": {"kind": "textarena"}},
        {"turns": (Turn(0, "x", "...", (said("x"),), Move(40, "x(9,9)")),)},
        {"turns": (Turn(5, "x", "...", (said("x"),), CENTRE),)},
    ],
)
def test_where_the_moves_cannot_be_played_again_there_is_no_last_position(changes) -> None:
    text = shown(an_episode(a_turn(said("x(1,1)")), **changes) if "turns" not in changes else
                 an_episode(*changes["turns"]))  # fmt: skip
    assert "the end" not in text and "Result" in text


def test_an_illegal_try_and_the_retry_are_both_shown() -> None:
    first = said("x(9,9)", Found.NONE, problem="no such square")
    text = shown(an_episode(a_turn(first, said("x(1,1)"))))
    assert "reply: x(9,9)" in text
    assert "illegal: no such square" in text
    assert "its exact notation, at the second try" in text


def test_a_move_the_model_did_not_say_is_not_shown_as_its_own() -> None:
    text = shown(an_episode(a_turn(said("dunno", Found.NONE))))
    assert "put in its place by the rules" in text


def test_a_forfeit_says_whose_and_why() -> None:
    lost = an_episode(
        a_turn(said("dunno", Found.NONE), played=None),
        ending=Ending.FORFEIT,
        reason="no legal move in two replies",
        offender=0,
        returns=(-1.0, 1.0),
    )
    text = shown(lost)
    assert "the seat forfeits" in text
    assert "forfeited (seat 0): no legal move in two replies" in text
    assert "-1" in text


def test_a_wordless_choice_is_called_one() -> None:
    assert "chosen without words" in shown(an_episode(a_turn(said(""))))


def test_markup_and_escape_codes_in_a_reply_stay_text() -> None:
    text = shown(an_episode(a_turn(said("[red]b2[/red] \x1b[2J \x07 \u202e"))))
    assert "[red]b2[/red] \\x1b[2J \\x07 \\u202e" in text
    assert "\x1b[2J" not in text


def test_a_long_reply_is_cut_with_a_count() -> None:
    text = shown(an_episode(a_turn(said("a" * (LONGEST + 1234)))))
    assert "(1,234 more characters)" in text


def test_an_episode_of_no_turns_and_fewer_returns_is_shown() -> None:
    assert "finished" in shown(an_episode(players=(), returns=()))


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def recorded(tmp_path):
    path = tmp_path / "stages" / "03-after" / "episodes.jsonl"
    write_episodes(path, [an_episode(a_turn(said("b2")), seed=seed) for seed in (71, 72, 73)])
    return path


def test_the_first_is_shown_and_the_number_told(recorded) -> None:
    output = run(str(recorded))
    assert "seed 71" in output
    assert "seed 72" not in output
    assert "3 episodes" in output
    assert "--episode 2" in output


def test_one_or_all_can_be_asked_for(recorded) -> None:
    assert "seed 73" in run(str(recorded), "--episode", "3")
    everything = run(str(recorded), "--all")
    assert all(f"seed {seed}" in everything for seed in (71, 72, 73))


def test_a_run_folder_stands_for_its_last_episodes(recorded, tmp_path) -> None:
    write_episodes(tmp_path / "stages" / "00-before" / "episodes.jsonl", [an_episode(seed=5)])
    assert "seed 71" in run(str(tmp_path))


def test_what_is_not_there_is_said(recorded, tmp_path) -> None:
    with pytest.raises(DataError, match="no episode 4"):
        run(str(recorded), "--episode", "4")
    with pytest.raises(DataError, match="cannot read"):
        run(str(tmp_path / "absent.jsonl"))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"no episodes\.jsonl"):
        run(str(empty))
    (empty / "episodes.jsonl").write_text("")
    with pytest.raises(DataError, match="no episodes in this file"):
        run(str(empty))
