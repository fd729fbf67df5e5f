"""Whether a reply is right: the leaderboard's own AST checker, and what no trick may earn.

`official` asks the checker alone. `judge` pays only what is right *and* no trick: the checker
accepts an empty reply, an echo or a broken call wherever no call is wanted, and any call at all
in `live_relevance`. So our figures can be below the leaderboard's for the same replies, never
above.
"""

import contextlib
import importlib
import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

from tesuji.core.errors import GameError
from tesuji.games.bfcl.calls import Call, Calls, read_calls
from tesuji.games.bfcl.data import INSTALL, MISSING, PACKAGE, RELEVANCE, Question, installed

LONGEST = 8_000  # characters of a reply that still earns something
LONGEST_LITERAL = 1_000  # of a Java or JavaScript value
ECHO = 20  # characters from which a part of the prompt is an echo
_MODEL = f"{PACKAGE}.constants.model_config"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a reply is right, else why not; `format` is 0..1, how far its form is right."""

    right: bool
    problem: str = ""
    format: float = 0.0


def judge(question: Question, reply: str) -> Verdict:
    """What a reply to a question is worth. Never raises for anything a model can say."""
    parsed = read_calls(reply)
    if problem := trick(question, reply, parsed):
        return Verdict(False, problem)
    right, problem = official(question, parsed.calls)
    return Verdict(right, problem, form(question, parsed))


def official(question: Question, calls: Sequence[Call]) -> tuple[bool, str]:
    """(whether the leaderboard counts these calls as right, what it says is wrong)."""
    if not question.relevant:
        return not calls, "a call where no function fits" if calls else ""
    if not calls:
        return False, "no call in the reply"
    if question.category == RELEVANCE:
        return True, ""
    if question.language != "python" and (problem := _dangerous(calls)):
        return False, problem
    result = _ask(question, calls)
    if result["valid"]:
        return True, ""
    return False, f"{result.get('error_type', 'error')}: {result.get('error', '')}"[:300]


def _ask(question: Question, calls: Sequence[Call]) -> Mapping[str, Any]:
    """The checker's answer. It fails on values of kinds it did not expect: those are wrong, too."""
    module = checker()
    language = importlib.import_module(f"{PACKAGE}.constants.enums").Language(question.language)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # its JavaScript reader prints
            result: Mapping[str, Any] = module.ast_checker(
                list(question.functions),
                [{name: dict(arguments)} for name, arguments in calls],
                list(question.answers),
                language,
                question.category,
                "any",
            )
    except Exception as error:  # whatever it raises: it cannot read the values
        return {"valid": False, "error_type": "unreadable", "error": f"{error!r}"}
    return result


def _dangerous(calls: Sequence[Call]) -> str:
    """Why a Java or JavaScript value is not handed on: the checker's patterns take exponential
    time over many brackets and long runs of blanks, and a model can write those."""
    for value in (value for _, arguments in calls for value in arguments.values()):
        if isinstance(value, str) and (
            len(value) > LONGEST_LITERAL
            or sum(map(value.count, "[{(")) > 16
            or re.search(r"\s{8}", value)
        ):
            return "a value too long or too deep to be read"
    return ""


def trick(question: Question, reply: str, parsed: Calls) -> str:
    """What is wrong with a reply before anybody looks whether it is right; "" for nothing."""
    if not reply.strip():
        return "the reply is empty"
    if len(reply) > LONGEST:
        return f"the reply is longer than {LONGEST:,} characters"
    if parsed.broken:
        return "a tag or a block without a call in it"
    if not parsed.calls and _echo(question, reply):
        return "the reply repeats the prompt"
    if question.category == RELEVANCE:
        return _careless(question, parsed)
    return ""


def _echo(question: Question, reply: str) -> bool:
    """Whether a reply says a message of the prompt, or a longer part of it, or nothing besides."""
    plain = " ".join(reply.split())
    prompts = [" ".join(message["content"].split()) for message in question.messages]
    if any(len(text) >= ECHO and text in plain for text in prompts):
        return True
    if any(text and not plain.replace(text, "").strip() for text in prompts):
        return True
    return len(plain) >= ECHO and plain in " ".join(prompts)


def _careless(question: Question, parsed: Calls) -> str:
    """Where any call counts as right: it must be one that could be made, made once, and not every
    function there is."""
    if len({repr(call) for call in parsed.calls}) < len(parsed.calls):
        return "the same call twice"
    names = {name for name, _ in parsed.calls}
    if len(question.functions) > 1 and len(names) == len(question.functions):
        return "every function called at once"
    fits = all(_fits(question, call) for call in parsed.calls)
    return "" if fits else "a call of no such function, or with other parameters than it has"


def form(question: Question, parsed: Calls) -> float:
    """How far the form of a reply is right, 0 to 1, whatever the values.

    Half for as many calls as are wanted, of the functions that are wanted; the other half for
    parameters that these functions have, none left out that they need. Nothing where no call is
    wanted: silence has no form.
    """
    wanted = sorted(name for answer in question.answers for name in answer)
    if not wanted or sorted(name for name, _ in parsed.calls) != wanted:
        return 0.0
    fitting = sum(_fits(question, call) for call in parsed.calls)
    return 0.5 + 0.5 * fitting / len(parsed.calls)


def _fits(question: Question, call: Call) -> bool:
    """Whether a function of this name takes these parameters."""
    name, arguments = call
    for function in question.functions:
        if function["name"] == name:
            parameters = function["parameters"]
            needed = set(parameters.get("required", ()))
            return needed <= set(arguments) <= set(parameters["properties"])
    return False


@cache
def checker() -> ModuleType:
    """The leaderboard's module `ast_checker`. Raises GameError where it is not installed.

    All it wants of the module `model_config`, which imports the libraries of every vendor, is
    whether a model writes dots in names as underscores. Ours do not.
    """
    if not installed():
        raise GameError(MISSING, where="game.name", hint=INSTALL)
    with _stand_in():
        return importlib.import_module(f"{PACKAGE}.eval_checker.ast_eval.ast_checker")


@contextlib.contextmanager
def _stand_in() -> Iterator[None]:
    """A small `model_config` while the checker is imported, unless the real one is loaded."""
    if _MODEL in sys.modules:
        yield
        return
    stand_in = ModuleType(_MODEL)
    stand_in.MODEL_CONFIG_MAPPING = {"any": SimpleNamespace(underscore_to_dot=False)}  # type: ignore[attr-defined]
    sys.modules[_MODEL] = stand_in
    try:
        yield
    finally:
        del sys.modules[_MODEL]
