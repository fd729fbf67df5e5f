"""Function calling: the official data and checker, keys that pass, wrong calls, tricks."""

import copy
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tesuji.games.bfcl import check
from tesuji.games.bfcl.calls import read_calls, write_calls
from tesuji.games.bfcl.check import checker, judge, official
from tesuji.games.bfcl.data import CATEGORIES, RELEVANCE, Question, read_category
from tesuji.games.bfcl.gold import gold_calls, gold_reply
from tesuji.games.bfcl.show import noted

SIZES = [400, 100, 50, 200, 200, 200, 240, 258, 1053, 16, 24, 884, 16]
WITH_KEY = [c for c in CATEGORIES if "relevance" not in c]

# Official keys that the official checker refuses: a needed parameter is missing from the key or has
# no value there, or a Java list mixes kinds that its reader takes for text.
UNANSWERABLE = {
    "simple_java_36",
    "simple_java_65",
    "parallel_multiple_26",
    "live_simple_106-63-0",
    "live_simple_112-68-0",
    "live_multiple_507-149-4",
    "live_multiple_862-181-3",
    "live_multiple_964-207-0",
}


def questions(category: str) -> list[Question]:
    return [q for q in read_category(category) if q.id not in UNANSWERABLE]


def test_all_questions_are_there() -> None:
    assert [len(read_category(category)) for category in CATEGORIES] == SIZES
    assert all(q.answers for c in WITH_KEY for q in read_category(c))


@pytest.mark.parametrize("category", WITH_KEY)
def test_the_key_is_right_and_we_judge_as_the_official_checker(category: str) -> None:
    from bfcl_eval.constants.enums import Language

    refused = set()
    for question in read_category(category):
        calls = gold_calls(question)
        verdict = judge(question, write_calls(calls))
        asked = checker().ast_checker(
            list(question.functions),
            [{name: arguments} for name, arguments in calls],
            list(question.answers),
            Language(question.language),
            category,
            "any",
        )
        assert verdict.right == asked["valid"], question.id
        if not verdict.right:
            refused.add(question.id)
        elif question.id not in UNANSWERABLE:
            assert verdict.format == 1.0, question.id
    assert refused == {q.id for q in read_category(category)} & UNANSWERABLE


def mutations(question: Question) -> dict[str, str]:
    """Wrong replies near the right one, by what was done to it."""
    calls = gold_calls(question)
    name, arguments = calls[0]
    rest = calls[1:]
    wrong = {
        "another name": [(f"{name}_", arguments), *rest],
        "a call more": [*calls, ("no_such_function", {})],
        "a call twice": [calls[0], *calls],
        "a call less": list(rest),
        "an unknown parameter": [(name, {**arguments, "no_such_parameter": 1}), *rest],
    }
    needed = next(f for f in question.functions if f["name"] == name)["parameters"]["required"]
    for parameter, value in arguments.items():
        if isinstance(value, str) and parameter in needed:
            wrong["another value"] = [(name, {**arguments, parameter: "zzz qqq"}), *rest]
        if parameter in needed:
            less = {key: kept for key, kept in arguments.items() if key != parameter}
            wrong["a parameter less"] = [(name, less), *rest]
    return {what: write_calls(said) for what, said in wrong.items()}


@pytest.mark.parametrize("category", WITH_KEY)
def test_wrong_calls_fail(category: str) -> None:
    for question in questions(category)[:200]:
        for what, reply in mutations(question).items():
            assert not judge(question, reply).right, (question.id, what)


def test_values_may_be_written_as_the_checker_allows() -> None:
    question = next(q for q in questions("simple_python") if q.id == "simple_python_0")
    [(name, arguments)] = gold_calls(question)
    assert judge(question, write_calls([(name, {**arguments, "unit": "Units"})])).right
    assert judge(question, json.dumps([{"name": name, "arguments": arguments}])).right
    assert judge(question, f"I will call it.\n{write_calls([(name, arguments)])}").right
    assert not judge(question, write_calls([(name, {**arguments, "base": "10"})])).right


def test_no_call_is_right_where_no_function_fits() -> None:
    for category in ("irrelevance", "live_irrelevance"):
        for question in read_category(category)[:200]:
            assert judge(question, gold_reply(question) or "").right
            call = ("f", {}) if not question.functions else (question.functions[0]["name"], {})
            verdict = judge(question, write_calls([call]))
            assert not verdict.right and verdict.format == 0.0
    assert gold_reply(read_category(RELEVANCE)[0]) is None


def every_function(question: Question) -> str:
    return write_calls([(f["name"], {}) for f in question.functions])


@pytest.mark.parametrize("category", CATEGORIES)
def test_tricks_earn_nothing(category: str) -> None:
    """Neither the checker's point nor anything for form."""
    for question in questions(category)[:40]:
        gold = gold_reply(question) or every_function(question)
        prompt = question.messages[-1]["content"]
        tricks = {
            "empty": "",
            "blank": " \n\t",
            "open tags": "<tool_call>" * 50,
            "empty tags": "<tool_call>\n</tool_call>" * 50,
            "right inside doubled tags": f"<tool_call>\n{gold}\n</tool_call>",
            "right once, broken once": f"{gold}\n<tool_call>\n{{\n</tool_call>",
            "right fifty times": "\n".join([gold] * 50),
            "giant": "word " * 4000,
            "right and giant": gold + " " * 9000 + "x",
            "the question": prompt * (1 if len(prompt) >= check.ECHO else 20),
            "the example of the prompt": '<tool_call>\n{"name": <function-name>, "arguments": '
            "<args-json-object>}\n</tool_call>",
        }
        if question.relevant and (len(question.functions) > len(question.answers) > 0):
            tricks["every function"] = every_function(question)
        if not question.relevant:
            tricks |= {"a call": every_function(question) or write_calls([("f", {})])}
            tricks.pop("right fifty times")  # words without a call, said often: right, officially
        for what, reply in tricks.items():
            verdict = judge(question, reply)
            assert (verdict.right, verdict.format) == (False, 0.0), (question.id, what)


def test_any_call_is_not_enough_where_any_call_would_do() -> None:
    question = next(q for q in read_category(RELEVANCE) if len(q.functions) > 1)
    about = question.functions[0]
    call = (about["name"], dict.fromkeys(about["parameters"]["required"], "x"))
    assert judge(question, write_calls([call])).right
    for calls in ([call, call], [("f", {})], [(about["name"], {"no": 1})]):
        assert official(question, calls)[0] and not judge(question, write_calls(calls)).right
    assert not judge(question, every_function(question)).right


def test_replies_of_any_kind_are_read() -> None:
    deep = "[" * 100_000
    for text in ("", "{", deep, f"<tool_call>{deep}</tool_call>", '{"name": 1}', "null", "[[]]"):
        assert read_calls(text).calls == ()
    assert read_calls('[{"name": "f", "arguments": {}}, 1]').calls == ()
    assert read_calls('{"name": "f", "parameters": {"a": 1}}').calls == (("f", {"a": 1}),)
    assert read_calls("</tool_call> nothing").broken == 1


@pytest.mark.parametrize(
    "value", ["[[" + "],[" * 400, "{" + "a:" * 400, "new HashMap<" * 60, " " * 900]
)
def test_no_value_keeps_the_checker_busy(value: str) -> None:
    began = time.monotonic()
    for category in ("simple_java", "simple_javascript"):
        for question in questions(category)[:50]:
            [(name, arguments)] = gold_calls(question)
            said = write_calls([(name, dict.fromkeys(arguments, value))])
            assert not judge(question, said).right
    assert time.monotonic() - began < 5


def test_values_the_checker_cannot_read_are_wrong_and_no_crash() -> None:
    odd = [None, True, -1, 1e308, 10**400, [], {}, [[]], [{}], [None, 1], {"a": {}}, "", "\ud800"]
    for category in WITH_KEY:
        for question in questions(category)[:15]:
            for (name, arguments), value in zip(gold_calls(question) * 20, odd, strict=False):
                broken = dict.fromkeys(arguments, value)
                assert isinstance(official(question, [(name, broken)])[0], bool)


def test_notes_are_the_official_ones(tmp_path: Path) -> None:
    """Its `utils` makes folders where it is imported from: it gets its own place and process."""
    code = (
        "import json, sys\n"
        "from bfcl_eval.utils import load_dataset_entry\n"
        "print(json.dumps([[e['function'] for e in load_dataset_entry(c)] for c in sys.argv[1:]]))"
    )
    asked = ["simple_java", "simple_javascript", "parallel", "live_simple"]
    theirs = subprocess.run(
        [sys.executable, "-c", code, *asked],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BFCL_PROJECT_ROOT": str(tmp_path)},
    )
    ours = [[noted(question) for question in read_category(category)] for category in asked]
    assert ours == json.loads(theirs.stdout)
    before = copy.deepcopy(read_category("simple_java")[0])
    noted(before)
    assert before == read_category("simple_java")[0]
