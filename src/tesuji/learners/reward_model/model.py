"""Reward models: a language model's layers with a head that gives one number for a conversation.

The number is read at the last token, which is always the one that ends the reply. A final folder
is a whole model, or an adapter that holds the head too.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tesuji.core.errors import EngineError
from tesuji.core.files import read_json
from tesuji.core.tensors import on_device
from tesuji.learners.model.adapter import add_adapter, lora_config
from tesuji.learners.model.adapter_dtype import compute_in_base_dtype
from tesuji.learners.model.load import (
    Policy,
    load_model,
    load_policy,
    load_tokenizer,
    refuse_damaged,
)
from tesuji.learners.model.sources import base_of
from tesuji.learners.model.tree_states import tree_states
from tesuji.players.prompting.chat_template import end_of_reply
from tesuji.players.sampling.head import layers, whole
from tesuji.players.sampling.modes import evaluating
from tesuji.players.sampling.support_check import support_of
from tesuji.players.sampling.token_tree import forest
from tesuji.recipe.schema.sections import ModelSection

HEAD = "score"
TASK = "SEQ_CLS"


def new_reward_model(section: ModelSection, source: str, seed: int) -> Policy:
    """The model of `source` (whole or an adapter's folder) with a fresh head that follows from
    `seed`, to be trained: an adapter where the recipe has `model.lora`, else all of it.

    An adapter's folder is gone on with: its adapter, on its own base, gets the head and is trained
    further, so that nothing is merged. Without `model.lora` it is merged into a whole model.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        base = base_of(source, section.base)
        tokenizer = _padding(load_tokenizer(section, source))
        model = load_model(section, base or source, rewarding=True)
        _check_head(model, source)
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
        if section.adapters is not None:
            model = _adapted(model, section, source if base else None)
        elif base:
            _merge_into(model, section, source)
    return Policy(model, tokenizer, source)


def check_takes_head(config: Any, source: str) -> None:
    """A reward head can be put on a model of this configuration, which is `source`'s. Raises
    EngineError."""
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING as KNOWN
    from transformers import AutoModelForSequenceClassification

    if getattr(config, "auto_map", None):  # its own code says, once it is loaded
        return
    with torch.device("meta"):
        known = type(config) in KNOWN
        model = AutoModelForSequenceClassification.from_config(config) if known else None
    _check_head(model, source)


def load_reward_model(section: ModelSection, source: str) -> Policy:
    """A trained reward model. Raises EngineError where `source` holds none."""
    if not is_reward_model(source):
        raise EngineError(
            f"no reward model in {source}",
            where="rewards.reward_model",
            hint="name the `final` folder of a reward stage",
        )
    base = base_of(source, section.base)
    model = load_model(section, base or source, rewarding=True)
    refuse_damaged(source)
    tokenizer = _padding(load_tokenizer(section, source))
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    if base:
        from peft import PeftModel

        reward_head(model).float()  # as it was trained and saved
        model = PeftModel.from_pretrained(model, source, is_trainable=True)
        model = compute_in_base_dtype(model)
    return Policy(model, tokenizer, source)


def is_reward_model(source: str) -> bool:
    """Whether a folder holds a reward model, whole or as an adapter. A Hub id counts as one."""
    folder = Path(source)
    if (adapter := folder / "adapter_config.json").is_file():
        return bool(read_json(adapter).get("task_type") == TASK)
    if not (config := folder / "config.json").is_file():
        return not folder.exists()
    names = read_json(config).get("architectures") or []
    return any(str(name).endswith("ForSequenceClassification") for name in names)


def reward_head(model: Any) -> nn.Linear:
    """The head that is in use. Raises AttributeError for a model that has none."""
    head = getattr(whole(model), HEAD)
    kept = getattr(head, "modules_to_save", None)
    in_use: nn.Linear = head if kept is None else kept[model.active_adapter]
    return in_use


def has_reward_head(model: Any) -> bool:
    """Whether it is a reward model, not a language model."""
    return hasattr(whole(model), HEAD)


@torch.no_grad()
def score_ids(
    model: Any, sequences: Sequence[Sequence[int]], pad: int, batch_tokens: int
) -> list[float]:
    """The reward of each whole sequence, the head computed in float32; alike beside alike, at most
    `batch_tokens` tokens (or one sequence) in a forward pass. What several begin with is read once
    where the model takes trees."""
    scores = [0.0] * len(sequences)
    shared = support_of(model).shared
    chunks = forest(sequences, batch_tokens) if shared else _chunks(sequences, batch_tokens)
    with evaluating(model):
        for chunk in chunks:
            some = [sequences[index] for index in chunk]
            hidden = _ends_in_tree(model, some) if shared else _ends(model, some, pad)
            rewards = nn.functional.linear(hidden.float(), reward_head(model).weight.float())
            for index, [reward] in zip(chunk, rewards.tolist(), strict=True):
                scores[index] = reward
    return scores


def _ends_in_tree(model: Any, some: Sequence[Sequence[int]]) -> Tensor:
    """Hidden states [B, D] at the last tokens, of sequences read as a tree."""
    states, nodes = tree_states(model, some)
    return states[on_device([path[-1] for path in nodes], states.device)]


def _ends(model: Any, some: Sequence[Sequence[int]], pad: int) -> Tensor:
    """The same of sequences padded to the right."""
    width = max(map(len, some))
    rows = [[*ids, *([pad] * (width - len(ids)))] for ids in some]
    mask = [[1] * len(ids) + [0] * (width - len(ids)) for ids in some]
    out = layers(model)(
        input_ids=on_device(rows, model.device),
        attention_mask=on_device(mask, model.device),
        use_cache=False,
    )
    last = on_device([len(ids) - 1 for ids in some], model.device)
    hidden: Tensor = out.last_hidden_state[torch.arange(len(some), device=model.device), last]
    return hidden


def _chunks(sequences: Sequence[Sequence[int]], batch_tokens: int) -> Iterator[list[int]]:
    chunk: list[int] = []
    for index in sorted(range(len(sequences)), key=lambda i: len(sequences[i])):
        if chunk and (len(chunk) + 1) * len(sequences[index]) > batch_tokens:
            yield chunk
            chunk = []
        chunk.append(index)
    if chunk:
        yield chunk


def _padding(tokenizer: Any) -> Any:
    """transformers takes the last token that is not padding for the end of a sequence: padding
    with the token that ends a reply would hide it. Any other token will do, since it is masked."""
    end = end_of_reply(tokenizer)
    if tokenizer.pad_token_id == end:
        special = (tokenizer.bos_token_id, tokenizer.unk_token_id, *tokenizer.added_tokens_decoder)
        other = next((t for t in special if t is not None and t != end), 1 if end == 0 else 0)
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(other)
    return tokenizer


def _check_head(model: Any, source: str) -> None:
    if not isinstance(getattr(model, HEAD, None), nn.Linear):
        raise EngineError(
            f"no reward head can be put on {source}: transformers gives it no `{HEAD}` layer",
            where="model.base",
            hint="use a model such as Qwen, Llama, Mistral or Gemma",
        )


def _adapted(model: Any, section: ModelSection, adapter: str | None) -> Any:
    """An adapter around the model, fresh or begun as the one in `adapter`; the head is trained
    whole beside it, in float32 (PEFT adds it to `modules_to_save` for this task)."""
    assert section.adapters is not None
    config = lora_config(section.adapters, TASK)
    if adapter is not None:
        from peft import LoraConfig, load_peft_weights, set_peft_model_state_dict

        config = LoraConfig.from_pretrained(adapter)
        config.task_type, config.modules_to_save, config.inference_mode = TASK, None, False
    reward_head(model).float()
    model = add_adapter(model, config)
    if adapter is not None:
        weights = load_peft_weights(adapter, device=str(model.device))
        weights[f"base_model.model.{HEAD}.weight"] = reward_head(model).weight.detach()
        set_peft_model_state_dict(model, weights)
    return model


def _merge_into(model: Any, section: ModelSection, source: str) -> None:
    merged = load_policy(section, source).model.merge_and_unload()
    layers(model).load_state_dict(layers(merged).state_dict())
