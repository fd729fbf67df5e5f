"""A language model that people trained: SmolLM2-135M-Instruct, out of its package's GGUF file."""

from pathlib import Path

import pytest
import torch

from tesuji.core.files import read_json
from tesuji.learners.model.load import Policy, load_policy
from tesuji.players.prompting.chat_template import decode_reply, end_of_reply, render_prompt
from tesuji.players.sampling.local import LocalSampler
from tesuji.players.sampling.support_check import support_of
from tesuji.recipe.schema.sections import ModelSection

QUESTIONS = ("What is the capital of France?", "Name a colour.")


@pytest.fixture(scope="module")
def policy(smollm2: Path) -> Policy:
    return load_policy(ModelSection(base="smollm2", dtype="float32", device="cpu"), "smollm2")


def test_a_greedy_reply_is_the_one_of_transformers_own_generate(policy: Policy) -> None:
    prompts = [
        render_prompt(policy.tokenizer, [{"role": "user", "content": text}]) for text in QUESTIONS
    ]
    ends = frozenset({end_of_reply(policy.tokenizer)})
    replies = LocalSampler(policy.model, policy.tokenizer).sample(
        prompts, temperature=0.0, top_p=1.0, max_new_tokens=12, seeds=[1, 2], stop_ids=ends
    )
    for prompt, reply in zip(prompts, replies, strict=True):
        ids = torch.tensor([prompt])
        [theirs] = policy.model.generate(ids, max_new_tokens=12, do_sample=False)
        assert list(reply.reply_ids) == theirs[len(prompt) :].tolist()
    assert "Paris" in decode_reply(policy.tokenizer, replies[0].reply_ids)


def test_in_bfloat16_it_is_run_as_in_float32(smollm2: Path) -> None:
    """Rounding moves a log-prob of -44 by 0.8 nats there: no reason to refuse it."""
    section = ModelSection(base="smollm2", dtype="bfloat16", device="cpu")
    support = support_of(load_policy(section, "smollm2").model)
    assert support.shared
    assert 0.125 < support.worst < 1.5


def test_scores_of_a_tree_are_those_of_plain_rows(policy: Policy) -> None:
    """Twice: the second time the prompts' common beginning is kept."""
    prompts = [
        render_prompt(policy.tokenizer, [{"role": "user", "content": text}]) for text in QUESTIONS
    ]
    replies = [(504, 282), (504, 314, 28), (4052,)]
    sampler = LocalSampler(policy.model, policy.tokenizer)
    for scores in (sampler.score(prompts, [replies] * 2) for _ in range(2)):
        for prompt, row in zip(prompts, scores, strict=True):
            for reply, score in zip(replies, row, strict=True):
                ids = torch.tensor([[*prompt, *reply]])
                with torch.no_grad():
                    logits = policy.model(input_ids=ids).logits[0, len(prompt) - 1 : -1]
                plain = logits.log_softmax(-1)[range(len(reply)), reply].sum()
                assert abs(score - float(plain)) < 1e-5 * max(1.0, abs(float(plain)))


def test_its_folder_ends_replies_where_its_template_does(policy: Policy, smollm2: Path) -> None:
    end = policy.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end_of_reply(policy.tokenizer) == end
    assert read_json(smollm2 / "generation_config.json")["eos_token_id"] == end
    assert "SmolLM, trained by Hugging Face" in policy.tokenizer.chat_template


def test_numbers_are_the_tokens_it_was_trained_on(policy: Policy) -> None:
    """By its tokenizer.json on the Hub each digit stands alone, the spaces before it together."""
    assert policy.tokenizer.tokenize("a  51 b") == ["a", "ĠĠ", "5", "1", "Ġb"]
