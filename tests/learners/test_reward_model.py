"""The reward model on tiny models with TRL's trainer: learning, resuming, scoring, the critic."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import WIDER, Killed, kill, made_pairs

from tesuji.core.errors import DataError, EngineError
from tesuji.core.files import read_json
from tesuji.core.metric_log import MetricLog
from tesuji.core.types import Pair
from tesuji.learners.hooks import Hooks
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import load_policy, prepare_base
from tesuji.learners.model.logprobs import Scored
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.learners.pairs.reward import train_reward
from tesuji.learners.pairs.reward_evaluation import calibration, length_bias
from tesuji.learners.pairs.tokens import tokenize_pairs
from tesuji.learners.reward_model.critic import critic_from_reward
from tesuji.learners.reward_model.model import (
    is_reward_model,
    new_reward_model,
    reward_head,
)
from tesuji.learners.reward_model.scorer import load_scorer
from tesuji.players.sampling.head import layers
from tesuji.recipe.schema.pairs import RewardStage
from tesuji.recipe.schema.sections import LoraSection, ModelSection, PromptSection

PROMPT = PromptSection(style="compact", answer="id")
LORA = LoraSection(r=8, alpha=16, dropout=0.1)
FULL, ADAPTED = ModelSection(tiny=WIDER), ModelSection(tiny=WIDER, lora=LORA)


TRAIN, HELD_OUT = made_pairs(200, 1), made_pairs(100, 2)


def saved(folder: Path) -> dict[str, torch.Tensor]:
    [file] = folder.glob("*.safetensors")
    return load_file(file)


def base(tmp_path: Path) -> str:
    return prepare_base(FULL, tmp_path / "base", 1)


def sft_adapter(tmp_path: Path) -> str:
    """A folder with an adapter that changes the base, as SFT leaves it."""
    policy = with_adapter(load_policy(ADAPTED, base(tmp_path)), LORA)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in policy.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    policy.model.save_pretrained(tmp_path / "sft")
    policy.tokenizer.save_pretrained(tmp_path / "sft")
    return str(tmp_path / "sft")


def train(
    section: ModelSection,
    source: str,
    out: Path,
    *,
    pairs=TRAIN,
    held_out=HELD_OUT,
    hooks=None,
    **keys,
):
    stage = RewardStage.model_validate(
        {"batch_size": 8, "max_steps": 6, "learning_rate": 2e-3, "logging_steps": 1} | keys
    )
    out.mkdir(exist_ok=True)
    return train_reward(
        stage,
        section,
        source,
        name="reward",
        train=pairs,
        held_out=held_out,
        prompt=PROMPT,
        out=out,
        seed=3,
        metrics=MetricLog(out),
        hooks=hooks,
    )


def items(pairs: list[Pair]) -> list[tuple[Any, str]]:
    return [(pair.prompt, reply) for pair in pairs for reply in (pair.chosen, pair.rejected)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A whole reward model that has learned the preference."""
    folder = tmp_path_factory.mktemp("reward")
    train(FULL, base(folder), folder / "out", max_steps=150, center_rewards_coefficient=0.01)
    return folder / "out"


def test_held_out_pairs_are_told_apart_and_the_evaluation_is_written(trained: Path):
    training = read_json(trained / "training.json")
    assert training["accuracy_after"]["accuracy"]["low"] > 0.6
    assert training["accuracy_before"]["accuracy"]["high"] < 0.75
    assert set(training["accuracy_after"]["by_role"]) == {"Doctor", "Mafia"}
    found = read_json(trained / "reward_evaluation.json")
    assert found["after"]["accuracy"] == training["accuracy_after"]["accuracy"]
    assert sum(found["margin"]["histogram"]["counts"]) == len(HELD_OUT)
    assert len(found["margin"]["histogram"]["edges"]) == 21
    assert sum(b["observed"]["of"] for b in found["calibration"]["bins"]) == len(HELD_OUT)
    assert 0 <= found["calibration"]["expected_calibration_error"] < 0.5
    assert found["length"]["chosen_shorter"]["share"] > 0.6
    assert abs(found["length"]["correlation"]) < 0.6
    rows = MetricLog(trained).rows()
    assert rows[-1]["eval_accuracy"] == found["after"]["accuracy"]["share"]
    assert {"accuracy", "margin", "mean_reward"} <= rows[1].keys()


def test_scores_are_the_trainers_and_do_not_depend_on_the_batch(trained: Path):
    scorer = load_scorer(FULL, str(trained / "final"))
    asked = items(HELD_OUT[:10])
    asked.append((({"role": "user", "content": "long " * 20},), "7..."))
    scores = scorer.score(asked)
    model, pad = scorer.policy.model, scorer.policy.tokenizer.pad_token_id
    ids = [scorer._ids(prompt, reply) for prompt, reply in asked]
    width = max(map(len, ids))
    batch = torch.tensor([row + [pad] * (width - len(row)) for row in ids])
    theirs = model(input_ids=batch, attention_mask=(batch != pad).long()).logits.squeeze(-1)
    assert scores == pytest.approx(theirs.tolist(), abs=1e-5)
    alone = [scorer.score([item])[0] for item in asked]
    assert scores == pytest.approx(alone, abs=1e-5)
    scorer.batch_tokens = 64
    assert scores == pytest.approx(scorer.score(asked), abs=1e-5)
    assert scorer.score([]) == []
    assert all(type(score) is float for score in scores)


def test_scores_can_have_mean_0_and_deviation_1(trained: Path):
    scores = load_scorer(FULL, str(trained / "final"), normalise=True).score(items(HELD_OUT))
    assert sum(scores) / len(scores) == pytest.approx(0, abs=1e-4)
    assert sum(s * s for s in scores) / len(scores) == pytest.approx(1, abs=1e-3)


def test_long_conversations_lose_their_beginning_at_scoring_as_in_training(trained: Path):
    scorer = load_scorer(FULL, str(trained / "final"))
    scorer.max_length = 10
    short, long = ([({"role": "user", "content": text},), "7."] for text in ("b 2 7", "aab 2 7"))
    ids = scorer._ids(*long)
    assert len(ids) == 10
    assert ids[-9:] == scorer._ids(*short)


def test_an_adapter_goes_on_from_the_sft_adapter_and_comes_back_with_its_head(tmp_path: Path):
    source = sft_adapter(tmp_path)
    began = new_reward_model(ADAPTED, source, 3)
    sft = load_policy(ADAPTED, source)
    ids = torch.tensor([[1, 2, 3, 4]])
    started, known = (layers(m.model.eval())(ids).last_hidden_state for m in (began, sft))
    assert torch.allclose(started, known, atol=1e-6)
    summary = train(ADAPTED, source, tmp_path / "out", max_steps=120, learning_rate=5e-3)
    assert summary.accuracy_after.shares["accuracy"].rate > 0.6
    assert 0 < summary.trainable_parameters < summary.parameters / 2
    final = str(tmp_path / "out" / "final")
    written = read_json(tmp_path / "out" / "final" / "adapter_config.json")
    assert written["task_type"] == "SEQ_CLS" and "score" in written["modules_to_save"]
    assert written["base_model_name_or_path"] == str(tmp_path / "base")
    again = load_scorer(ADAPTED, final).score(items(HELD_OUT))
    wins = [chosen > rejected for chosen, rejected in zip(again[::2], again[1::2], strict=True)]
    assert sum(wins) == summary.accuracy_after.shares["accuracy"].right


def test_without_lora_an_adapter_is_merged_into_a_whole_model(tmp_path: Path):
    source = sft_adapter(tmp_path)
    model = new_reward_model(FULL, source, 3).model
    sft = load_policy(ADAPTED, source).model.eval()
    ids = torch.tensor([[1, 2, 3, 4]])
    ours, theirs = (layers(m)(ids).last_hidden_state for m in (model.eval(), sft))
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not hasattr(model, "peft_config")


@pytest.mark.parametrize("kind", ["full", "adapter"])
def test_resumed_training_ends_with_the_same_weights(tmp_path: Path, kind: str):
    section = FULL if kind == "full" else ADAPTED
    source = base(tmp_path) if kind == "full" else sft_adapter(tmp_path)
    keys: dict[str, Any] = {"save_steps": 2, "disable_dropout": False, "held_out": HELD_OUT[:8]}
    train(section, source, tmp_path / "whole", **keys)
    with pytest.raises(Killed):
        train(section, source, tmp_path / "broken", hooks=Hooks(on_step=kill), **keys)
    train(section, source, tmp_path / "broken", **keys)
    [kept, again] = (saved(tmp_path / n / "final") for n in ("whole", "broken"))
    assert any("score" in name for name in kept) and kept.keys() == again.keys()
    assert all(torch.equal(kept[name], again[name]) for name in kept)
    whole, broken = (
        [{k: v for k, v in row.items() if k != "time"} for row in MetricLog(tmp_path / n).rows()]
        for n in ("whole", "broken")
    )
    assert whole == broken


@pytest.mark.parametrize("lora", [None, LORA])
def test_bfloat16_trains_and_scores(tmp_path: Path, lora: LoraSection | None):
    section = ModelSection(tiny=WIDER, dtype="bfloat16", lora=lora)
    summary = train(section, base(tmp_path), tmp_path / "out", held_out=[], max_steps=2)
    assert summary.steps == 2 and summary.accuracy_after is None
    scorer = load_scorer(section, str(tmp_path / "out" / "final"))
    assert layers(scorer.policy.model).dtype == torch.bfloat16
    assert len(set(scorer.score(items(HELD_OUT[:2])))) > 1


def test_a_tokenizer_that_pads_with_the_end_of_a_reply_gets_another_padding(tmp_path: Path):
    folder = Path(base(tmp_path))
    tokenizer = build_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    policy = new_reward_model(FULL, str(folder), 1)
    assert policy.tokenizer.pad_token_id != policy.tokenizer.eos_token_id
    assert policy.model.config.pad_token_id == policy.tokenizer.pad_token_id


def test_a_folder_without_a_reward_model_is_refused(tmp_path: Path, trained: Path):
    assert is_reward_model(str(trained / "final"))
    assert not is_reward_model(base(tmp_path))
    assert not is_reward_model(sft_adapter(tmp_path))
    with pytest.raises(EngineError, match="no reward model"):
        load_scorer(FULL, base(tmp_path))
    facts = trained / "final" / "reward.json"
    kept = facts.read_text()
    facts.write_text(json.dumps({"max_length": 64}))
    with pytest.raises(EngineError, match="spread"):
        load_scorer(FULL, str(trained / "final"), normalise=True)
    facts.write_text(kept)


def test_no_pair_to_learn_from_is_an_error(tmp_path: Path):
    same = [Pair(pair.prompt, pair.chosen, pair.chosen) for pair in TRAIN]
    with pytest.raises(DataError, match="200 with two equal replies"):
        train(FULL, base(tmp_path), tmp_path / "out", pairs=same)


def test_calibration_by_hand():
    sure = math.log(3)  # the model is sure to 3/4
    found = calibration([sure, sure, sure, -sure])
    assert [b["observed"]["of"] for b in found["bins"]] == [4]
    assert found["bins"][0]["predicted"] == pytest.approx(0.75)
    assert found["expected_calibration_error"] == pytest.approx(0)
    assert calibration([-50.0, 50.0])["expected_calibration_error"] == pytest.approx(0.5)


def test_length_bias_by_hand():
    pairs = [
        Pair(({"role": "user", "content": "?"},), chosen, rejected)
        for chosen, rejected in [("long", "s"), ("s", "long"), ("ab", "cd")]
    ]
    scores = [(1.0, 0.0), (0.0, 1.0), (1.0, 0.0)]
    rows = tokenize_pairs(pairs, build_tokenizer(), PROMPT, 64).rows
    found = length_bias(
        [
            Scored(row.pair, score, (len(row.chosen_ids), len(row.rejected_ids)))
            for row, score in zip(rows, scores, strict=True)
        ]
    )
    assert (found["chosen_longer"]["share"], found["chosen_shorter"]["share"]) == (1.0, 0.0)
    assert found["equally_long"]["of"] == 1
    assert found["correlation"] > 0.5


@pytest.mark.parametrize("kind", ["full", "adapter"])
def test_a_critic_begins_with_the_reward_models_layers_and_head(tmp_path: Path, kind: str):
    from tesuji.learners.rl.update.build import build_learner
    from tesuji.recipe.schema.rl import PpoStage

    section = FULL if kind == "full" else ADAPTED
    source = base(tmp_path) if kind == "full" else sft_adapter(tmp_path)
    train(section, source, tmp_path / "out", held_out=[])
    final = str(tmp_path / "out" / "final")
    critic = critic_from_reward(section, final)
    learner = build_learner(
        PpoStage(), load_policy(FULL, base(tmp_path)), temperature=1.0, critic=critic
    )
    head = learner.actor.value_head
    scorer = load_scorer(section, final)
    assert torch.equal(head.weight, reward_head(scorer.policy.model).weight)
    ids = torch.tensor([scorer._ids(*items(HELD_OUT)[0])])
    hidden = layers(learner.actor.critic.eval())(ids).last_hidden_state[:, -1]
    assert head(hidden).item() == pytest.approx(scorer.score(items(HELD_OUT)[:1])[0], abs=1e-5)
    saved = dict(learner.actor.critic_part().named_parameters())
    trained_parts = [name for name, p in saved.items() if p.requires_grad]
    assert any(name.startswith("head") for name in trained_parts)
    assert any(name.startswith("model") for name in trained_parts)
    assert not any("score" in name for name in trained_parts)
