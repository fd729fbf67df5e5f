"""Who won a SecretMafia game, in the words of logs: read by team and role, never by a substring.

"Village wins" is a loss for one of the Mafia, "lost to mafia" a win of the Mafia, and "did not win"
tells nothing. A sentence is reduced to the few words that matter, a letter each, and what is not in
the table of forms stays unknown.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from tesuji.games.textarena.secretmafia import MAFIA, VILLAGE

LONGEST = 2000  # characters of a reason that are looked at
_END = re.compile(r"\bgame[\s_-]*over\b")  # whose "over" is no "against"
_SENTENCES = re.compile(r"[.!?;,\n]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")  # MafiaWins
_WORD = re.compile(r"[a-z]+")
_WORD_OR_NUMBER = re.compile(r"[^\W\d_]+|\d+")
_WORDS = {
    "M": "mafia mafias mafiosi mafioso werewolf werewolves",
    "V": "village villager villagers villages town townsfolk townspeople civilians citizens "
    "innocents doctor detective",
    "W": "win wins won winning victory victorious triumph triumphs triumphed",
    "H": "winner winners victor victors",
    "L": "loss losses lose loses lost losing",
    "K": "loser losers",
    "X": "defeat defeats defeated beat beats beaten",
    "E": "eliminated wiped",
    "D": "draw draws drawn tie tied stalemate",
    "o": "to against over vs versus from",
    "b": "by",
    "f": "for of",
    "a": "as",
    "N": "not no never without nobody none neither nor cannot t didn isn wasn if maybe perhaps "
    "almost nearly could would should might unknown undecided pending until unless",
}
_LETTERS = {word: letter for letter, words in _WORDS.items() for word in words.split()}
# One team T, the other U. By form: the player's result, if it is told, and the team that won. "?":
# T may be the player's own team or the one that won or lost, so that only its own players know.
_ONE = {
    **dict.fromkeys(("TW", "TH", "HT", "WbT", "WfT", "HfT"), ("", "T")),
    **dict.fromkeys(("TL", "TK", "KT", "TX", "TE", "LfT", "XfT"), ("", "U")),
    **dict.fromkeys(("LoT", "KoT", "XbT", "XoT", "LTW", "LTH", "XTW"), ("loss", "T")),
    **dict.fromkeys(("WoT", "WTL", "WTX", "WTE"), ("win", "U")),
    **dict.fromkeys(("WaT", "HaT", "WTW"), ("win", "T")),
    **dict.fromkeys(("LaT", "KaT", "XaT", "LTL", "LTE", "LTX"), ("loss", "U")),
    **dict.fromkeys(("WT",), ("?", "T")),
    **dict.fromkeys(("LT", "XT"), ("?", "U")),
}
_TWO = {"TWoU": "T", "TXU": "T", "TLoU": "U", "TXbU": "U", "TXoU": "U"}  # team T, then team U
_PLAIN = {"W": "win", "H": "win", "L": "loss", "K": "loss", "X": "loss", "D": "draw"}
# A result without a team is the player's own, unless another word before it, or one of
# `_SOMEBODY_ELSE` after it, may name somebody: "Player 3 wins", "opponents won", "winner: Bob".
_NOBODY_ELSE = set(
    _WORD.findall(
        "i we you my our your own team side the a this it game match outcome result status final "
        "finally has have had was is been ended in with as and then clear total complete"
    )
)
_SOMEBODY_ELSE = re.compile(
    r"\d+|players?|opponents?|opposing|others?|enem(?:y|ies)|rivals?|the[ym]|p|bot|agent"
)
_OTHER = {MAFIA: VILLAGE, VILLAGE: MAFIA}


class Claim(NamedTuple):
    """What some words say: "win", "loss" or "draw" as the player sees it, and the team that won; ""
    where they do not say."""

    result: str = ""
    winner: str = ""


UNKNOWN = Claim()


def claim(words: object, own: str) -> Claim:
    """What a log says of a player whose team is `own` ("" if not known). Sentences that contradict
    each other say nothing."""
    if not isinstance(words, str):
        return UNKNOWN
    text = _END.sub(" ", _HUMP.sub(" ", words[:LONGEST]).lower())
    return agreed(completed(_sentence(part, own), own) for part in _SENTENCES.split(text))


def agreed(claims: Iterable[Claim]) -> Claim:
    """What all claims that say something say; nothing where they differ."""
    all_claims = list(claims)
    results = {one.result for one in all_claims} - {""}
    winners = {one.winner for one in all_claims} - {""}
    if len(results) > 1 or len(winners) > 1:
        return UNKNOWN
    return Claim("".join(results), "".join(winners))


def completed(said: Claim, own: str) -> Claim:
    """The result and the winning team, each from the other where the player's team is known;
    nothing where they contradict each other."""
    if not own or said.result == "draw":
        return said
    winner = said.winner or {"win": own, "loss": _OTHER[own]}.get(said.result, "")
    result = "" if not winner else "win" if winner == own else "loss"
    return Claim(result, winner) if said.result in ("", result) else UNKNOWN


def _sentence(text: str, own: str) -> Claim:
    letters = [_LETTERS[word] for word in _WORD.findall(text) if word in _LETTERS]
    if not letters or "N" in letters:
        return UNKNOWN
    form = "".join(
        one for one, before in zip(letters, ["", *letters], strict=False) if one != before
    )
    teams = list(dict.fromkeys(letter for letter in form if letter in "MV"))
    if not teams:
        return Claim(_PLAIN.get(form.rstrip("obfa"), "")) if _of_the_player(text) else UNKNOWN
    if set(form) <= set("DMV"):
        return Claim("draw" if "D" in form else "")
    first = {"M": MAFIA, "V": VILLAGE}[teams[0]]
    form = form.replace(teams[0], "T")
    if len(teams) == 2:
        result, won = "", _TWO.get(form.replace(teams[1], "U"), "")
    else:
        result, won = _ONE.get(form, ("", ""))
    if result == "?":
        result, won = ("", won) if own == first else ("", "")
    return Claim(result, {"T": first, "U": _OTHER[first]}.get(won, ""))


def _of_the_player(text: str) -> bool:
    """Whether a result that names no team can be nobody's but the player's own."""
    words = _WORD_OR_NUMBER.findall(text)
    first = next(place for place, word in enumerate(words) if word in _LETTERS)
    before, after = words[:first], words[first + 1 : first + 4]
    named = _LETTERS[words[first]] in "HK"  # winner: ...
    foreign = any(named or _SOMEBODY_ELSE.fullmatch(word) for word in after)
    return not foreign and _NOBODY_ELSE.issuperset(before)


def broke_off(words: str) -> str:
    """ "error" or "timeout" where a label says so, else ""."""
    known = set(_WORD.findall(_HUMP.sub(" ", words[:LONGEST]).lower()))
    if known & {"timeout", "timeouts"} or {"timed", "out"} <= known or {"time", "out"} <= known:
        return "timeout"
    return (
        "error" if known & {"error", "errors", "errored", "exception", "crash", "crashed"} else ""
    )
