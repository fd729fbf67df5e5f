"""Held-out rows: figures against a direct computation, and made-up cases with known answers."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from listener import Listener

from tesuji.core.files import read_json, write_json
from tesuji.core.progress import SILENT
from tesuji.core.statistics import clusters, ratio_interval
from tesuji.core.types import Example, Message, Pair, Sampled
from tesuji.datasets.from_logs import strategy_words as quality
from tesuji.evaluation.held_out.compare_models import EVERYONE, side_by_side
from tesuji.evaluation.held_out.evaluate import decision_labels, evaluate_rows
from tesuji.evaluation.held_out.likelihood import likelihood, preferences
from tesuji.evaluation.held_out.reader import Reader
from tesuji.evaluation.held_out.replies import (
    Answered,
    HeldOutPrompt,
    answer,
    held_out_prompts,
    indicators,
    judge,
    target_of,
    valid_targets,
)
from tesuji.evaluation.results import Evaluation, load_evaluation, save_evaluation
from tesuji.learners.model.load import Policy
from tesuji.learners.model.logprobs import Scored
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.players.prompting.chat_template import render_prompt, render_reply
from tesuji.recipe.schema.sections import PromptSection, SamplingSection, TinyModel
from tesuji.report.tables.held_out import rows_table, sentences

SHAPE = TinyModel(
    hidden_size=16, num_attention_heads=2, num_key_value_heads=2, intermediate_size=32,
    max_position_embeddings=512,
)  # fmt: skip
VOTE = (
    "Game Phase: voting\nTurn: 3\n\nObservation:\n"
    "[GAME] Night has fallen. Mafia, agree on a victim. Valid: [7], [8]\n"
    "[Player 4] I think it is [2].\n"
    "[GAME] Voting phase - submit one vote in format [X]. Valid: [0], [1], [2], [4]\n"
)
READ = {"prompt": PromptSection(), "max_length": 400, "limit": 20, "seed": 5}


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy(build_model(SHAPE, seed=3), build_tokenizer(), "tiny")


def shown(text: str, system: str = "You are playing Secret Mafia as Doctor.") -> tuple:
    return (Message(role="system", content=system), Message(role="user", content=text))


def row(text: str, reply: str, **about) -> Example:
    return Example(shown(text), reply, about=about)


def the_rows() -> list[Example]:
    return [
        row(VOTE, "[2]", match="a", role="Doctor", phase="voting", type="vote", won=True),
        row(VOTE + " ", "[4]", match="a", role="Villager", phase="voting", type="vote", won=True),
        row("Day breaks.", "I suspect Player 2: the evidence is clear, and the timing too.",
            match="b", role="Doctor", phase="discussion", type="discussion", won=True),
        row("Day breaks!", "Nothing.", match="c", role="Mafia", type="discussion", won=False),
    ]  # fmt: skip


def direct(policy: Policy, prompt: Sequence[Message], reply: str, room: int = 10_000) -> float:
    """A reply's log-probability by one plain forward pass, no batch, no cache."""
    said = render_reply(policy.tokenizer, reply)
    ids = render_prompt(policy.tokenizer, prompt)[-(room - len(said)) :]
    with torch.no_grad():
        logits = policy.model(torch.tensor([[*ids, *said]])).logits[0].double()
    logprobs = logits.log_softmax(-1)
    return sum(float(logprobs[len(ids) - 1 + i, token]) for i, token in enumerate(said))


def test_perplexity_is_that_of_a_direct_computation(policy: Policy):
    found = evaluate_rows(
        policy, examples=the_rows(), pairs=[], training_labels={},
        sampling=SamplingSection(max_new_tokens=4, batch_size=2), **READ,
    )  # fmt: skip
    good = the_rows()[:3]
    nats = [-direct(policy, r.prompt, r.reply) for r in good]
    tokens = [len(r.reply) + 1 for r in good]  # a byte a token, and the one that ends the reply
    whole = found.likelihood
    assert (found.rows, found.lost, whole.replies, whole.matches) == (4, 1, 3, 2)
    assert whole.tokens == sum(tokens)
    assert whole.nats_per_token == pytest.approx(sum(nats) / sum(tokens), rel=1e-4)
    assert whole.perplexity == pytest.approx(math.exp(sum(nats) / sum(tokens)), rel=1e-3)
    assert whole.nats_per_reply == pytest.approx(sum(nats) / 3, rel=1e-4)
    assert set(found.likelihood_by_role) == {"Doctor", "Villager"}
    villager = found.likelihood_by_role["Villager"]
    assert villager.nats_per_token == pytest.approx(nats[1] / tokens[1], rel=1e-4)
    assert math.isinf(villager.interval.high)  # one match tells nothing about others
    assert found.likelihood_by_phase["voting"].replies == 2
    assert found.preferences is None and found.decisions is None


def test_long_prompts_lose_their_beginning_and_are_counted(policy: Policy):
    long = row("x" * 300 + VOTE, "[2]", type="vote")
    hopeless = row("Hm.", "y" * 200, type="chat")
    found = evaluate_rows(
        policy, examples=[long, hopeless], pairs=[Pair(long.prompt, "[2]", "z" * 200)],
        training_labels={}, prompt=PromptSection(), max_length=150, limit=0, seed=1,
        sampling=SamplingSection(),
    )  # fmt: skip
    assert (found.cut, found.dropped, found.pairs_dropped) == (1, 1, 1)
    nats = -direct(policy, long.prompt, "[2]", room=150)
    assert found.likelihood.nats_per_reply == pytest.approx(nats, rel=1e-4)
    assert found.replies is None
    assert "1 rows left out: the reply alone is too long" in sentences(found)


def test_preferences_are_those_of_a_direct_computation(policy: Policy):
    pairs = [
        Pair(shown("Go."), chosen, rejected, about={"match": str(i), "role": "Doctor"})
        for i, (chosen, rejected) in enumerate([("[1]", "[1] or [2]"), ("a long one", "[3]")] * 2)
    ]
    found = evaluate_rows(
        policy, examples=[], pairs=pairs, training_labels={}, sampling=SamplingSection(), **READ
    )
    sums = [[direct(policy, p.prompt, r) for r in (p.chosen, p.rejected)] for p in pairs]
    means = [
        [s / (len(r) + 1) for s, r in zip(both, (p.chosen, p.rejected), strict=True)]
        for both, p in zip(sums, pairs, strict=True)
    ]
    assert found.preferences.summed.right == sum(c > r for c, r in sums) == 2  # short ones win
    assert found.preferences.per_token.right == sum(c > r for c, r in means)
    assert found.preferences.margin == pytest.approx(sum(c - r for c, r in sums) / 4, rel=1e-3)
    assert found.preferences_by_role["Doctor"] == found.preferences


def test_preference_accuracy_on_a_case_made_up():
    pair = Pair(shown("?"), "a", "b")
    lengths = (10, 2)
    rows = [Scored(pair, sums, lengths) for sums in [(-1.0, -2.0), (-9.0, -2.0), (-3.0, -3.0)]]
    found = preferences(rows)
    assert (found.summed.right, found.summed.total, found.ties) == (1, 3, 1)
    assert found.per_token.right == 3  # -0.1 > -1, -0.9 > -1, -0.3 > -1.5
    assert found.margin == pytest.approx(-2.0)
    assert found.summed.interval.low > 0


def test_the_interval_is_over_matches_not_over_rows():
    alike = [
        Scored(row("x", "y", match=str(i // 10)), (-1.0 - (i // 10),), (1,)) for i in range(40)
    ]
    apart = [replace(one, row=row("x", "y", match=str(i))) for i, one in enumerate(alike)]
    together, alone = likelihood(alike), likelihood(apart)
    assert (together.matches, alone.matches) == (4, 40)
    assert together.nats_per_token == alone.nats_per_token == pytest.approx(2.5)
    wide = together.interval.high - together.interval.low
    assert wide > 2.5 * (alone.interval.high - alone.interval.low)
    assert clusters([(Example((), "a", position="p"), 1.0, 1.0)] * 2) == [(2.0, 2.0)]


def test_a_ratio_of_equal_weights_is_a_mean():
    interval = ratio_interval([(1.0, 1.0), (3.0, 1.0)] * 50)  # deviation 1, n = 100
    assert interval.high == pytest.approx(2 + 1.96 * 1.00504 / 10, abs=1e-3)
    assert ratio_interval([(1.0, 1.0)]).high == math.inf


def test_targets_are_those_of_the_last_game_message():
    valid = valid_targets(shown(VOTE))
    assert [move.id for move in valid] == [0, 1, 2, 4]
    assert target_of("I say [9], no: [Player 4]", valid) == 4
    assert target_of("[7]", valid) is None and target_of("", valid) is None
    assert target_of("<think>[0]</think>[1]", valid) == 1


def answers(*replies: tuple[Example, str]) -> list[Answered]:
    return [
        Answered(HeldOutPrompt(r.prompt, (r,)), text, len(text), text != "[") for r, text in replies
    ]


def test_replies_are_judged_by_what_the_prompt_lists():
    vote = row(VOTE, "[2]", type="vote", eliminated=4)
    talk = row("Day breaks.", "I trust the evidence.", type="discussion")
    found = judge(answers((vote, "[2]"), (vote, "[4]"), (vote, "[9]"), (vote, "["), (talk, " ")))
    assert (found.legal.right, found.legal.total) == (2, 4)
    assert (found.agree.right, found.agree.total, found.agree_random) == (1, 4, 0.25)
    assert (found.decisive.right, found.decisive.total) == (1, 4)
    assert found.decisive_random == 0.25
    assert (found.replies, found.empty, found.unfinished, found.distinct) == (5, 1, 1, 5)
    assert (found.said.words, found.said_there.words) == (0, 2)
    assert judge([]) is None


def test_words_are_counted_as_the_quality_rule_counts_them():
    text = "I suspect him; suspicious TIMING. The pattern (evidence!) is untrustworthy. analyzed"
    assert quality.words_in(text) == ["analyze", "evidence", "pattern", "suspect", "timing"]
    assert quality.indicators(text) == 5
    found = indicators([(text, "Mafia"), ("no", "")])
    assert (found.words, found.passing.right, found.counts["timing"]) == (2.5, 1, 1)
    assert found.score > quality.quality("no", won=False, role="")


def test_several_right_moves_of_a_position_all_agree():
    rows = [Example(shown("board"), reply, position="p") for reply in ("a1", "b2")]
    asked = held_out_prompts(rows, limit=9, seed=1)
    assert [len(one.rows) for one in asked] == [2]
    found = judge([Answered(asked[0], text, 2, True) for text in ("b2", " a1 ", "c3")])
    assert (found.agree.right, found.agree.total) == (2, 3)
    assert found.agree_random is None


def test_questions_are_drawn_once_and_stay_in_order():
    rows = [row(f"prompt {i}", "x") for i in range(50)]
    some = held_out_prompts(rows, limit=10, seed=2)
    assert (
        some == held_out_prompts(rows, limit=10, seed=2) != held_out_prompts(rows, limit=10, seed=3)
    )
    places = [rows.index(one.rows[0]) for one in some]
    assert places == sorted(places) and len(set(places)) == 10


def test_a_reply_does_not_depend_on_its_batch(policy: Policy):
    texts = []
    for size in (1, 3):
        found = evaluate_rows(
            policy, examples=the_rows(), pairs=[], training_labels={},
            sampling=SamplingSection(max_new_tokens=8, batch_size=size), **READ,
        )  # fmt: skip
        texts.append(replace(found, seconds=0.0).replies)
    assert texts[0] == texts[1]
    assert texts[0].replies == 3


class Says:
    """A sampler that says the same to everything, and keeps what it was shown."""

    stop_ids = frozenset({257})

    def __init__(self, reply: list[int]) -> None:
        self.reply, self.seen = reply, []

    def sample(self, prompts, **_) -> list[Sampled]:
        self.seen += prompts
        return [Sampled(tuple(p), tuple(self.reply), (0.0,) * len(self.reply)) for p in prompts]


def test_a_model_that_says_one_thing_is_seen_to(policy: Policy):
    sampler = Says(render_reply(policy.tokenizer, "[2]"))
    reader = Reader(sampler, policy.tokenizer, 60, 60)
    asked = held_out_prompts(the_rows(), limit=9, seed=1)
    said, cut = answer(reader, asked, SamplingSection(max_new_tokens=10), 1, SILENT)
    assert {one.text for one in said} == {"[2]"}
    assert cut == 4 and {len(ids) for ids in sampler.seen} == {50}  # 60 less the reply's room
    found = judge(said)
    assert (found.distinct, found.legal.right, found.legal.total) == (1, 2, 2)


def test_decisions_stand_beside_the_commonest_label(policy: Policy):
    rows = [
        row(f"hand {i}", label, type="decision", role="BTN", phase="flop", won=False)
        for i, label in enumerate(["fold", "fold", "call", "raise to 12"])
    ]
    labels = decision_labels([*rows, row("x", "hello", type="chat")])
    assert labels == {"fold": 2, "call": 1, "raise to 12": 1}
    found = evaluate_rows(
        policy, examples=rows, pairs=[], training_labels=labels,
        sampling=SamplingSection(max_new_tokens=4), **READ,
    )  # fmt: skip
    assert found.lost == 0  # a label is right whatever the hand brought
    assert found.decisions.action.total == 4
    assert found.decisions.baseline.action == "fold"
    assert found.decisions.baseline.action_share.rate == 0.5
    assert found.decisions_by_role["BTN"][0] == found.decisions.action
    assert found.training_labels == 4


def a_score(policy: Policy):
    pairs = [Pair(shown("Go."), "[1]", "[2]", about={"role": "Doctor"})]
    listener = Listener()
    found = evaluate_rows(
        policy, examples=the_rows(), pairs=pairs, training_labels={},
        sampling=SamplingSection(max_new_tokens=4), **READ,
        progress=listener,
    )  # fmt: skip
    ends = {words: (done, total) for words, done, total in listener.steps}  # of each piece of work
    assert len(ends) == 3 and all(done == total for done, total in ends.values())
    return found


def test_a_score_is_kept_in_the_evaluation_and_older_files_are_read(policy: Policy, tmp_path):
    score = a_score(policy)
    look = Evaluation("before", "tiny", "prompts", (), (), (), (), 0.0, 1.0, 1, rows=score)
    path = tmp_path / "evaluation.json"
    save_evaluation(path, look)
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert load_evaluation(path) == look
    old = read_json(path)
    del old["rows"]
    write_json(path, old)
    assert load_evaluation(path).rows is None


def test_models_stand_side_by_side_with_what_guessing_scores(policy: Policy):
    score = a_score(policy)
    blind = replace(score, preferences=None, preferences_by_role={})
    lines = side_by_side({"before": blind, "after sft": score})
    everyone = {line["measure"]: line for line in lines if line["of"] == EVERYONE}
    prefers = everyone["prefers the better reply"]
    assert (prefers["beside"], prefers["beside_is"]) == (0.5, "a coin")
    assert [cell["count"] for cell in prefers["cells"]] == [0, 1]
    assert everyone["does as was done there"]["beside"] == 0.25
    assert "right decision" not in everyone
    assert {line["of"] for line in lines} == {EVERYONE, "Doctor", "Villager"}
    table = rows_table({"before": blind, "after sft": score}, roles=True)
    assert [column.header for column in table.columns] == [
        "measure",
        "before",
        "after sft",
        "beside",
    ]
    assert table.row_count == len(lines)
