"""What the well-known Wordle environment pays, as reward terms, and without its faults.

There a finished match is paid: 1 for the right answer; 0.2 a green and 0.1 a yellow letter; 1 /
(turns + 1) for a right answer; 0.2 for the form of the replies. Here:

- the letters are those of the last guess itself (there, after a win, of the guess before it);
- a guess is judged as it was played (there one without brackets wins and is paid nothing);
- form is paid as a share of the match (`format: {per: match}`): a sum over its turns would make
  long matches pay;
- a match that ends with no legal guess pays nothing but what `returns` and `legal` take off, and
  a guess that the rules put in the player's place is not paid for.

The right answer itself is `returns`, which is 1 or -1: a weight of 0.5 puts solved and unsolved 1
apart.
"""

import math

from tesuji.episodes.rewards.base import Judged, Term
from tesuji.games.wordle.game import WordleGame, WordleMatch


def wordle_partial() -> Term:
    """At the last guess of a match: the share of its letters that are right, half for those that
    belong elsewhere (0.2 and 0.1 a letter of five). Solved: 1."""

    def term(at: Judged) -> float:
        match = _played(at, "wordle_partial", last=True)
        if match is None or not match.guessed:
            return 0.0
        marks = match.guessed[-1][1]
        return (marks.count("G") + 0.5 * marks.count("Y")) / len(marks)

    return term


def wordle_turns() -> Term:
    """At the guess that solves the match: 1 / (turns + 1); else 0."""

    def term(at: Judged) -> float:
        match = _played(at, "wordle_turns", last=True)
        return 1.0 / (len(match.guessed) + 1) if match is not None and match.solved else 0.0

    return term


def wordle_bits() -> Term:
    """The information a guess brought: log2 of how many times fewer words are possible after it,
    out of the bits of the whole list. Over a match that adds up to at most 1, whatever is guessed
    in between (Ng et al. 1999), so nothing is gained by asking much and not solving."""

    def term(at: Judged) -> float:
        after = _played(at, "wordle_bits")
        if after is None:
            return 0.0
        before = at.match()
        assert isinstance(before, WordleMatch)
        bits = math.log2(len(before.possible()) / len(after.possible()))
        return bits / math.log2(len(after.game.words))

    return term


def _played(at: Judged, name: str, *, last: bool = False) -> WordleMatch | None:
    """The match after this turn (`last`: of the match); None where the player itself made no legal
    guess."""
    if not isinstance(at.game, WordleGame):
        raise at.wrong_game(name, "knows wordle", "use `returns` for other games")
    elsewhere = last and at.place != len(at.episode.turns) - 1
    if elsewhere or at.turn.move is None or at.turn.move != at.turn.played:
        return None
    match = at.match()
    match.play(at.turn.seat, at.turn.move)
    return match if isinstance(match, WordleMatch) else None
