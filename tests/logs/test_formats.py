"""Other people's logs, faults and all: what is taken, what is refused, and the sum of both."""

import gzip
import json
import math
import os
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from made_logs import DAY, SPEECH, TALK, VOTE, game, older, row, write, write_lines

from tesuji.core.errors import DataError
from tesuji.core.types import Ending, Found
from tesuji.datasets.files import read_pairs
from tesuji.episodes.store import episode_to_row, read_episodes
from tesuji.episodes.transcript import seen
from tesuji.games.textarena.secretmafia import last_message, phase_of, read_action, targets
from tesuji.logs.importing import import_logs


def imported(folder: Path, **options):
    """(summary, episodes, quarantined rows) of everything in a folder."""
    out = folder.parent / "out"
    summary = import_logs([folder], out, **options)
    assert summary.read == summary.accepted + summary.rejected
    assert summary.accepted == summary.episodes + summary.pairs
    assert json.loads((out / "import_summary.json").read_text()) == summary.as_json()
    refused = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert len(refused) == summary.rejected
    return summary, list(read_episodes(out / "episodes.jsonl")), refused


def test_a_competitors_game(tmp_path: Path) -> None:
    write(tmp_path / "logs" / "a.json", game())
    summary, [episode], _ = imported(tmp_path / "logs")
    assert [turn.phase for turn in episode.turns] == ["night_doctor", "discussion", "voting"]
    protect, speech, vote = episode.turns
    assert (protect.played, protect.attempts[0].found) == ((2, "[2]"), Found.EXACT)
    assert speech.played == (-1, SPEECH) and not speech.legal_moves
    assert (vote.played, vote.attempts[0].found) == ((2, "[2]"), Found.SOFT)  # the last bracket
    assert [move.id for move in vote.legal_moves] == [0, 1, 2, 4]
    assert vote.continues and vote.observation == VOTE
    assert seen(episode, 2) == game()["observations"][2]["content"]
    assert episode.returns == (1, 1, -1, 1, 1, -1) and len(episode.players) == 6
    about = episode.provenance
    assert about["winners"] == [0, 1, 3, 4] and about["outcome"] == "win"
    assert about["match"] == "g1" and about["file"] == "logs/a.json" and about["seat"] == 1
    assert summary.roles == {"Doctor": 1} and summary.phases["voting"] == 1


def test_both_shapes_and_the_public_set_tell_the_same_game(tmp_path: Path) -> None:
    write(tmp_path / "logs" / "1.json", game())
    write(tmp_path / "logs" / "2.json", older())
    write_lines(tmp_path / "logs" / "3.jsonl", [row()])
    table = pyarrow.Table.from_pylist([row()])
    pyarrow.parquet.write_table(table, tmp_path / "logs" / "4.parquet")
    with gzip.open(tmp_path / "logs" / "5.jsonl.gz", "wt") as file:
        file.write(json.dumps(row()) + "\n")
    summary, episodes, _ = imported(tmp_path / "logs")
    assert all(episode.turns == episodes[0].turns for episode in episodes)
    assert summary.by_kind == {"mafia": 2, "mgc": 3}
    assert summary.notes == {"older_shape": 1}
    assert {e.provenance["match"] for e in episodes[2:]} == {"77"}


@pytest.mark.parametrize(
    ("changes", "reason", "ending"),
    [
        ({"actions": []}, "no_actions", Ending.FINISHED),
        ({"actions": [], "outcome": "error"}, "no_actions", Ending.FINISHED),
        ({"outcome": "error"}, "error", Ending.ERROR),
        ({"outcome": "timeout"}, "timeout", Ending.TRUNCATED),
        ({"error_log": [{"error": "request timed out"}]}, "timeout", Ending.TRUNCATED),
        ({"game_info": {"3": {"reason": "Player 3 timeout"}}}, "timeout", Ending.TRUNCATED),
    ],
)
def test_games_that_broke_off_are_left_out_unless_asked_for(
    tmp_path: Path, changes, reason: str, ending: Ending
) -> None:
    write(tmp_path / "logs" / "a.json", game(**changes))
    summary, episodes, [refused] = imported(tmp_path / "logs")
    assert episodes == [] and summary.rejected_by_reason == {reason: 1}
    assert refused["file"] == "logs/a.json" and refused["kind"] == "mafia"
    summary, [episode], _ = imported(tmp_path / "logs", include=[reason])
    assert summary.accepted == 1 and episode.ending is ending


@pytest.mark.parametrize(
    ("changes", "role", "note"),
    [
        ({"role": "Role.DOCTOR"}, "Doctor", {"role_enum": 1}),
        ({"role": "doctor"}, "Doctor", {}),
        ({"role": None}, "Doctor", {"role_from_observation": 1}),
        ({"role": 7}, "Doctor", {"role_from_observation": 1}),
        ({"reward": 1.061, "raw_rewards": None}, "Doctor", {"fractional_reward": 1}),
    ],
)
def test_roles_and_rewards_as_people_write_them(tmp_path: Path, changes, role, note) -> None:
    write(tmp_path / "logs" / "a.json", game(**changes))
    summary, [episode], _ = imported(tmp_path / "logs")
    assert {turn.role for turn in episode.turns} == {role}
    assert summary.notes == note
    if "reward" in changes:
        assert episode.returns[1] == 1.061 and math.isnan(episode.returns[0])


def test_the_phase_is_read_from_the_last_message_of_the_game() -> None:
    text = game()["observations"][1]["content"]
    assert "NIGHT phase" in text and phase_of(last_message(text)) == "discussion"
    said = text + "[Player 2] Voting phase - submit one vote\n"
    assert phase_of(last_message(said)) == "discussion"
    assert targets(VOTE)[-1] == (4, "[4]") and targets(DAY + TALK) == ()


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("[3]", None),  # dead
        ("I vote for 2", None),
        ("[Player 2]", 2),
        ("not [Player 1] but [player 2]", 2),
        ("[2], sure\nand not [1]", 2),  # TextArena reads the first line that names somebody
        ("[player 1] or [ 2 ]", 1),  # and knows no spaces in brackets
        ("[1234]", None),
        ("", None),
    ],
)
def test_a_vote_is_legal_if_its_last_bracket_names_somebody_there(reply: str, found) -> None:
    attempt = read_action(reply, "voting", targets(VOTE))
    assert (attempt.move and attempt.move.id) == found
    assert bool(attempt.problem) == (found is None)


CHAT = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]


@pytest.mark.parametrize(
    "value",
    [
        {"messages": CHAT},
        {
            "conversations": [
                {"from": "human", "value": "Why?"},
                {"from": "gpt", "value": "Because."},
            ]
        },
        {"prompt": "Why?", "response": "Because."},
        {"prompt": CHAT[:1], "completion": CHAT[1:]},
        {"instruction": "Why?", "input": "", "output": "Because."},
    ],
)
def test_chat_rows_of_every_shape(tmp_path: Path, value) -> None:
    write_lines(tmp_path / "logs" / "a.jsonl", [value])
    summary, [episode], _ = imported(tmp_path / "logs")
    [turn] = episode.turns
    assert [dict(m) for m in turn.attempts[0].prompt] == CHAT[:1]
    assert turn.attempts[0].reply == "Because." and summary.by_kind == {"chat": 1}
    assert episode.provenance["match"] == "logs/a.jsonl:1"


def test_pairs_and_what_is_wrong_with_some(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Why?", "chosen": "Because.", "rejected": "No."},
        {"chosen": CHAT, "rejected": [CHAT[0], {"role": "assistant", "content": "No."}]},
        {"prompt": "Why?", "chosen": "Same.", "rejected": " Same."},
        {"prompt": "Why?", "chosen": "", "rejected": "No."},
        {"prompt": "Why?", "chosen": 3, "rejected": "No."},
        {"chosen": CHAT, "rejected": [{"role": "user", "content": "?"}, CHAT[1]]},
    ]
    write_lines(tmp_path / "logs" / "a.jsonl", rows)
    summary, _, refused = imported(tmp_path / "logs")
    assert [(r["line"], r["reason"]) for r in refused] == [
        (3, "equal_pair"),
        (4, "empty_reply"),
        (5, "wrong_type"),
        (6, "wrong_type"),
    ]
    first, second = read_pairs(tmp_path / "out" / "pairs.jsonl")
    assert (first.prompt, first.chosen) == (second.prompt, second.chosen)
    assert first.about == {"by": "log", "source": "logs/a.jsonl:1"} and summary.pairs == 2


def test_own_episodes_come_back_as_they_were(tmp_path: Path) -> None:
    write(tmp_path / "logs" / "a.json", game())
    _, [episode], _ = imported(tmp_path / "logs")
    write_lines(tmp_path / "again" / "b.jsonl", [episode_to_row(episode), {"format": 1, "game": 2}])
    summary, [same], [refused] = imported(tmp_path / "again")
    assert (same.turns, same.returns) == (episode.turns, episode.returns)
    assert same.provenance["match"] == "g1" and summary.by_kind == {"episodes": 1}
    assert refused["reason"] == "unknown_kind"
    assert refused["detail"].endswith("its fields: format, game")


def test_a_log_of_textarena(tmp_path: Path) -> None:
    log = [[-1, DAY], [0, "hello"], [1, "hi"], [-1, VOTE], [1, "[0]"], [0, "[7]"]]
    info = {"0": {"role": "Villager", "reason": "over"}, "1": {"role": "Mafia"}}
    value = {
        "env_id": "SecretMafia-v0",
        "logs": log,
        "rewards": {"0": -1, "1": 1},
        "game_info": info,
    }
    write(tmp_path / "logs" / "a.json", value)
    _, [episode], _ = imported(tmp_path / "logs")
    assert [(turn.seat, turn.phase) for turn in episode.turns] == [
        (0, "discussion"),
        (1, "discussion"),
        (1, "voting"),
        (0, "voting"),
    ]
    assert episode.turns[3].played is None and episode.turns[2].played == (0, "[0]")
    assert "hi" in episode.turns[3].observation and episode.provenance["winners"] == [1]


def test_a_folder_of_everything_gives_the_same_with_any_number_of_processes(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    for number in range(240):
        write(logs / f"{number:03d}.json", game(game_id=f"g{number}"))
    write_lines(logs / "deep" / "rows.jsonl", [row(), {"prompt": "a", "response": "b"}, [1], 3])
    (logs / "broken.json").write_text('{"observations": [')
    (logs / "latin.json").write_bytes(b'{"a": "\x81"}')
    (logs / "empty.json").write_text("")
    (logs / "notes.md").write_text("# notes")
    (logs / "huge.parquet").write_text("PAR1 no")
    write(logs / "list.json", [game(game_id="x"), game(game_id="y", outcome=5)])
    os.mkfifo(logs / "pipe.json")
    (logs / "loop").symlink_to(logs)
    (logs / "circle.json").symlink_to(logs / "circle.json")
    outcomes = []
    for processes in (1, 2):
        out = tmp_path / f"out{processes}"
        summary = import_logs([logs], out, processes=processes)
        outcomes.append(
            [(out / name).read_bytes() for name in ("episodes.jsonl", "quarantine.jsonl")]
        )
    assert outcomes[0] == outcomes[1]
    assert summary.by_kind == {"mafia": 242, "mgc": 1, "chat": 1}
    assert summary.rejected_by_reason == {
        "not_json": 1,
        "not_utf8": 1,
        "empty": 1,
        "unknown_file": 1,
        "not_parquet": 1,
        "not_a_file": 1,
        "link_to_folder": 1,
        "unreadable": 1,
        "unknown_kind": 2,
    }
    assert summary.read == summary.accepted + summary.rejected == 254
    assert not list(out.glob(".parts*"))


def test_paths_and_formats_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        import_logs([tmp_path / "none"], tmp_path / "out")
    with pytest.raises(DataError, match="there is no format 'mafai'"):
        import_logs([tmp_path], tmp_path / "out", format="mafai")
    write_lines(tmp_path / "logs" / "a.jsonl", [{"prompt": "a", "response": "b"}])
    summary, _, [refused] = imported(tmp_path / "logs", format="mgc")
    assert summary.read == 1 and refused["reason"] == "wrong_type"
