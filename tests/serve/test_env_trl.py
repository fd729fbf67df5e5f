"""TRL's GRPOTrainer learns from matches played in a served environment."""

import re

import datasets
import pytest
import torch
from env_client import Session
from places import DOCS
from served import served
from tiny_models import SHAPE, flat
from trl import GRPOConfig, GRPOTrainer
from trl.chat_template_utils import qwen3_chat_template

from tesuji.games.catalogue import load_game
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.players.sampling.local import LocalSampler
from tesuji.serve.env.app import make_app
from tesuji.serve.env.offer import Offer

SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GROUP = 4


@pytest.fixture(scope="module")
def url():
    with served(make_app(Offer(load_game("tic_tac_toe")))) as address:
        yield address


def _config(folder, **more):
    return GRPOConfig(
        output_dir=str(folder),
        max_steps=2,
        per_device_train_batch_size=GROUP,
        num_generations=GROUP,
        learning_rate=1e-2,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        logging_steps=1,
        seed=3,
        **more,
    )


def _seeds(**columns):
    rows = {"prompt": [[{"role": "user", "content": "Play."}]] * 8, "seed": list(range(8))}
    return datasets.Dataset.from_dict({**rows, **columns})


class Matches:
    """A rollout function: whole matches, of whose tokens only the model's own are learned."""

    def __init__(self, url: str) -> None:
        self.url, self.played = url, []

    def __call__(self, prompts, trainer):
        model, tokenizer = trainer.model, trainer.processing_class
        sampler = LocalSampler(model, tokenizer)
        group = len(self.played) // GROUP
        plays = [self._play(sampler, tokenizer, group, number) for number in range(len(prompts))]
        names = ("prompt_ids", "completion_ids", "logprobs", "env_mask", "earned")
        return {name: [play[name] for play in plays] for name in names}

    def _play(self, sampler, tokenizer, group: int, number: int):
        ids, logprobs, mask, first = [], [], [], []
        with Session(self.url) as session:
            answer = session.reset(seed=group, opponent="random")
            while not answer["done"]:
                seen = answer["observation"]
                board = seen["text"].partition("Current State:\n")[2].partition("\n\n")[0] + "\n"
                shown = tokenizer(board)["input_ids"]
                choices = [
                    (*tokenizer(move)["input_ids"], tokenizer.eos_token_id)
                    for move in seen["legal_moves"]
                ]
                [reply] = sampler.sample(
                    [(*first, *ids, *shown)],
                    temperature=1.0,
                    top_p=1.0,
                    max_new_tokens=16,
                    seeds=[1000 * group + 100 * number + len(ids)],
                    stop_ids=sampler.stop_ids,
                    choices=[choices],
                )
                if first:
                    ids, logprobs, mask = (
                        ids + shown,
                        logprobs + [0.0] * len(shown),
                        mask + [0] * len(shown),
                    )
                else:
                    first = shown
                ids += reply.reply_ids
                logprobs += reply.logprobs
                mask += [1] * len(reply.reply_ids)
                move = tokenizer.decode(reply.reply_ids, skip_special_tokens=True)
                answer = session.step(move)
        assert answer["metadata"]["ending"] == "finished"
        self.played.append(answer["metadata"]["returns"][0])
        return {
            "prompt_ids": first,
            "completion_ids": ids,
            "logprobs": logprobs,
            "env_mask": mask,
            "earned": self.played[-1],
        }


def earned(completions, earned, **columns):
    return earned


def test_two_steps_of_grpo_on_whole_matches(url, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    model, matches = build_model(SHAPE, 1), Matches(url)
    before = flat(model)
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=earned,
        args=_config(tmp_path, max_completion_length=256),
        train_dataset=_seeds(),
        processing_class=build_tokenizer(),
        rollout_func=matches,
    )
    trainer.train()
    assert len(matches.played) == 2 * GROUP and len(set(matches.played)) > 1
    logged = [line for line in trainer.state.log_history if "reward" in line]
    assert [line["reward"] for line in logged] == pytest.approx(
        [sum(matches.played[at : at + GROUP]) / GROUP for at in (0, GROUP)]
    )
    assert not torch.equal(before, flat(model)) and torch.isfinite(flat(model)).all()


@pytest.fixture
def table(url):
    """The class on docs/doors.md, at the address of this test."""
    [code] = [c for c in SNIPPET.findall((DOCS / "doors.md").read_text()) if "class Table" in c]
    names = {}
    exec(code.replace("ws://127.0.0.1:8000", url.replace("http", "ws")), names)
    return names["Table"]


def test_the_class_of_the_docs_plays_a_match(table) -> None:
    one = table()
    assert "Legal Actions" in one.reset(seed=1, prompt="whatever a row has")
    assert one.get_reward() == -1
    for move in (
        "nonsense",
        "x(0,0)",
        *(f"x({row},{column})" for row in range(3) for column in range(3)),
    ):
        told = one.move(move)
    assert "The match is over" in told and one.move("x(0,0)") == told
    assert one.get_reward() in (-1, 0, 1)


def test_two_steps_of_grpo_through_an_environment_factory(table, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    resets = []

    class Watched(table):
        def reset(self, **row):
            resets.append(row["seed"])
            return super().reset(**row)

    tokenizer = build_tokenizer()
    tokenizer.chat_template = qwen3_chat_template
    trainer = GRPOTrainer(
        model=build_model(SHAPE.model_copy(update={"max_position_embeddings": 8192}), 1),
        args=_config(tmp_path, max_completion_length=8),
        train_dataset=_seeds(),
        processing_class=tokenizer,
        environment_factory=Watched,
    )
    trainer.train()
    assert len(resets) == 2 * GROUP and len(set(resets)) == 2
    rewards = [line["reward"] for line in trainer.state.log_history if "reward" in line]
    assert rewards == [-1, -1]  # fresh weights call no tool: nothing was played
