"""Made SecretMafia logs: real games, and the importer comes to exactly what was planted in them."""

import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from listener import Listener

from tesuji.cli.main import main
from tesuji.core.errors import DataError
from tesuji.core.files import read_json
from tesuji.episodes.store import read_episodes
from tesuji.games.textarena.secretmafia import MAFIA
from tesuji.logs.importing import import_logs
from tesuji.logs.summary import ImportSummary
from tesuji.logs.synthetic.mafia_faults import FAULTS, FORMS, MGC_FAULTS
from tesuji.logs.synthetic.mafia_files import competitor_record, mgc_rows
from tesuji.logs.synthetic.mafia_play import MadeGame, play
from tesuji.logs.synthetic.make import make_logs
from tesuji.players.mafia.styles import STYLES

pytest.importorskip("textarena")

GAMES, SEED = 60, 11
BROKE_OFF = ("no_actions", "error", "timeout")
PHASES = {  # TextArena's words → ours
    "Night-Mafia": "night_mafia",
    "Night-Doctor": "night_doctor",
    "Night-Detective": "night_detective",
    "Day-Discussion": "discussion",
    "Day-Voting": "voting",
}
Made = tuple[Path, dict[str, int], ImportSummary, Path]
NOTES = {
    "older_shape": "older_shape",
    "role_enum": "role_enum",
    "role_null": "role_from_observation",
    "fractional_reward": "fractional_reward",
}  # form → note of the importer
REASONS = {
    "no_actions": "no_actions",
    "error": "error",
    "timeout": "timeout",
    "truncated": "not_json",
    "not_json": "not_json",
    "bad_utf8": "not_utf8",
    "empty": "empty",
    "wrong_type": "wrong_type",
    "unknown_kind": "unknown_kind",
    "unknown_file": "unknown_file",
    "mgc_no_actions": "no_actions",
    "mgc_error": "error",
    "mgc_timeout": "timeout",
    "mgc_truncated": "not_json",
    "mgc_not_json": "not_json",
    "mgc_wrong_type": "wrong_type",
    "mgc_broken_parquet": "not_parquet",
}  # fault → reason of the importer


def planted(counts: dict[str, int], table: dict[str, str]) -> dict[str, int]:
    """What an import must come to by one of the tables: planted counts, by the importer's own
    words."""
    expected: Counter[str] = Counter()
    for name, word in table.items():
        expected[word] += counts.get(name, 0)
    return {word: count for word, count in expected.items() if count}


@pytest.fixture(scope="module")
def games() -> list[MadeGame]:
    """The very games that the logs are of."""
    return [play(number, SEED) for number in range(GAMES)]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    """(logs, what was planted, what their import came to, the import's folder)."""
    folder = tmp_path_factory.mktemp("made")
    counts = make_logs("mafia", folder / "logs", games=GAMES, seed=SEED, traps=True)
    return folder / "logs", counts, import_logs([folder / "logs"], folder / "out"), folder / "out"


def counted(out: Path, games: list[MadeGame]) -> dict[str, Counter[str]]:
    """What the games themselves say of the views that an import took."""
    found = {name: Counter[str]() for name in ("outcomes", "roles", "phases")}
    for episode in read_episodes(out / "episodes.jsonl"):
        game = games[int(episode.provenance["match"].rpartition("-")[2])]
        seat = episode.provenance["seat"]
        found["outcomes"]["win" if game.rewards[seat] > 0 else "loss"] += 1
        found["roles"][game.roles[seat]] += 1
        found["phases"].update(PHASES[step.phase] for step in game.view(seat))
    return found


def test_every_trap_is_planted_and_everything_adds_up(made: Made) -> None:
    _, counts, summary, _ = made
    assert set(REASONS) == {*FAULTS, *MGC_FAULTS, "unknown_file", "mgc_broken_parquet"}
    assert min(counts[name] for name in (*FORMS, *REASONS, "duplicate", "no_row")) > 0
    assert summary.read == counts["competitor"] + counts["mgc"]
    assert summary.read == summary.accepted + summary.rejected
    assert summary.rejected == sum(counts[name] for name in REASONS)


def test_refusals_by_reason_are_those_planted(made: Made) -> None:
    logs, counts, summary, out = made
    assert summary.rejected_by_reason == planted(counts, REASONS)
    rows = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert len(rows) == summary.rejected
    mgc = Counter(row["reason"] for row in rows if row["file"].startswith("logs/mgc/"))
    only = {name: REASONS[name] for name in REASONS if name.startswith("mgc_")}
    assert mgc == planted(counts, only)
    assert all((logs.parent / row["file"]).is_file() for row in rows)


def test_notes_are_those_planted(made: Made) -> None:
    _, counts, summary, _ = made
    assert summary.notes == planted(counts, NOTES)
    assert set(FORMS) - set(NOTES) == {"role_lower"}  # taken without a word


def test_outcomes_roles_and_phases_are_those_of_the_games(made: Made, games) -> None:
    """The phase is TextArena's own at that step, whatever the transcript says."""
    _, counts, summary, out = made
    found = counted(out, games)
    assert summary.outcomes == found["outcomes"]
    assert summary.roles == found["roles"]
    assert summary.phases == found["phases"]
    assert set(found["phases"]) == set(PHASES.values())
    assert summary.turns == found["phases"].total()
    assert summary.by_kind["mgc"] == sum(len(mgc_rows(game)) for game in games[2::3])
    assert counts["no_row"] == sum(len(g.roles) - len(mgc_rows(g)) for g in games[2::3])


def test_each_turn_was_valid_if_the_game_took_it(made: Made, games) -> None:
    """A named player is read as legal just where TextArena accepted the reply; also after one who
    stood on the list was put out in the middle of the vote."""
    seen: Counter[bool] = Counter()
    shortened = 0
    for episode in read_episodes(made[3] / "episodes.jsonl"):
        game = games[int(episode.provenance["match"].rpartition("-")[2])]
        for turn, step in zip(episode.turns, game.view(turn_seat(episode)), strict=True):
            assert turn.attempts[-1].reply == step.reply
            if turn.phase != "discussion":
                assert (turn.played is not None) is step.valid, (step.phase, step.reply)
                seen[step.valid] += 1
                listed = step.observation.rpartition("Valid: ")[2].partition("\n")[0].count("[")
                shortened += turn.phase == "voting" and len(turn.legal_moves) < listed
    assert seen[True] > 100 and seen[False] > 0 and shortened > 0


def turn_seat(episode) -> int:
    (seat,) = {turn.seat for turn in episode.turns}
    return seat


def test_games_that_broke_off_are_told_apart_when_they_are_wanted(made: Made, tmp_path) -> None:
    logs, counts, summary, _ = made
    every = import_logs([logs], tmp_path, include=BROKE_OFF)
    wanted = {name: word for name, word in REASONS.items() if word in BROKE_OFF}
    assert every.accepted - summary.accepted == sum(counts[name] for name in wanted)
    assert every.outcomes["timeout"] == counts["timeout"] + counts["mgc_timeout"]
    assert every.notes["timeout_under_outcome"] == counts["timeout"]  # stands under win or loss
    under_error = (counts["no_actions"] + 1) // 2, counts["no_actions"] // 2
    errors = every.outcomes["error"] - counts["error"] - counts["mgc_error"]
    assert errors in under_error


def test_the_files_look_like_a_competitors(made: Made) -> None:
    logs = made[0]
    roles: Counter[str] = Counter()
    lengths, shapes = [], Counter[str]()
    for file in sorted((logs / "competitor").glob("game_*.json")):
        try:
            game = json.loads(file.read_bytes())
            roles[str(game["role"])] += 1
        except (ValueError, KeyError):
            continue
        shapes["history" if "history" in game else "observations"] += 1
        said = game.get("actions") or []
        lengths += [len(a["action"]) for a in said if isinstance(a["action"], str)]
        if "history" not in game and file.stem.endswith(("_win", "_loss")):
            repeats_the_transcript(game["observations"])
    assert {"None", "Role.VILLAGER", "villager", "Villager"} <= set(roles)
    assert min(shapes.values()) > 0 and len(shapes) == 2
    assert sum(length <= 4 for length in lengths) > 0.1 * len(lengths)


def repeats_the_transcript(observations) -> None:
    texts = [seen.get("content") for seen in observations if isinstance(seen, dict)]
    for before, after in pairwise(texts):
        if isinstance(before, str):
            assert after.startswith(before) and len(after) > len(before)
    if texts and isinstance(texts[0], str):  # at every turn, whatever phase it is
        assert ("NIGHT phase" in texts[0]) is ("Your role: Villager" not in texts[0])


def test_both_shapes_and_the_public_row_say_the_same(games, tmp_path) -> None:
    game = games[0]
    new = competitor_record(game, 1)
    files = {"new.json": new, "old.json": FORMS["older_shape"](new), "row.json": mgc_rows(game)[1]}
    for name, value in files.items():
        (tmp_path / name).write_text(json.dumps(value))
    import_logs([tmp_path], tmp_path / "out")
    new_one, old_one, row = read_episodes(tmp_path / "out" / "episodes.jsonl")
    assert new_one.turns == old_one.turns == row.turns
    assert new_one.returns == old_one.returns == row.returns == game.rewards
    assert {e.provenance["match"] for e in (new_one, old_one, row)} == {game.name}
    assert len(new_one.turns) == len(game.view(1))


def test_both_teams_win_and_replies_vary(games) -> None:
    won = Counter(
        "Mafia" if game.rewards[game.roles.index(MAFIA)] > 0 else "Village" for game in games
    )
    assert min(won["Mafia"], won["Village"]) >= GAMES // 5
    steps = [step for game in games for step in game.steps]
    talk = [step.reply for step in steps if step.phase == "Day-Discussion"]
    assert len(set(talk)) > 0.5 * len(talk)
    assert {style for game in games for style in game.styles} == set(STYLES)
    assert not all(step.valid for step in steps)
    assert {len(game.roles) for game in games} == {6, 7, 8, 9}


@pytest.fixture
def own_random():
    """Tests that draw from Python's global generator put it back."""
    state = random.getstate()
    yield
    random.setstate(state)


@pytest.mark.usefixtures("own_random")
def test_the_same_seed_makes_the_same_bytes(tmp_path: Path) -> None:
    whole = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        random.seed(name)  # what others draw changes nothing
        counts = make_logs("mafia", tmp_path / name, games=7, seed=seed, traps=True)
        folder = tmp_path / name
        files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.*")}
        whole.append((counts, files))
    assert whole[0] == whole[1]
    assert whole[0][1] != whole[2][1] and len(whole[0][1]) > 7


@pytest.mark.usefixtures("own_random")
def test_the_global_random_numbers_are_left_as_they_were() -> None:
    random.seed(3)
    before = random.getstate()
    first = play(0, 1)
    assert random.getstate() == before
    random.seed(4)
    assert play(0, 1) == first


@pytest.mark.parametrize("games_", [1, 2, 3])
def test_few_games_hold_every_trap_of_their_folder(tmp_path: Path, games_: int) -> None:
    listener = Listener()
    counts = make_logs(
        "mafia", tmp_path / "logs", games=games_, seed=2, traps=True,
        progress=listener,
    )  # fmt: skip
    assert listener.steps == [("games", n, games_) for n in range(1, games_ + 1)]
    assert min(counts[name] for name in FAULTS) > 0
    assert ("mgc_error" in counts) is (games_ > 2)
    summary = import_logs([tmp_path / "logs"], tmp_path / "out")
    assert summary.rejected_by_reason == planted(counts, REASONS)
    assert summary.read == counts["competitor"] + counts["mgc"]


def test_without_traps_everything_is_taken(tmp_path: Path) -> None:
    counts = make_logs("mafia", tmp_path / "logs", games=9, seed=1, traps=False)
    assert set(counts) == {"games", "competitor", "mgc", "no_row"}
    summary = import_logs([tmp_path / "logs"], tmp_path / "out")
    assert (summary.rejected, summary.notes) == (0, {})
    assert summary.episodes == counts["competitor"] + counts["mgc"]


def test_two_commands_make_logs_and_read_them(tmp_path: Path, capsys) -> None:
    logs, out = tmp_path / "logs", tmp_path / "out"
    assert main(["data", "make-logs", "mafia", str(logs), "--games", "20"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "tesuji data import" in shown and "role null" in shown
    assert main(["data", "import", str(logs), "--out", str(out)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    summary = read_json(out / "import_summary.json")
    assert summary["read"] == summary["accepted"] + summary["rejected"]
    assert f"{summary['episodes']}" in shown and "not taken, each with its reason" in shown


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path, capsys) -> None:
    (tmp_path / "old.json").write_text("{}")
    with pytest.raises(DataError, match="not empty"):
        make_logs("mafia", tmp_path, games=1, seed=1, traps=False)
    assert main(["data", "make-logs", "mafia", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert told.count("not empty") == 1 and "name another folder" in " ".join(told.split())
    assert "Traceback" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]
