"""LoRA adapters: a new one on a model, with the targets its recipe names."""

import warnings
from typing import Any

from tesuji.core.errors import EngineError
from tesuji.learners.model.load import Policy
from tesuji.recipe.schema.sections import LoraSection

TARGETS = "model.lora.target_modules"


def with_adapter(policy: Policy, lora: LoraSection, seed: int = 0) -> Policy:
    """Add fresh LoRA adapters (Hu et al. 2021), made from `seed`, to a model that has none."""
    import torch
    from peft import PeftModel

    if isinstance(policy.model, PeftModel):
        return policy
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = add_adapter(policy.model, lora_config(lora, "CAUSAL_LM"))
    return Policy(model, policy.tokenizer, policy.source)


def lora_config(lora: LoraSection, task: str) -> Any:
    """The recipe's adapter as PEFT's configuration."""
    from peft import LoraConfig

    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        task_type=task,
    )


def add_adapter(model: Any, config: Any) -> Any:
    """The model with an adapter of this configuration around it. Raises EngineError where the
    configuration does not fit the model."""
    from peft import get_peft_model, prepare_model_for_kbit_training

    from tesuji.learners.model.adapter_dtype import compute_in_base_dtype

    if getattr(model, "is_loaded_in_4bit", False):
        model = prepare_model_for_kbit_training(model)
    try:
        with warnings.catch_warnings():
            # `refuse_head` and merging see to shared weights; the base's folder is a cache's
            for words in (".*tie_word_embeddings", ".*was renamed from"):
                warnings.filterwarnings("ignore", message=words, module="peft")
            return compute_in_base_dtype(get_peft_model(model, config))
    except ValueError as error:
        raise EngineError(
            str(error), where=TARGETS, hint="`all-linear` fits every model"
        ) from error


def refuse_head(model: Any) -> None:
    """Raise EngineError for a model whose head has an adapter, which SFT and DPO would not train:
    TRL computes log-probs from the head's own weights."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = hasattr(model, "peft_config")
    if not adapted or not isinstance(model.get_output_embeddings(), BaseTunerLayer):
        return
    tied = model.config.get_text_config().tie_word_embeddings
    raise EngineError(
        "SFT and DPO read the head's own weights: an adapter on it (lm_head) would never be trained"
        + (", and this model's are its embedding's, too" if tied else ""),
        where=TARGETS,
        hint="leave it out; `all-linear` is every linear layer but the head",
    )
