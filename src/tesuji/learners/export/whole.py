"""A trained model as one whole: its adapter merged into its base, and saved for plain transformers.

    whole = whole_model(recipe.model, "runs/x/stages/02-sft/final")
    save_whole(whole, Path("merged"), "bfloat16")

Merging is done in float32 on the CPU. What comes of it is compared with the adapter on its base,
and what was saved with what was to be saved, by the logits of random tokens: two models that agree
on those agree on all. A base that was trained on in 4 bits is de-quantised first, since those are
the weights that the adapter has learned to mend (never tried: it needs a GPU).
"""

import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.checksums import sealed_folder
from tesuji.core.errors import EngineError, first_line
from tesuji.learners.model.load import Policy, load_model, load_policy, load_tokenizer
from tesuji.learners.model.sources import base_of, resolved
from tesuji.learners.reward_model.model import is_reward_model, load_reward_model
from tesuji.learners.reward_model.scorer import FACTS
from tesuji.recipe.schema.sections import ModelSection

MOST_OFF = 1e-5  # of the largest logit, or of 1: float32 adds up in another order
PROBED = 32  # tokens in a row that is compared


@dataclass(frozen=True, slots=True)
class WholeModel:
    """A model in float32 on the CPU with nothing around it. `dtype` is the type of its base's
    weights as they came, `rewarding` says that it is a reward model, `notes` tell in sentences how
    it was made whole."""

    model: Any
    tokenizer: Any
    source: str
    dtype: str
    rewarding: bool
    notes: tuple[str, ...]


def whole_model(section: ModelSection, source: str) -> WholeModel:
    """The model in the folder `source`, whole. Raises EngineError where it cannot be loaded here,
    or where the merged model is not the adapter on its base."""
    plain = section.model_copy(
        update={"dtype": "float32", "device": "cpu", "load_in_4bit": False}
        | ({"attn_implementation": "sdpa"} if "flash" in section.attn_implementation else {})
    )
    warnings.filterwarnings("ignore", message=".*tie_word_embeddings", module="peft")
    rewarding = is_reward_model(source)
    base = base_of(source, section.base)
    if section.load_in_4bit and base and not rewarding:
        policy = _on_dequantised(section, source, base)
    else:
        policy = (load_reward_model if rewarding else load_policy)(plain, source)
    model, notes = policy.model.eval(), ("all of its weights were trained: nothing was merged",)
    if base:
        model, note = _merged(model, source)
        notes = (note,)
    dtype = str(config_of(section, source).dtype or "float32").removeprefix("torch.")
    return WholeModel(model, policy.tokenizer, source, dtype, rewarding, notes)


def save_whole(whole: WholeModel, folder: Path, dtype: str) -> tuple[str, ...]:
    """Write it as weights of this type (`float32`, `bfloat16`, `float16`) into `folder`, whole or
    not at all; return in sentences how exact that is. Afterwards the model in memory is rounded,
    too. Raises EngineError where the folder, loaded again, gives other logits."""
    import torch

    exact = probe(whole.model)
    _set_type(whole.model, getattr(torch, dtype))
    with sealed_folder(folder) as aside:
        whole.model.save_pretrained(aside)
        whole.tokenizer.save_pretrained(aside)
        if (facts := Path(whole.source) / FACTS).is_file():
            shutil.copy(facts, aside / FACTS)
        _set_type(whole.model, torch.float32)
        rounded = probe(whole.model)
        again = probe(_loaded(aside, whole.rewarding))
        off, share = _apart(again, rounded)
        if share > MOST_OFF:
            what = f"loaded again, the saved model's logits are {off:.2g} off"
            raise EngineError(what, where=whole.source, hint="this is a fault of Tesuji's: tell it")
    moved = _apart(rounded, exact)[0]
    saved = f"saved in {dtype}" + (f", which moves logits by up to {moved:.2g}" if moved else "")
    return (f"{saved}; loaded again by transformers alone, they are {off:.2g} off",)


def _set_type(model: Any, dtype: Any) -> None:
    """Its parameters in this type; not what it computes for itself, such as rotary frequencies."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)


def probe(model: Any) -> Any:
    """Logits of two rows of random tokens, float32 on the CPU."""
    import torch

    config = model.config.get_text_config()
    longest = min(PROBED, int(getattr(config, "max_position_embeddings", None) or PROBED))
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(0, int(config.vocab_size), (2, longest), generator=draw)
    with torch.no_grad():
        return model(input_ids=ids).logits.float()


def _apart(one: Any, other: Any) -> tuple[float, float]:
    """The largest difference, and its share of the largest logit (of 1, where all are smaller)."""
    off = float((one - other).abs().max())
    return off, off / max(float(other.abs().max()), 1.0)


def _on_dequantised(section: ModelSection, source: str, base: str) -> Policy:
    """The adapter on what 4 bits have left of its base. Raises EngineError without a GPU."""
    from peft import PeftModel

    model = load_model(section, base).dequantize().float().cpu()
    adapted = PeftModel.from_pretrained(model, source)
    return Policy(adapted, load_tokenizer(section, source), source)


def _merged(model: Any, source: str) -> tuple[Any, str]:
    """(the base with the adapter in its weights, how near that is). Raises EngineError."""
    adapted = probe(model)
    _part_ties(model.get_base_model())
    try:
        whole = model.merge_and_unload(safe_merge=True)
    except ValueError as error:  # weights that are no numbers
        raise EngineError(f"cannot be merged: {first_line(error)}", where=source) from error
    _settle_ties(whole)
    off, share = _apart(probe(whole), adapted)
    words = f"logits are at most {off:.2g} off, {share:.1g} of the largest"
    if not share <= MOST_OFF:
        raise EngineError(
            f"merged, the model is another one: {words}",
            where=source,
            hint="use the adapter on its base; `tesuji push` takes it as it is",
        )
    return whole, f"merged into its base in float32: {words}"


def _part_ties(base: Any) -> None:
    """Give a head that shares the embedding's weights its own copy, where an adapter stands around
    either: merging would change both."""
    from torch import nn

    head, words = base.get_output_embeddings(), base.get_input_embeddings()
    inner = [getattr(module, "base_layer", module) for module in (head, words)]
    wrapped = [module for module in (head, words) if hasattr(module, "base_layer")]
    if wrapped and inner[0].weight is inner[1].weight:
        inner[0].weight = nn.Parameter(inner[0].weight.detach().clone())


def _settle_ties(whole: Any) -> None:
    """Let the configuration say whether head and embedding still share their weights."""
    head, words = whole.get_output_embeddings(), whole.get_input_embeddings()
    config = whole.config.get_text_config()
    if head is None or not config.tie_word_embeddings or head.weight is words.weight:
        return
    config.tie_word_embeddings = whole.config.tie_word_embeddings = False
    whole.all_tied_weights_keys = {}


def _loaded(folder: Path, rewarding: bool) -> Any:
    import transformers

    kind = "AutoModelForSequenceClassification" if rewarding else "AutoModelForCausalLM"
    return getattr(transformers, kind).from_pretrained(folder, dtype="float32").eval()


def config_of(section: ModelSection, source: str) -> Any:
    """The configuration of the model in a folder: of an adapter, its base's."""
    from transformers import AutoConfig

    options: Mapping[str, Any] = {"trust_remote_code": section.trust_remote_code}
    return AutoConfig.from_pretrained(resolved(base_of(source, section.base) or source), **options)
