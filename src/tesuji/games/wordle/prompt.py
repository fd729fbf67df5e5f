"""Wordle in words: rules, what a player is shown, and the messages of a chat."""

from dataclasses import dataclass

from tesuji.core.types import Message
from tesuji.games.wordle.options import WordleOptions

TAGGED = "<guess>[{}]</guess>"


@dataclass(frozen=True, slots=True)
class View:
    """What a player may know: the guesses with their marks; of the words still possible the first
    (`listed`) and their number, where the options show them."""

    settings: WordleOptions
    history: tuple[tuple[str, str], ...]
    listed: tuple[str, ...] = ()
    possible: int = 0


def rules(settings: WordleOptions) -> str:
    """The rules, without how to reply."""
    hard = " Every hint must be used in the guesses after it." if settings.hard_mode else ""
    return (
        f"Wordle: find a hidden English word of {settings.length} letters in at most "
        f"{settings.max_turns} guesses. After each guess every letter gets a mark: G, it is in the "
        "right place; Y, it is in the word, in another place; X, it is not in the word. A letter "
        "that is guessed more often than the word holds it gets X where there is none left."
        f"{hard}"
    )


def brief(view: View) -> str:
    """One line a guess, and which guess comes next of how many: made for small models."""
    lines = [f"{word} {marks}" for word, marks in view.history]
    if view.listed:
        more = view.possible - len(view.listed)
        lines.append(" ".join(["?", *view.listed, *([f"+{more}"] if more else [])]))
    return "\n".join([*lines, f"{len(view.history) + 1}/{view.settings.max_turns}"])


def chat(view: View) -> tuple[Message, ...]:
    """The system's words, and the user's for this turn."""
    return (
        Message(role="system", content=f"{rules(view.settings)}\n\n{_form(view.settings)}"),
        Message(role="user", content=_turn(view)),
    )


def _form(settings: WordleOptions) -> str:
    """How to reply. The place of the word is held by dots: an echo of this is no guess."""
    if settings.thoughts:
        return (
            "Think step by step inside <think>...</think>, then give one guess as "
            f"{TAGGED.format('...')}, the word in the brackets."
        )
    return f"Reply with one guess as {TAGGED.format('...')}, the word in the brackets."


def _turn(view: View) -> str:
    lines = [f"Guess {len(view.history) + 1} of {view.settings.max_turns}."]
    if view.history:
        lines.append("So far:")
        lines += [f"{word.upper()} {' '.join(marks)}" for word, marks in view.history]
    if view.listed:
        more = view.possible - len(view.listed)
        others = f" and {more:,} others" if more else ""
        lines.append(f"Words still possible: {', '.join(view.listed)}{others}")
    return "\n".join(lines)
