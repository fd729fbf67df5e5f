"""DPO on tiny models with TRL's trainer: what its reference is, what is learned and counted."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import WIDER, Killed, flat, kill, made_pairs, pair, tiny_policy

from tesuji.core.errors import DataError, EngineError
from tesuji.core.files import read_json
from tesuji.core.metric_log import MetricLog
from tesuji.learners.hooks import Hooks
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy, load_policy, prepare_base
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.learners.pairs.accuracy import score_pairs
from tesuji.learners.pairs.dpo import DpoLearner, train_dpo
from tesuji.learners.pairs.tokens import PairRow, tokenize_pairs
from tesuji.learners.pairs.train import make_trainer
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.pairs import DpoStage
from tesuji.recipe.schema.sections import LoraSection, ModelSection, PromptSection

PROMPT = PromptSection(style="compact", answer="id")
LORA = LoraSection(r=4, alpha=8, dropout=0.1)


TRAIN, HELD_OUT = made_pairs(160, 1), made_pairs(60, 2)


def dpo(
    policy: Policy, out: Path, *, train=TRAIN, held_out=HELD_OUT, hooks=None, lora=None, **keys
):
    stage = DpoStage.model_validate(
        {"batch_size": 8, "max_steps": 6, "learning_rate": 1e-3, "logging_steps": 1} | keys
    )
    out.mkdir(exist_ok=True)
    return train_dpo(
        stage,
        policy,
        name="dpo",
        train=train,
        held_out=held_out,
        prompt=PROMPT,
        out=out,
        seed=3,
        metrics=MetricLog(out),
        hooks=hooks,
        lora=lora,
    )


def reply_logprobs(policy: Policy, rows: Sequence[PairRow]) -> list[tuple[float, ...]]:
    sampler = LocalSampler(policy.model, policy.tokenizer, batch_size=64)
    return [pair.scores for pair in score_pairs(sampler, rows)]


def first_loss(out: Path) -> float:
    return next(row["loss"] for row in MetricLog(out).rows() if "loss" in row)


def adapted(tmp_path: Path) -> tuple[ModelSection, str, Policy]:
    """A base and a folder with an adapter that changes it, as SFT leaves them."""
    section = ModelSection(tiny=WIDER, lora=LORA)
    policy = with_adapter(load_policy(section, prepare_base(section, tmp_path / "base", 1)), LORA)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in policy.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    policy.model.save_pretrained(tmp_path / "sft")
    policy.tokenizer.save_pretrained(tmp_path / "sft")
    return section, str(tmp_path / "sft"), policy


def test_the_preference_is_learned_and_said_with_intervals(tmp_path: Path):
    summary = dpo(tiny_policy(shape=WIDER), tmp_path, max_steps=120, beta=0.1)
    before, after = (
        found.shares["policy_preference"]
        for found in (summary.accuracy_before, summary.accuracy_after)
    )
    assert after.rate > 0.8 > before.rate
    assert after.interval.low > before.interval.high
    assert first_loss(tmp_path) == pytest.approx(math.log(2), abs=1e-6)
    written = read_json(tmp_path / "training.json")
    assert written["accuracy_after"]["policy_preference"]["share"] == after.rate
    assert written["accuracy_after"]["implicit_reward"]["low"] > 0.7
    assert 0.3 < written["accuracy_after"]["longer_wins"]["share"] < 0.7
    roles = written["accuracy_after"]["by_role"]
    assert {role: found["policy_preference"]["of"] for role, found in roles.items()} == {
        "Doctor": 30,
        "Mafia": 30,
    }
    assert written["margin"]["low"] > 0
    words = summary.in_words()
    assert "before" in words and "all steps done" in words
    per_token = written["accuracy_after"]["policy_preference_per_token"]["share"]
    assert f"{per_token:.1%} after; always the " in words
    lengths = [written["accuracy_after"][f"{one}_wins"]["share"] for one in ("shorter", "longer")]
    assert f" one {max(lengths):.1%}), of 60 held-out pairs" in words
    was, now = written["chosen_perplexity_before"], written["chosen_perplexity_after"]
    assert f"perplexity of the better replies {was:.3g} before, {now:.3g} after" in words
    assert was > 1 and now > 1 and was != now
    rows = MetricLog(tmp_path).rows()
    assert rows[0]["step"] == 0 and rows[0]["eval_policy_preference"] == before.rate
    assert rows[-1]["eval_policy_preference"] == after.rate
    assert {"rewards/accuracies", "rewards/margins", "logps/chosen"} <= rows[1].keys()


def test_the_reference_of_an_adapter_is_the_adapter_it_began_with(tmp_path: Path):
    section, source, _ = adapted(tmp_path)
    base = load_policy(section, str(tmp_path / "base"))
    policy = load_policy(section, source)
    rows = tokenize_pairs(HELD_OUT, policy.tokenizer, PROMPT, 64).rows
    start, plain = reply_logprobs(policy, rows), reply_logprobs(base, rows)
    assert max(abs(s[0] - p[0]) for s, p in zip(start, plain, strict=True)) > 0.1
    summary = dpo(policy, tmp_path / "out", lora=LORA, max_steps=30, learning_rate=3e-3)
    assert first_loss(tmp_path / "out") == pytest.approx(math.log(2), abs=1e-6)
    assert summary.accuracy_after.shares["implicit_reward"].rate > 0.7
    assert 0 < summary.trainable_parameters < summary.parameters
    final = tmp_path / "out" / "final"
    assert not (final / "ref").exists()
    assert list(policy.model.peft_config) == ["default"]
    again = load_policy(section, str(final))
    now = reply_logprobs(policy, rows)
    assert torch.allclose(torch.tensor(now), torch.tensor(reply_logprobs(again, rows)))
    assert not torch.allclose(torch.tensor(now), torch.tensor(start))
    assert torch.equal(
        flat(base.model.model.embed_tokens), flat(again.model.get_base_model().model.embed_tokens)
    )


def test_a_whole_model_gets_an_adapter_first_where_the_recipe_says_so(tmp_path: Path):
    section = ModelSection(tiny=WIDER, lora=LORA)
    policy = load_policy(section, prepare_base(section, tmp_path / "base", 1))
    summary = dpo(policy, tmp_path / "out", lora=LORA)
    assert first_loss(tmp_path / "out") == pytest.approx(math.log(2), abs=1e-6)
    assert summary.trainable_parameters < summary.parameters / 2
    assert (tmp_path / "out" / "final" / "adapter_config.json").exists()


def logged(out: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "time"} for row in MetricLog(out).rows()]


@pytest.mark.parametrize("kind", ["full", "muon", "adapter"])
def test_resumed_training_ends_with_the_same_weights(tmp_path: Path, kind: str):
    section, source, _ = adapted(tmp_path)
    keys = {"save_steps": 2, "optimizer": "muon" if kind == "muon" else "adamw", "eval_steps": 3}
    lora = LORA if kind == "adapter" else None

    def start() -> Policy:
        return load_policy(section, source) if lora else tiny_policy(shape=WIDER)

    whole, again = start(), start()
    dpo(whole, tmp_path / "whole", lora=lora, **keys)
    broken = tmp_path / "broken"
    with pytest.raises(Killed):
        dpo(start(), broken, lora=lora, hooks=Hooks(on_step=kill), **keys)
    dpo(again, broken, lora=lora, **keys)
    assert torch.equal(flat(whole.model), flat(again.model))
    drop = {"eval_runtime", "eval_samples_per_second", "eval_steps_per_second"}
    assert [{k: v for k, v in r.items() if k not in drop} for r in logged(tmp_path / "whole")] == [
        {k: v for k, v in r.items() if k not in drop} for r in logged(broken)
    ]
    (broken / "training.json").unlink()
    third = start()
    summary = dpo(third, broken, lora=lora, **keys)
    assert torch.equal(flat(whole.model), flat(third.model))
    assert summary.steps == 6 and len(logged(broken)) == len(logged(tmp_path / "whole"))


def test_long_prompts_lose_their_beginning_and_unfit_pairs_are_counted():
    tokenizer = build_tokenizer()
    pairs = [
        pair("a" * 50 + "Z", "7", "88"),
        pair("b", "8", "9" * 40),
        pair("c", "same", "same "),
        pair("d", " ", "x"),
        pair("e", "1", "2"),
    ]
    found = tokenize_pairs(pairs, tokenizer, PROMPT, 20)
    assert found.cut == 1
    assert found.dropped == {"reply_too_long": 1, "same_replies": 1, "empty_reply": 1}
    long = found.rows[0]
    assert tokenizer.decode(list(long.prompt_ids)) == "a" * 15 + "Z\n"
    assert len(long.prompt_ids) + len(long.rejected_ids) == 20
    assert [ids.count(tokenizer.eos_token_id) for ids in (long.chosen_ids, long.rejected_ids)] == [
        1,
        1,
    ]
    shorter = PROMPT.model_copy(update={"max_length": 3})
    assert len(tokenize_pairs(pairs, tokenizer, shorter, 20).rows[0].prompt_ids) == 3


def test_the_trainer_sees_our_ids_and_cuts_nothing(tmp_path: Path):
    policy = tiny_policy(shape=WIDER)
    rows = tokenize_pairs([pair("x" * 1500, "1", "2.")], policy.tokenizer, PROMPT, 4096)
    learner = DpoLearner(DpoStage(), policy)
    trainer = make_trainer(learner, rows, rows, name="dpo", out=tmp_path, seed=1)
    batch = trainer.data_collator([trainer.train_dataset[0]])
    row = rows.rows[0]
    assert batch["input_ids"][1].tolist() == [*row.prompt_ids, *row.rejected_ids]
    replies = [batch["input_ids"][i][batch["completion_mask"][i] == 1].tolist() for i in (0, 1)]
    assert replies == [list(row.chosen_ids), list(row.rejected_ids)]


def test_what_was_left_out_is_said_in_the_summary(tmp_path: Path):
    summary = dpo(
        tiny_policy(shape=WIDER),
        tmp_path,
        train=[*TRAIN[:8], pair("x", "1", "1")],
        held_out=[],
        max_steps=1,
    )
    assert summary.pairs_dropped == {"same_replies": 1}
    assert "pairs left out: 1 with two equal replies" in summary.in_words()
    assert summary.accuracy_before is summary.accuracy_after is summary.margin is None
    with pytest.raises(DataError, match="no pair to learn from"):
        dpo(tiny_policy(shape=WIDER), tmp_path, train=[pair("x", "1", "1")])


def test_a_loss_that_is_not_a_number_stops_with_advice(tmp_path: Path):
    policy = tiny_policy(shape=WIDER)
    with torch.no_grad():
        policy.model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(EngineError, match="not a number") as caught:
        dpo(policy, tmp_path, held_out=[])
    assert "stages.dpo.learning_rate" in str(caught.value)


def test_label_smoothing_is_refused_where_trl_would_not_use_it():
    with pytest.raises(ValueError, match="loss_type: robust"):
        DpoStage(label_smoothing=0.1)
    assert DpoStage(label_smoothing=0.1, loss_type="robust").label_smoothing == 0.1
