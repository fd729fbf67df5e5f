"""What a SecretMafia log says of moves and outcomes, beside what it says in other words."""

from typing import Any

import pytest
from made_logs import BEGIN, DAY, NIGHT, TALK, VOTE, game, older, row

from tesuji.core.types import Episode
from tesuji.games.textarena.secretmafia import bare_bracket
from tesuji.logs.base import Record
from tesuji.logs.formats.mafia_outcome import claim
from tesuji.logs.registry import importer

START = BEGIN.format(seat=1, role="Doctor") + NIGHT
REFUSED = (
    "[GAME] Player 1 attempted an invalid move. Reason: Invalid protection target. Please resubmit "
    "a valid move and remember to follow the game rules to avoid penalties.\n"
)
OUT = "[GAME] Player 1 has been eliminated by making an invalid move.\n"


def read(value: dict[str, Any], kind: str = "mafia") -> Episode:
    episode = importer(kind).read(Record(value, "a.json"))
    assert isinstance(episode, Episode)
    return episode


def log(shown: list[str], said: list[str], **changes: Any) -> dict[str, Any]:
    """A log of these observations and actions, numbered from 0."""
    observations = [{"turn": n, "content": text} for n, text in enumerate(shown)]
    actions = [{"turn": n, "action": text} for n, text in enumerate(said)]
    facts = {"observations": observations, "actions": actions, "game_info": {}, **changes}
    return game(**facts)


@pytest.mark.parametrize(
    ("reply", "news", "move"),
    [
        ("2", "[Player 1] [2]\n" + DAY, (2, "[2]")),  # a wrapper put it into brackets
        ("Player 4", DAY, (4, "[4]")),
        ("[1]", DAY, (1, "[1]")),  # itself, though it is not listed
        ("I protect number 4.", DAY, (4, "[4]")),  # whatever it was made of: it was taken
        ("whoever", DAY, (-1, "whoever")),  # taken, and nobody knows for whom
        ("the quiet one", "[Player 1] [0]\n" + DAY, (0, "[0]")),  # the game repeats what it took
        ("[2]", REFUSED, None),  # listed, and refused all the same
        ("[2]", OUT + DAY, None),
        ("[2]", "[Player 4] " + REFUSED[7:] + DAY, (2, "[2]")),  # said by another player
        ("[2]", REFUSED.replace("Player 1", "Player 3") + DAY, (2, "[2]")),
        ("", DAY, None),
    ],
)
def test_what_is_shown_next_judges_a_move(reply: str, news: str, move: Any) -> None:
    shown = [START, START + news]
    for value in (log(shown, [reply, "I trust all."]), log(shown, [reply])):
        turn = read(value).turns[0]
        assert turn.phase == "night_doctor" and turn.played == move
        assert (move in turn.legal_moves) is (move is not None and move[0] >= 0)
    windowed = [START, START[-300:] + news]  # the transcript cut at its beginning
    assert read(log(windowed, [reply, "hm"])).turns[0].played == move
    assert read(log([START, news], [reply, "hm"])).turns[0].played == move  # only what is new
    steps = {"1.0": {"observation": START, "action": reply}}
    steps["2.0"] = {"observation": START + news, "action": "hm"}
    assert read(row(observations=steps), "mgc").turns[0].played == move


def test_the_same_in_the_older_shape() -> None:
    history = [
        {"observation": START, "response": "2"},
        {"observation": START + DAY, "response": "x"},
    ]
    assert read(older() | {"history": history}).turns[0].played == (2, "[2]")


@pytest.mark.parametrize(
    ("reply", "invalid", "move"),
    [
        ("2", None, (2, "[2]")),
        ("[1]", None, (1, "[1]")),
        ("[3]", None, None),
        ("I wait", None, None),
        ("[3]", False, (3, "[3]")),
        ("[2]", True, None),
    ],
)
def test_a_last_move_is_judged_by_the_end_of_the_log(reply, invalid, move) -> None:
    info = {} if invalid is None else {"1": {"invalid_move": invalid}}
    assert read(log([START], [reply], game_info=info)).turns[0].played == move


def test_one_of_the_mafia_may_name_its_own_while_they_live() -> None:
    begin = BEGIN.format(seat=1, role="Mafia") + "Your teammates are: Player 1, Player 3.\n"
    night = "[GAME] Night has fallen. Mafia, agree on a victim.\nValid targets: [0], [2]\n"
    gone = begin + DAY + "[GAME] Player 3 was eliminated by vote.\n"
    assert read(log([begin + night], ["[3]"])).turns[0].played == (3, "[3]")
    assert read(log([gone + night], ["[3]"])).turns[0].played is None


def test_a_second_try_without_brackets_is_none() -> None:
    """No wrapper was there, or the first try would have been taken."""
    turns = read(log([START, START + REFUSED], ["I protect 2", "2"])).turns
    assert [turn.played for turn in turns] == [None, None]
    assert "Invalid protection target" in turns[0].attempts[0].problem


MAFIA_WON, VILLAGE_WON = ("win", "loss"), ("loss", "win")
NOTHING = ("", "")


@pytest.mark.parametrize(
    ("words", "seen"),  # by one of the Mafia, by a villager
    [
        ("win", ("win", "win")),
        ("Outcome.LOSS", ("loss", "loss")),
        ("game_won", ("win", "win")),
        ("Defeat", ("loss", "loss")),
        ("My team wins", ("win", "win")),
        ("loss by vote", ("loss", "loss")),
        ("draw", ("draw", "draw")),
        ("Draw between Mafia and Village", ("draw", "draw")),
        ("Village wins", VILLAGE_WON),
        ("The villagers have won!", VILLAGE_WON),
        ("victory for the village", VILLAGE_WON),
        ("All Mafia were eliminated. Village wins!", VILLAGE_WON),
        ("Mafia lost", VILLAGE_WON),
        ("The town defeated the mafia", VILLAGE_WON),
        ("Mafia defeated by the village", VILLAGE_WON),
        ("mafia_win", MAFIA_WON),
        ("MafiaWins", MAFIA_WON),
        ("winner: Mafia", MAFIA_WON),
        ("Mafia reached parity with villagers. Mafia wins!", MAFIA_WON),
        ("village lost to mafia", MAFIA_WON),
        ("Mafia wins over the village", MAFIA_WON),
        ("lost to mafia", ("", "loss")),
        ("lost to the village", ("loss", "")),
        ("won against the mafia", ("", "win")),
        ("win as mafia", ("win", "")),
        ("loss (village wins)", ("loss", "")),
        ("lost to mafia wins", NOTHING),
        ("Game over: town victory", VILLAGE_WON),
        ("Player 3 wins", NOTHING),
        ("P4_WINS", NOTHING),
        ("Ada won", NOTHING),
        ("winner: Ada", NOTHING),
        ("victory of Player 0", NOTHING),
        ("The other team wins", NOTHING),
        ("did not win", NOTHING),
        ("nobody won", NOTHING),
        ("win or loss", NOTHING),
        ("Village wins. Mafia wins.", NOTHING),
        ("twins in the window", NOTHING),
        ("closs", NOTHING),
        ("", NOTHING),
        (3, NOTHING),
        (None, NOTHING),
    ],
)
def test_who_won_is_read_by_team_and_role(words: object, seen: tuple[str, str]) -> None:
    assert (claim(words, "Mafia").result, claim(words, "Village").result) == seen
    for role, result in (("Mafia", seen[0]), ("Villager", seen[1])):
        begin = BEGIN.format(seat=1, role=role) + NIGHT
        value = log([begin], ["[2]"], outcome=words, role=role, reward=0)
        about = read(value).provenance
        assert about["outcome"] == result
        assert (1 in about.get("winners", [])) is (result == "win")


VILLAGE = {"1": {"reason": "All Mafia were eliminated. Village wins!"}}


@pytest.mark.parametrize(
    ("changes", "outcome", "notes"),
    [
        ({"outcome": "win", "reward": 1, "game_info": VILLAGE}, "win", []),
        (
            {"outcome": "loss", "reward": 0, "game_info": VILLAGE},
            "win",
            ["outcome_contradicts_game"],
        ),
        (
            {"outcome": "win", "reward": 0, "game_info": {"1": {"outcome": "loss"}}},
            "loss",
            ["outcome_contradicts_game"],
        ),
        ({"outcome": "win", "reward": -0.23}, "win", ["reward_contradicts_outcome"]),
        ({"outcome": "loss", "reward": 1.4}, "loss", ["reward_contradicts_outcome"]),
        ({"outcome": "?", "reward": 0, "game_info": VILLAGE}, "win", ["outcome_unread"]),
        ({"outcome": 1, "reward": 0}, "", ["outcome_unread"]),
        (
            {
                "outcome": "win",
                "reward": 0,
                "game_info": {"1": {**VILLAGE["1"], "outcome": "loss"}},
            },
            "win",
            ["game_info_contradicts_itself"],
        ),
        (
            {"outcome": "", "reward": 0, "game_info": {"0": {"role": "Mafia", "outcome": "loss"}}},
            "win",
            [],
        ),
    ],
)
def test_contradictions_are_noted_and_the_game_is_believed(changes, outcome, notes) -> None:
    about = read(
        log([START], ["[2]"], **{"raw_rewards": {}, "game_info": {}, **changes})
    ).provenance
    assert about["outcome"] == outcome and (1 in about.get("winners", [])) is (outcome == "win")
    assert [note for note in about.get("notes", []) if note != "fractional_reward"] == notes


def test_a_public_row_whose_words_contradict_its_payment_says_so() -> None:
    assert "notes" not in read(row(), "mgc").provenance
    notes = read(row(reason="Mafia reached parity. Mafia wins!"), "mgc").provenance["notes"]
    assert notes == ["reward_contradicts_reason"]
    words = read(row(reason="The terror of the night. Village wins!"), "mgc").provenance
    assert "left_out" not in words


@pytest.mark.parametrize(
    ("reply", "bare"),
    [
        ("[3]", True),
        (" [ Player 3 ]. ", True),
        ("3", True),
        ("[1][2]", True),
        ("I say [3]", False),
        ("[sigh]", False),
        ("", False),
        ("1" * 10_000, False),
    ],
)
def test_a_speech_that_is_nothing_but_a_bracket(reply: str, bare: bool) -> None:
    assert bare_bracket(reply) is bare
    notes = read(log([START + DAY + TALK], [reply])).provenance.get("notes", [])
    assert ("bare_bracket_in_discussion" in notes) is bare
    assert "bare_bracket_in_discussion" not in read(log([START + VOTE], [reply])).provenance.get(
        "notes", []
    )
