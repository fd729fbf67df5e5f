"""A seat at TextArena's own tables: the library's client and a server that says what it reads."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

textarena = pytest.importorskip("textarena")

from textarena_server import Tables, textarena_servers  # noqa: E402

from tesuji.cli.main import main  # noqa: E402
from tesuji.core.errors import EngineError, GameError  # noqa: E402
from tesuji.core.types import Ending, Episode, Task  # noqa: E402
from tesuji.episodes.arena import play_matches  # noqa: E402
from tesuji.games.catalogue import load_game  # noqa: E402
from tesuji.games.textarena.game import TextArenaGame  # noqa: E402
from tesuji.games.textarena.online import Entry, OnlineGame  # noqa: E402
from tesuji.players.basic.random import RandomPlayer  # noqa: E402

ENTRY = Entry("ours", "tiny", email="someone@example.org")


@pytest.fixture
def tables() -> Tables:
    return Tables("SecretMafia-v0", seat=2, players=6)


@pytest.fixture
def online(tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tables]:
    import textarena.api as api

    with textarena_servers(tables, tmp_path) as address:
        monkeypatch.setattr(api, "MATCHMAKING_WS_URI", f"ws://{address}/ws")
        monkeypatch.setattr(api, "MATCHMAKING_HTTP_URI", f"http://{address}")
        yield tables


def played(entry: Entry = ENTRY, name: str = "SecretMafia-v0", patience: float = 20) -> Episode:
    table = load_game(name)
    assert isinstance(table, TextArenaGame)
    game = OnlineGame(name, table.options, table, entry, patience)
    seats, players = ("ours",) * game.num_players, {"ours": RandomPlayer()}
    with closing(game):
        [episode] = play_matches([Task(name, 0, seats)], game=game, players=players)
    return episode


def test_a_match_is_played_and_recorded(online: Tables, capfd: Any) -> None:
    episode = played()
    assert episode.ending is Ending.FINISHED and episode.provenance["online"] is True
    assert episode.provenance["seat"] == 2 and len(episode.returns) == 6
    assert episode.returns[2] in (1.0, -1.0)
    assert episode.provenance["rating_change"] == 0.5 * episode.returns[2]
    assert [turn.attempts[-1].reply for turn in episode.turns] == online.actions
    assert "You are Player 2" in episode.turns[0].observation
    assert online.queued[0]["model_name"] == "ours" and online.queued[0]["environments"] == [75]
    said = capfd.readouterr()
    assert online.registered["ours"] not in said.out + said.err
    assert [one for one in threading.enumerate() if one.name == "textarena"] == []


def test_it_is_shown_what_a_table_here_shows(online: Tables) -> None:
    """The same seed, the same seat: the first observation is that of a match played here."""
    here = load_game("SecretMafia-v0", {"num_players": 6}).start(1)
    assert here.observe(2) and played().turns[0].observation.startswith(here.observe(2))


def test_a_name_that_is_taken_is_told(online: Tables) -> None:
    online.registered["ours"] = "of somebody else"
    with pytest.raises(GameError, match="does not take this entry") as told:
        played()
    assert "different model name" in str(told.value)


def test_nobody_comes(online: Tables) -> None:
    online.nobody_comes = True
    with pytest.raises(EngineError, match="no match was found"):
        played(patience=1)
    assert [one for one in threading.enumerate() if one.name == "textarena"] == []


def test_a_server_that_hangs_up_ends_the_match_as_an_error(online: Tables) -> None:
    online.hang_up_after = 1
    episode = played()
    assert episode.ending is Ending.ERROR and len(episode.turns) == 1


def test_a_token_of_ones_own_registers_nobody(online: Tables) -> None:
    played(Entry("ours", "tiny", token="my-own-token-1234"))
    assert online.registered == {}
    assert online.queued[0]["model_token"] == "my-own-token-1234"


def test_the_mindgames_challenge_has_a_door_of_its_own(online: Tables) -> None:
    entry = Entry("ours", "tiny", track="Social Detection", team_hash="MG25-1", small=True)
    episode = played(entry, "SecretMafia-v0-train")
    assert episode.ending is Ending.FINISHED and online.queued[0]["environments"] == [75]


def test_what_cannot_be_an_entry_is_refused_before_a_model_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    for more, words in (
        ([], "--email"),
        (["--track", "Social Detection"], "--team-hash"),
        (["--track", "Chess"], "Social Detection"),
    ):
        assert main(["play-online", str(tmp_path), "--name", "ours", *more]) == 2
        assert words in capsys.readouterr().err
