"""The move in a reply: what counts as said, and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tesuji.core.types import Found, Move
from tesuji.players.prompting.parse_reply import LONGEST, read_reply, split_thought

BOARD = tuple(Move(i, f"o({i // 3},{i % 3})") for i in range(9) if i != 2)
BETS = (Move(0, "Fold"), Move(1, "Bet"), Move(2, "Bet 10"))
CHESS = (Move(7, "bxc3"), Move(9, "Bxc3"), Move(11, "a4"))


@pytest.mark.parametrize(
    ("text", "found", "number"),
    [
        ("o(0,0)", Found.EXACT, 0),
        ("  o(0,0)\n", Found.EXACT, 0),
        ("4", Found.ID, 4),
        ("**4**", Found.ID, 4),
        ("I choose 4.", Found.ID, 4),
        ("Choice:4", Found.ID, 4),
        ("\\boxed{4}", Found.ID, 4),
        ("<think>0, or 1?</think>\n\n5", Found.ID, 5),
        ("so 0 it is</think>6", Found.ID, 6),
        ("`o(0,0)`.", Found.SOFT, 0),
        ("O (1, 1)", Found.SOFT, 4),
        ("o 1,1", Found.SOFT, 4),
        ("I play o(1, 1) now", Found.SOFT, 4),
        ("4 -> o(1,1)", Found.SOFT, 4),
        ("o(1,1)! Yes, o(1,1).", Found.SOFT, 4),
        ("o(0,0), because 3 in a row", Found.SOFT, 0),
    ],
)
def test_a_move_that_was_said_is_found(text, found, number):
    attempt = read_reply(text, BOARD)
    assert (attempt.found, attempt.move) == (found, {m.id: m for m in BOARD}[number])
    assert attempt.problem == "" and attempt.reply == text


@pytest.mark.parametrize(
    "text",
    [
        "2",
        "o(0,2)",
        "Play o(0,2)",
        "-4",
        "−4",
        "+4",
        "4.5",
        "0.4",
        "4,5",
        "4%",
        "04",
        "v4",
        "4th",
        "the 3rd",
        "row 1, column 1",
        "o 1 1",
        "I choose 12 in 3 moves",
        "0 or 1",
        "o(0,0) or o(1,1)",
        "\n".join(f"{move.id} -> {move.text}" for move in BOARD),
        "<think> 4",
        "4 <think> or 5",
        "<think>4</think>",
        "hello",
        "",
        "\ud800",
        "\x00\x01",
        "4" * (LONGEST + 1),
    ],
)
def test_what_was_not_clearly_said_is_no_move(text):
    attempt = read_reply(text, BOARD)
    assert attempt.move is None and attempt.found is Found.NONE and attempt.problem


def test_several_moves_are_named_in_the_problem():
    assert "o(0,0), o(1,1)" in read_reply("o(0,0) or o(1,1)?", BOARD).problem


@pytest.mark.parametrize(
    ("text", "move"),
    [
        ("Bet", 1),
        ("bet 10", 2),
        ("I Bet 10!", 2),
        ("I fold", 0),
        ("Bet 100", None),
        ("betting", None),
    ],
)
def test_a_longer_notation_is_not_mistaken_for_a_shorter_one(text, move):
    said = read_reply(text, BETS).move
    assert (said.id if said else None) == move


@pytest.mark.parametrize(
    ("text", "move"), [("Bxc3", 9), ("I go bxc3", 7), ("BXC3", None), ("A4", 11)]
)
def test_case_tells_moves_apart_only_where_it_must(text, move):
    said = read_reply(text, CHESS).move
    assert (said.id if said else None) == move


def test_prefer_decides_where_number_and_notation_disagree():
    numbers = (Move(0, "1"), Move(1, "0"))
    assert read_reply("1", numbers).move == numbers[0]
    assert read_reply("1", numbers, prefer="id").move == numbers[1]
    assert read_reply("1 -> o(0,0)", BOARD).move == BOARD[0]
    assert read_reply("1 -> o(0,0)", BOARD, prefer="id").move == BOARD[1]


def test_a_letter_is_a_move_only_by_itself():
    letters = (Move(0, "a"), Move(1, "I"))
    assert read_reply("a", letters).move == letters[0]
    assert read_reply("(a).", letters).move == letters[0]
    assert read_reply("I take a risk", letters).move is None


def test_free_text_is_a_move_as_a_whole():
    attempt = read_reply("<think>hm</think>\n Player 3 lies. \n", None)
    assert attempt.move == Move(-1, "Player 3 lies.") and attempt.thought == "hm"
    assert read_reply("  ", None).move is None


def test_a_reply_that_is_not_text_has_no_move():
    for reply in (b"o(0,0)", None, 4):
        attempt = read_reply(reply, BOARD)
        assert attempt.move is None and "not text" in attempt.problem


def test_a_reply_can_always_be_stored():
    read_reply("a\ud800b", BOARD).reply.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("<think>\na\n</think>\n\nb", "a", "b"),
        ("a</think>b", "a", "b"),
        ("<think>a</think>x<think>b</think>c", "axb", "c"),
        ("<think>a", "a", ""),
        ("b", "", "b"),
    ],
)
def test_thought_and_said_are_told_apart(text, thought, said):
    assert split_thought(text) == (thought, said)


moves = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=8, unique=True).map(
    lambda texts: tuple(Move(i * 3, text) for i, text in enumerate(texts))
)


@given(
    st.text(max_size=60) | st.from_regex(r"[o0-9(), .<>/\-think]*"),
    moves,
    st.sampled_from(["id", "move"]),
)
def test_any_reply_gives_a_legal_move_or_a_problem(text, legal, prefer):
    attempt = read_reply(text, legal, prefer=prefer)
    assert (attempt.move in legal and not attempt.problem) or (
        attempt.move is None and attempt.found is Found.NONE and attempt.problem
    )


@given(st.data())
def test_notation_and_number_are_always_found(data):
    legal = data.draw(moves.filter(lambda legal: all(_plain(m.text) for m in legal)))
    move = data.draw(st.sampled_from(legal))
    said = read_reply(move.text, legal)
    assert said.found is Found.EXACT and said.move is not None
    assert said.move.text.strip() == move.text.strip()
    by_number = read_reply(f" {move.id}\n", legal, prefer="id")
    assert (by_number.found, by_number.move) == (Found.ID, move)


def _plain(text):
    """Whether a reply of just this text says it: not blank, not a thought, not unstorable."""
    return text.strip() and "think>" not in text and text.isprintable()
