import json
import logging
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tesuji.core.errors import DataError
from tesuji.core.types import (
    Attempt,
    Ending,
    Episode,
    Found,
    Message,
    Move,
    Sampled,
    Turn,
)
from tesuji.episodes.store import (
    EpisodeWriter,
    episode_from_row,
    episode_to_row,
    read_episodes,
    write_episodes,
)

numbers = st.integers(-(2**53), 2**53)
texts = st.text(max_size=12)
token_ids = st.lists(st.integers(0, 200_000), max_size=4).map(tuple)
moves = st.none() | st.builds(Move, id=numbers, text=texts)
messages = st.builds(Message, role=texts, content=texts)
sampled = st.builds(
    Sampled,
    prompt_ids=token_ids,
    reply_ids=token_ids,
    logprobs=st.lists(st.floats(allow_nan=False), max_size=4).map(tuple),
    stopped=st.booleans(),
)
attempts = st.builds(
    Attempt,
    reply=texts,
    thought=texts,
    found=st.sampled_from(Found),
    move=moves,
    problem=texts,
    prompt=st.lists(messages, max_size=2).map(tuple),
    tokens=st.none() | sampled,
)
turns = st.builds(
    Turn,
    seat=numbers,
    role=texts,
    observation=texts,
    attempts=st.lists(attempts, max_size=2).map(tuple),
    played=moves,
    reward=st.floats(allow_nan=False),
)
plain = st.dictionaries(texts, st.none() | st.booleans() | numbers | texts, max_size=3)
episodes = st.builds(
    Episode,
    game=texts,
    options=plain,
    seed=numbers,
    players=st.lists(texts, max_size=3).map(tuple),
    turns=st.lists(turns, max_size=3).map(tuple),
    returns=st.lists(st.floats(allow_nan=False), max_size=3).map(tuple),
    ending=st.sampled_from(Ending),
    reason=texts,
    offender=st.none() | st.integers(0, 3),
    provenance=plain,
    format=st.just(1),
)


def an_episode(reply: str = "b2", **changes: object) -> Episode:
    move = Move(4, "b2")
    attempt = Attempt(
        reply,
        thought="centre",
        found=Found.EXACT,
        move=move,
        prompt=(Message(role="user", content="?"),),
        tokens=Sampled((1, 2), (7,), (-0.1 - 0.2,)),
    )
    fields = {
        "game": "tic_tac_toe",
        "options": {},
        "seed": 3,
        "players": ("model", "random"),
        "turns": (Turn(0, "x", "...\n...\n...", (attempt,), move),),
        "returns": (1.0, -1.0),
    }
    return Episode(**{**fields, **changes})


@given(episodes)
def test_what_is_written_is_what_is_read(episode: Episode) -> None:
    text = json.dumps(episode_to_row(episode), allow_nan=False)
    assert episode_from_row(json.loads(text)) == episode


@given(st.lists(episodes, max_size=3))
def test_a_file_holds_the_episodes_in_order(tmp_path_factory, written) -> None:
    path = tmp_path_factory.mktemp("episodes") / "episodes.jsonl"
    assert write_episodes(path, written) == len(written)
    assert list(read_episodes(path)) == written


def test_returns_that_are_not_numbers_survive() -> None:
    row = episode_to_row(an_episode(returns=(math.nan, math.inf, -math.inf)))
    nan, *infinities = episode_from_row(json.loads(json.dumps(row, allow_nan=False))).returns
    assert math.isnan(nan)
    assert infinities == [math.inf, -math.inf]


def test_rows_are_compact_and_say_their_format(tmp_path) -> None:
    path = tmp_path / "episodes.jsonl"
    write_episodes(path, [an_episode()])
    line = path.read_text().rstrip("\n")
    assert line.startswith('{"format":1,')
    assert "provenance" not in line


def test_a_lone_surrogate_cannot_break_the_file(tmp_path) -> None:
    path = tmp_path / "episodes.jsonl"
    write_episodes(path, [an_episode(reply="b2\ud800")])
    (episode,) = read_episodes(path)
    assert episode.turns[0].attempts[0].reply == "b2\ufffd"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda row: row["turns"][0].update(seat="first"), "turns.0.seat"),
        (lambda row: row["turns"][0].pop("observation"), "turns.0.observation"),
        (lambda row: row.update(colour="red"), "colour"),
        (lambda row: row["turns"][0]["attempts"][0].update(found="guessed"), "attempts.0.found"),
        (lambda row: row.update(ending="bored"), "ending"),
        (lambda row: row.update(format=2), "format 2"),
        (lambda row: row["turns"][0]["attempts"][0].update(reply=None), "attempts.0.reply"),
    ],
)
def test_a_bad_row_names_file_line_and_field(tmp_path, spoil, said) -> None:
    row = episode_to_row(an_episode())
    spoil(row)
    path = tmp_path / "episodes.jsonl"
    path.write_text(json.dumps(episode_to_row(an_episode())) + "\n" + json.dumps(row) + "\n")
    with pytest.raises(DataError) as caught:
        list(read_episodes(path))
    assert str(path) + ":2" in str(caught.value)
    assert said in str(caught.value)


def test_a_row_that_is_no_object_is_refused() -> None:
    with pytest.raises(DataError, match="log:1: an episode must be a JSON object"):
        episode_from_row([1, 2], where="log:1")


def test_a_writer_appends_and_each_line_is_there_at_once(tmp_path) -> None:
    path = tmp_path / "new" / "episodes.jsonl"
    with EpisodeWriter(path) as writer:
        writer.write(an_episode(seed=1))
        assert [episode.seed for episode in read_episodes(path)] == [1]
        writer.write(an_episode(seed=2))
    with EpisodeWriter(path) as writer:
        assert writer.count == 2
        writer.write(an_episode(seed=3))
    assert [episode.seed for episode in read_episodes(path)] == [1, 2, 3]


def test_a_torn_last_line_is_dropped_and_told(tmp_path, caplog) -> None:
    path = tmp_path / "episodes.jsonl"
    write_episodes(path, [an_episode(seed=1), an_episode(seed=2)])
    path.write_bytes(path.read_bytes()[:-40])
    with caplog.at_level(logging.WARNING), EpisodeWriter(path) as writer:
        assert writer.dropped
        assert writer.count == 1
        writer.write(an_episode(seed=3))
    assert "torn last line" in caplog.text
    assert [episode.seed for episode in read_episodes(path)] == [1, 3]


def test_an_unwritable_place_is_one_clear_message(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        EpisodeWriter(tmp_path / "file" / "episodes.jsonl")
    with pytest.raises(DataError, match="cannot write"):
        write_episodes(tmp_path / "file" / "episodes.jsonl", [])


def test_a_full_disk_is_one_clear_message(tmp_path) -> None:
    writer = EpisodeWriter(tmp_path / "episodes.jsonl")
    writer.close()
    writer._file = Path("/dev/full").open("ab", buffering=0)  # noqa: SIM115
    with pytest.raises(DataError, match="No space left") as caught:
        writer.write(an_episode())
    writer.close()
    assert "free some disk space" in caught.value.hint
