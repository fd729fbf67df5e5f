"""Wordle: a hidden word, guesses, and marks for their letters. One seat, exact rules of our own.

    game = load_game("wordle", {"words": 2000, "split": "train"})

Every guess is one of a list, so that it is legal or not, and can be sampled, taught and counted
like any other move. Answers are split by a hash into those for training and those held out; the
player is told neither the split nor the answer. A solved match returns 1, any other -1.

`vf-wordle` is the same game with the defaults of the well-known environment of that name: replies
as `<guess>[crane]</guess>` after a thought. What that environment pays, and where ours differs, is
in `episodes/rewards/wordle.py`.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tesuji.core.errors import GameError, IllegalMove
from tesuji.core.types import Message, Move
from tesuji.games.base import Game, GameInfo, Match
from tesuji.games.picture import Cell, Grid, Look
from tesuji.games.wordle import prompt as wordle_text
from tesuji.games.wordle.options import NAMES, WordleOptions, facts
from tesuji.games.wordle.words import (
    ABSENT,
    ELSEWHERE,
    RIGHT,
    MarksTable,
    code_of,
    held_out,
    marks,
    table_of,
    word_list,
)

SOLVED, UNSOLVED = 1.0, -1.0
LOOKS: Mapping[str, Look] = {RIGHT: "right", ELSEWHERE: "present", ABSENT: "absent"}


def names() -> tuple[str, ...]:
    """The game, and the name that other people's recipes know it by."""
    return NAMES


def info(name: str) -> GameInfo:
    """Facts about the game with its default options."""
    return facts(name, WordleOptions.read(name, {}))


def load(name: str, options: Mapping[str, Any]) -> "WordleGame":
    """The game with these options, made once; words are read when they are first needed. Raises
    GameError for an option that there is not, or that has no such value."""
    key = f"{name} {sorted(options.items())!r}"
    if key not in _LOADED:
        game = WordleGame(name, dict(options))
        _ = game.settings  # so that impossible options are refused here
        _LOADED[key] = game
    return _LOADED[key]


@dataclass(frozen=True)
class WordleGame(Game):
    """See `options.WordleOptions` for the options."""

    @cached_property
    def settings(self) -> WordleOptions:
        """The options as they are understood. Raises GameError."""
        return WordleOptions.read(self.name, self.options)

    @property
    def info(self) -> GameInfo:
        """One seat, an answer drawn by chance that is not seen."""
        return facts(self.name, self.settings)

    @property
    def num_players(self) -> int:
        """One."""
        return 1

    @property
    def rules(self) -> str:
        """The rules in words."""
        return wordle_text.rules(self.settings)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Every word that may be the answer, of either side of the split; as far as the player
        knows, one is as likely as another."""
        return word_list(self.settings.words, self.settings.length)

    @cached_property
    def guesses(self) -> tuple[str, ...]:
        """Every word that may be guessed: the possible answers, then more words."""
        more = self.settings.guesses
        if not more:
            return self.words
        return tuple(dict.fromkeys((*self.words, *word_list(more, self.settings.length))))

    @cached_property
    def moves(self) -> tuple[Move, ...]:
        """The guesses as moves, their place in the list being the id."""
        form = wordle_text.TAGGED if self.settings.tags else "{}"
        return tuple(Move(number, form.format(word)) for number, word in enumerate(self.guesses))

    @cached_property
    def answers(self) -> tuple[str, ...]:
        """The words that matches of this game hide. Raises GameError where there is none."""
        share, seed, split = self.settings.held_out, self.settings.split_seed, self.settings.split
        answers = tuple(
            word
            for word in self.words
            if split == "all" or held_out(word, share, seed) == (split == "held_out")
        )
        if not answers:
            raise GameError(
                f"no word of {len(self.words)} is on the side `{split}`",
                where="game.options.held_out",
                hint="choose another share, or more words",
            )
        return answers

    @cached_property
    def table(self) -> MarksTable:
        """The marks of every guess against every word."""
        return table_of(self.guesses, self.words)

    def start(self, seed: int) -> "WordleMatch":
        """A match whose answer is drawn by the seed."""
        return WordleMatch(self, random.Random(seed).choice(self.answers))


class WordleMatch(Match):
    """One hidden word, and the (guess, marks) so far."""

    def __init__(self, game: WordleGame, secret: str) -> None:
        self.game, self.secret = game, secret
        self.guessed: tuple[tuple[int, str], ...] = ()
        self.forfeited = False
        self._possible: tuple[int, ...] | None = None

    @property
    def solved(self) -> bool:
        """Whether the last guess was the answer."""
        return bool(self.guessed) and set(self.guessed[-1][1]) == {RIGHT}

    @property
    def left(self) -> int:
        """Guesses left."""
        return self.game.settings.max_turns - len(self.guessed)

    @property
    def to_act(self) -> tuple[int, ...]:
        """Seat 0 until the word is found or the guesses are used up."""
        return () if self.solved or self.forfeited or not self.left else (0,)

    @property
    def history(self) -> tuple[tuple[str, str], ...]:
        """(word, its marks) of every guess."""
        return tuple((self.game.guesses[guess], marks) for guess, marks in self.guessed)

    def possible(self) -> tuple[int, ...]:
        """Places in `game.words` of those that agree with all marks so far: what anybody can work
        out who knows the list."""
        if self._possible is None:
            import numpy as np

            fits = np.ones(len(self.game.words), dtype=bool)
            for guess, pattern in self.guessed:
                fits &= self.game.table.row(guess) == code_of(pattern)
            self._possible = tuple(np.flatnonzero(fits).tolist())
        return self._possible

    def _view(self) -> wordle_text.View:
        """What the seat is shown, the candidates only where the options say so."""
        settings = self.game.settings
        known = self.possible() if settings.show_candidates and self.to_act else ()
        return wordle_text.View(
            settings,
            self.history,
            tuple(self.game.words[place] for place in known[: settings.show_candidates]),
            len(known),
        )

    def observe(self, seat: int) -> str:
        """The guesses with their marks, and which guess comes next."""
        return wordle_text.brief(self._view())

    def messages(self, seat: int) -> tuple[Message, ...] | None:
        """With `tags`, the rules as the system's words and the guesses as the user's."""
        return wordle_text.chat(self._view()) if self.game.settings.tags else None

    def legal_moves(self, seat: int) -> tuple[Move, ...]:
        """The list of guesses; in hard mode those that use every hint."""
        if not self.to_act:
            return ()
        if not (self.game.settings.hard_mode and self.guessed):
            return self.game.moves
        words = self.game.guesses
        return tuple(move for move in self.game.moves if uses_hints(words[move.id], self.history))

    def play(self, seat: int, move: Move) -> None:
        """Guess. Raises IllegalMove for a word that is not on the list or leaves a hint unused."""
        moves = self.game.moves
        known = 0 <= move.id < len(moves) and moves[move.id] == move
        if not self.to_act or not known or (self.guessed and not self._allowed(move.id)):
            raise IllegalMove(f"{move.text!r} cannot be guessed here", where=self.game.name)
        word = self.game.guesses[move.id]
        self.guessed = (*self.guessed, (move.id, marks(word, self.secret)))
        self._possible = None

    def _allowed(self, guess: int) -> bool:
        settings = self.game.settings
        return not settings.hard_mode or uses_hints(self.game.guesses[guess], self.history)

    def forfeit(self, seat: int) -> None:
        """The word is not found."""
        self.forfeited, self.offender = True, seat

    def returns(self) -> tuple[float, ...]:
        """1 once solved, -1 once that can no longer be, 0 before."""
        if self.solved:
            return (SOLVED,)
        return (0.0,) if self.to_act else (UNSOLVED,)

    def role(self, seat: int) -> str:
        """None."""
        return ""

    def render(self) -> str:
        """The guesses with their marks, and the answer."""
        lines = [f"{word} {pattern}" for word, pattern in self.history]
        return "\n".join([*lines, f"answer: {self.secret}"])

    def picture(self, seat: int | None) -> Grid:
        """The guesses as rows of marked letters, and rows for those that are left."""
        left = ((Cell(),) * self.game.settings.length,) * self.left
        guessed = tuple(
            tuple(Cell(letter, LOOKS[mark]) for letter, mark in zip(word, given, strict=True))
            for word, given in self.history
        )
        return Grid((*guessed, *left), shape="letters")

    def clone(self) -> "WordleMatch":
        """The same answer, the same guesses."""
        other = WordleMatch(self.game, self.secret)
        other.guessed, other.forfeited = self.guessed, self.forfeited
        other.offender = self.offender
        other._possible = self._possible
        return other


_LOADED: dict[str, WordleGame] = {}


def uses_hints(word: str, history: tuple[tuple[str, str], ...]) -> bool:
    """The rule of hard mode: a letter marked right stays in its place, and of every letter there
    are at least as many as one guess has shown to be in the answer."""
    for guess, pattern in history:
        there: dict[str, int] = {}
        for place, (letter, mark) in enumerate(zip(guess, pattern, strict=True)):
            if mark == RIGHT and word[place] != letter:
                return False
            if mark != ABSENT:
                there[letter] = there.get(letter, 0) + 1
        if any(word.count(letter) < count for letter, count in there.items()):
            return False
    return True
