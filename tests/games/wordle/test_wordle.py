"""Wordle: marks against a count by hand, words and their split, rules, replies, what leaks out."""

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tesuji.core.errors import DataError, GameError, IllegalMove
from tesuji.core.types import Found, Move
from tesuji.games.catalogue import game_info, list_games, load_game
from tesuji.games.wordle.game import WordleMatch, uses_hints
from tesuji.games.wordle.words import MarksTable, code_of, held_out, marks, word_list
from tesuji.players.prompting.parse_reply import read_reply
from tesuji.players.prompting.prompt import answer_text, build_prompt
from tesuji.recipe.schema.sections import PromptSection

SMALL = {"words": 60, "length": 3}
slow = settings(deadline=None)  # the first call reads the word list
LETTERS = st.text("abc", min_size=4, max_size=4)  # few letters: repeated ones are the rule


def by_hand(guess: str, answer: str) -> str:
    """Letter by letter of the alphabet: its right places, then as many more as the answer has."""
    found = ["X"] * len(guess)
    for letter in set(guess):
        places = [i for i, g in enumerate(guess) if g == letter]
        right = [i for i in places if answer[i] == letter]
        others = [i for i in places if i not in right][: answer.count(letter) - len(right)]
        for place in right:
            found[place] = "G"
        for place in others:
            found[place] = "Y"
    return "".join(found)


def guess(match: WordleMatch, *words: str) -> WordleMatch:
    for word in words:
        match.play(0, match.game.moves[match.game.guesses.index(word)])
    return match


def hiding(answer: str, **options: object) -> WordleMatch:
    """A match with this answer, the words most frequent first."""
    return WordleMatch(load_game("wordle", {"words": 5000, "split": "all", **options}), answer)


@pytest.mark.parametrize(
    ("guessed", "answer", "expected"),
    [
        ("crane", "crane", "GGGGG"),
        ("speed", "abide", "XXYXY"),
        ("speed", "erase", "YXYYX"),
        ("speed", "steal", "GXGXX"),
        ("speed", "crepe", "XYGYX"),
        ("allee", "eagle", "YYXYG"),
        ("eerie", "crane", "XXYXG"),
        ("mamma", "maxim", "GGYXX"),
    ],
)
def test_known_marks(guessed: str, answer: str, expected: str) -> None:
    assert marks(guessed, answer) == by_hand(guessed, answer) == expected


@slow
@given(guessed=LETTERS, answer=LETTERS)
def test_marks_are_those_counted_by_hand(guessed: str, answer: str) -> None:
    assert marks(guessed, answer) == by_hand(guessed, answer)


def test_the_table_says_the_same_for_every_pair_of_words() -> None:
    words = tuple(map("".join, itertools.product("abc", repeat=4)))
    table = MarksTable(words, words[::2])
    row = [int(code) for code in table.row(7)]
    full = table.full()
    assert full.shape == (81, 41) and row == full[7].tolist()
    for i, one in enumerate(words):
        assert full[i].tolist() == [code_of(by_hand(one, other)) for other in words[::2]]


@slow
@given(answer=st.integers(0, 59), guesses=st.lists(st.integers(0, 59), max_size=3))
def test_the_words_still_possible_are_those_that_would_be_marked_alike(
    answer: int, guesses: list[int]
) -> None:
    game = load_game("wordle", {**SMALL, "split": "all"})
    match = WordleMatch(game, game.words[answer])
    for place in guesses:
        if match.to_act:
            match.play(0, game.moves[place])
    alike = [
        i
        for i, word in enumerate(game.words)
        if all(by_hand(said, word) == shown for said, shown in match.history)
    ]
    assert list(match.possible()) == alike and answer in alike


def test_words_are_the_frequent_ones_and_the_same_every_time() -> None:
    words = word_list(2000, 5)
    assert words[:3] == ("about", "their", "there") and len(set(words)) == 2000
    assert word_list(500, 5) == words[:500]
    assert all(len(word) == 4 and word.isalpha() for word in word_list(300, 4))


def test_a_file_of_words_and_what_is_wrong_with_one(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("Crane\nslate\ncrane\nother words\nno-no\n")
    assert load_game("wordle", {"words": str(file)}).words == ("crane", "slate", "other", "words")
    with pytest.raises(DataError, match="not two words of 7 letters"):
        _ = load_game("wordle", {"words": str(file), "length": 7}).words
    with pytest.raises(DataError, match="cannot read"):
        _ = load_game("wordle", {"words": str(tmp_path / "none.txt")}).words
    with pytest.raises(GameError, match="words of 2 letters, not 20,000"):
        _ = load_game("wordle", {"words": 20_000, "length": 2}).words


def test_the_split_is_by_word_whatever_the_list() -> None:
    sides = {
        split: set(load_game("wordle", {"split": split, "held_out": 0.25}).answers)
        for split in ("train", "held_out", "all")
    }
    assert not sides["train"] & sides["held_out"]
    assert sides["train"] | sides["held_out"] == sides["all"]
    assert 400 < len(sides["held_out"]) < 600
    fewer = load_game("wordle", {"split": "held_out", "held_out": 0.25, "words": 500})
    assert set(fewer.answers) == sides["held_out"] & set(fewer.words)
    other = load_game("wordle", {"split": "held_out", "held_out": 0.25, "split_seed": 1})
    assert set(other.answers) != sides["held_out"]
    assert held_out("crane", 1.0, 0) and not held_out("crane", 0.0, 0)
    with pytest.raises(GameError, match="on the side `held_out`"):
        load_game("wordle", {**SMALL, "held_out": 0.0, "split": "held_out"}).start(1)


def test_answers_of_a_side_only_and_the_same_for_the_same_seed() -> None:
    game = load_game("wordle", {**SMALL, "held_out": 0.5})
    drawn = Counter(game.start(seed).secret for seed in range(2000))
    assert set(drawn) == set(game.answers) and max(drawn.values()) < 5 * min(drawn.values())
    again = load_game("wordle", {**SMALL, "held_out": 0.5})
    assert [again.start(s).secret for s in range(50)] == [game.start(s).secret for s in range(50)]


def test_solved_unsolved_forfeited() -> None:
    solved = guess(hiding("crane"), "slate", "crane")
    assert solved.to_act == () and solved.returns() == (1.0,) and solved.left == 4
    lost = guess(hiding("crane", max_turns=2), "slate", "about")
    assert lost.to_act == () and lost.returns() == (-1.0,)
    match = guess(hiding("crane"), "slate")
    assert match.returns() == (0.0,) and match.to_act == (0,)
    copy = match.clone()
    match.forfeit(0)
    assert match.returns() == (-1.0,) and match.legal_moves(0) == ()
    assert guess(copy, "crane").solved and not match.solved
    for wrong in (Move(0, "zzzzz"), Move(-1, "crane"), Move(10**6, "about")):
        with pytest.raises(IllegalMove):
            hiding("crane").play(0, wrong)
    with pytest.raises(IllegalMove):
        guess(solved, "crane")


def test_what_is_shown_says_nothing_of_the_answer_or_its_side() -> None:
    for answer in ("crane", "grape"):
        match = guess(hiding(answer, show_candidates=3), "their")
        assert match.observe(0).startswith("their XXYXY\n? ")
    game = load_game("wordle", {**SMALL, "show_candidates": 60})
    other = load_game("wordle", {**SMALL, "show_candidates": 60, "split": "held_out"})
    assert game.start(1).observe(0) == other.start(2).observe(0)
    assert game.start(1).observe(0).split()[1:-1] == list(game.words)
    assert hiding("crane").observe(0) == "1/6"


def test_hard_mode_uses_every_hint() -> None:
    match = guess(hiding("crane", hard_mode=True), "eerie")  # XXYXG: one r, an e at the end
    words = {move.text for move in match.legal_moves(0)}
    assert {"crane", "prize"} <= words and not {"slate", "right", "under"} & words
    assert not uses_hints("slate", match.history) and uses_hints("large", match.history)
    with pytest.raises(IllegalMove):
        guess(match, "slate")
    guess(hiding("crane"), "eerie", "slate")  # else anything goes
    assert not uses_hints("other", (("sheet", "XXYYX"),))  # two e's were shown
    for seed in range(30):
        match, draw = load_game("wordle", {**SMALL, "hard_mode": True}).start(seed), seed
        while match.to_act:
            legal = match.legal_moves(0)
            assert match.secret in {move.text for move in legal}
            match.play(0, random.Random(draw).choice(legal))


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("<guess>[crane]</guess>", Found.EXACT),
        ("<think>is it [slate]? <guess>[slate]</guess></think>\n<guess>[crane]</guess>", "exact"),
        ("<guess> [Crane] </guess>", Found.SOFT),
        ("<guess>crane</guess>", Found.SOFT),
        ("I say <guess>[crane]</guess> now.", Found.SOFT),
        ("<guess>[crane]</guess><guess>[crane]</guess>", Found.SOFT),
        ("<guess>[crane]</guess><guess>[slate]</guess>", None),
        ("<guess>[crane, slate]</guess>", None),
        ("<guess>[...]</guess>", None),
        ("crane", None),
        ("<guess>[zzzzz]</guess>", None),
        ("<think><guess>[crane]</guess>", None),
        ("", None),
    ],
)
def test_replies_with_tags(reply: str, found: Found | None) -> None:
    match = WordleMatch(load_game("vf-wordle"), "crane")
    attempt = read_reply(reply, match.legal_moves(0))
    assert (attempt.found if attempt.move else None) == found
    assert attempt.move is None or attempt.move.text == "<guess>[crane]</guess>"


def test_own_messages_and_the_reply_that_is_taught() -> None:
    game = load_game("vf-wordle", {"show_candidates": 2})
    match = guess(WordleMatch(game, "crane"), "their")
    system, user = match.messages(0) or ()
    assert "<think>" in system["content"] and "<guess>[...]</guess>" in system["content"]
    assert "THEIR X X Y X Y" in user["content"] and "Guess 2 of 6" in user["content"]
    assert "others" in user["content"]
    asked = {"game": game, "observation": "", "seat": 0, "role": "", "legal": match.legal_moves(0)}
    shown = build_prompt(PromptSection(), own=match.messages(0), **asked)
    assert shown == match.messages(0)
    taught = answer_text(PromptSection(), game.moves[5], "Many vowels.")
    assert taught.startswith("<think>\nMany vowels.\n</think>\n\n<guess>[")
    assert load_game("wordle").start(1).messages(0) is None
    brief = load_game("vf-wordle", {"thoughts": False}).start(1).messages(0) or ()
    assert "<think>" not in brief[0]["content"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"word": 5}, "did you mean words"),
        ({"words": 1}, "must be at least 2, not 1"),
        ({"words": ""}, "must not be empty"),
        ({"length": 1}, "must be at least 2, not 1"),
        ({"split": "test"}, "one of: train, held_out, all"),
        ({"held_out": 1.5}, "must be at most 1, not 1.5"),
        ({"hard_mode": 1}, "must be true or false, not 1"),
        ({"thoughts": True}, "together with tags"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], words: str) -> None:
    with pytest.raises(GameError, match=words) as refused:
        load_game("wordle", options)
    assert refused.value.where.startswith("game.options.")


def test_the_catalogue_knows_both_names() -> None:
    listed = {info.name: info for info in list_games() if info.family == "wordle"}
    assert set(listed) == {"wordle", "vf-wordle"} and not listed["wordle"].unavailable
    assert game_info("wordle").max_moves == 6 and load_game("vf-wordle").name == "vf-wordle"
    assert "hidden English word of 5 letters" in load_game("wordle").rules


def test_more_words_may_be_guessed_than_be_the_answer() -> None:
    game = load_game("wordle", {"words": 50, "guesses": 3000})
    assert len(game.words) == 50 and len(game.guesses) == 3000
    assert game.guesses[:50] == game.words and set(game.answers) <= set(game.words)
