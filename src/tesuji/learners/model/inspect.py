"""What can be known of a model before its weights are loaded: its configuration, its tokenizer, the
heads of its weight files, its shape. Nothing is downloaded, and no weights are read (a GGUF file is
de-quantised first, once and for all).

    facts = inspect_model(ModelSection(base="some/folder"), "some/folder")
    facts.context, facts.parameters
"""

import importlib.util
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tesuji.core.errors import EngineError, TesujiError, first_line
from tesuji.core.progress import SILENT, Progress
from tesuji.core.types import Message
from tesuji.learners.model.adapter import add_adapter, lora_config
from tesuji.learners.model.load import (
    FOLDER_HINT,
    device_of,
    load_tokenizer,
    quantization,
)
from tesuji.learners.model.rules import context_of
from tesuji.learners.model.sources import KNOWN, base_of, gguf_of, resolved
from tesuji.learners.model.tiny import build_tokenizer, check_shape, tiny_config
from tesuji.players.prompting.chat_template import end_of_reply, render_prompt
from tesuji.recipe.schema.sections import ModelSection

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")
GATED = ("meta-llama/", "google/gemma-")  # owners and names of which the Hub asks for a token
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


@dataclass(frozen=True)
class ModelFacts:
    """A model's configuration and tokenizer."""

    source: str
    config: Any
    tokenizer: Any

    @property
    def context(self) -> int | None:
        """The most tokens it can read, where its configuration says."""
        return context_of(self.config)

    @cached_property
    def shape(self) -> Any:
        """The model without any numbers in it."""
        import torch
        from transformers import AutoModelForCausalLM

        try:
            with torch.device("meta"):
                return AutoModelForCausalLM.from_config(self.config)
        except Exception as error:  # a foreign configuration: whatever it raises is its fault
            why = f"no model can be made of its config.json: {first_line(error)}"
            raise _broken(self.source, why) from error

    @cached_property
    def parameters(self) -> int:
        """How many numbers it is made of, adapters that are tried on it left out."""
        return sum(parameter.numel() for parameter in self.shape.parameters())


def inspect_model(
    section: ModelSection, source: str, progress: Progress = SILENT
) -> ModelFacts | None:
    """What is known here of the recipe's model; None where it first has to be downloaded.

    Raises EngineError (or RecipeError for the shape of `tiny`) for all that would stop its loading
    and is known before.
    """
    check_machine(section)
    if source == "tiny":
        check_shape(section.tiny)
        tokenizer = build_tokenizer()
        return ModelFacts(source, tiny_config(section.tiny, tokenizer), tokenizer)
    if gguf_of(source) is not None or source in KNOWN:
        source = resolved(source, progress)
    if Path(source).exists():
        return _of_folder(section, source)
    return _of_hub(section, source)


def check_machine(section: ModelSection) -> None:
    """Device, quantisation and attention kernel are here. Raises EngineError."""
    device = device_of(section)
    quantization(section)
    if section.attn_implementation != "flash_attention_2":
        return
    if importlib.util.find_spec("flash_attn") is None or device != "cuda":
        raise EngineError(
            "flash_attention_2 needs the package flash-attn and a CUDA GPU",
            where="model.attn_implementation",
            hint="set `attn_implementation: sdpa`",
        )


def check_adapter(facts: ModelFacts, section: ModelSection) -> None:
    """The model has the layers that `lora.target_modules` names. Raises EngineError."""
    if section.adapters is not None and base_of(facts.source, section.base) is None:
        add_adapter(facts.shape, lora_config(section.adapters, "CAUSAL_LM"))


def _of_folder(section: ModelSection, source: str) -> ModelFacts | None:
    base = base_of(source, section.base)
    if base is None:
        _check_weights(Path(source))
        facts = _read(section, source)
        _check_shapes(facts)
        return facts
    _check_weights(Path(source), "adapter_model.safetensors")
    below = inspect_model(section, base)
    return below and ModelFacts(source, below.config, load_tokenizer(section, source, here=True))


def _of_hub(section: ModelSection, source: str) -> ModelFacts | None:
    from huggingface_hub import get_token, is_offline_mode, try_to_load_from_cache

    if not _HUB_ID.fullmatch(source):
        raise EngineError(
            f"cannot load the model {source!r}: there is no such folder, and it is no Hub id",
            where="model.base",
            hint="write `tiny`, `smollm2`, a Hub id such as Qwen/Qwen2.5-0.5B-Instruct, a model's "
            "folder, or a GGUF file",
        )
    kept = [try_to_load_from_cache(source, name, revision=section.revision)
            for name in ("config.json", *WEIGHTS)]  # fmt: skip
    config, *weights = [isinstance(path, str) for path in kept]
    if config and any(weights):
        return _read(section, source)
    if is_offline_mode():
        what = "its weights are" if config else "it is"
        raise EngineError(
            f"cannot load the model {source!r}: there is no such folder, {what} not in the cache "
            "of this machine, and HF_HUB_OFFLINE forbids to download",
            where="model.base",
            hint="name a local folder, or unset HF_HUB_OFFLINE",
        )
    if source.startswith(GATED) and not get_token():
        raise EngineError(
            f"{source} is given out to those only who have accepted its licence",
            where="model.base",
            hint="accept it on the model's page, then set HF_TOKEN (or: hf auth login)",
        )
    return None


def _read(section: ModelSection, source: str) -> ModelFacts:
    """Configuration and tokenizer, each known to fit what is done with it here."""
    from transformers import AutoConfig

    revision = section.revision if source == section.base else None
    try:
        config = AutoConfig.from_pretrained(
            source,
            revision=revision,
            local_files_only=True,
            trust_remote_code=section.trust_remote_code,
        )
    except Exception as error:  # a foreign configuration: whatever it raises is its fault
        raise _broken(source, f"its config.json cannot be used: {first_line(error)}") from error
    _check_causal(source, config, section)
    tokenizer = load_tokenizer(section, source, here=True)
    _check_tokenizer(source, config, tokenizer)
    return ModelFacts(source, config, tokenizer)


def _check_causal(source: str, config: Any, section: ModelSection) -> None:
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    remote = section.trust_remote_code and getattr(config, "auto_map", None)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING and not remote:
        raise EngineError(
            f"{source} is a {config.model_type} model, which does not write text",
            where="model.base",
            hint="use a causal language model, such as Qwen, Llama or Mistral",
        )


def _check_tokenizer(source: str, config: Any, tokenizer: Any) -> None:
    try:
        end_of_reply(tokenizer)
        render_prompt(tokenizer, [Message(role="user", content="?")])
    except TesujiError:
        raise
    except Exception as error:  # a foreign template: whatever it raises is its fault
        raise _broken(source, f"its chat template fails: {first_line(error)}") from error
    size = getattr(config.get_text_config(), "vocab_size", None)
    if isinstance(size, int) and max(tokenizer.get_vocab().values(), default=0) >= size:
        raise _broken(source, f"its tokenizer has {len(tokenizer):,} tokens and the model {size:,}")


def _check_weights(folder: Path, wanted: str = "") -> None:
    """The weight files are there, and each is as long as its own head says."""
    from safetensors import safe_open

    files = [folder / wanted] if wanted else sorted(folder.glob("*.safetensors"))
    if not files or not all(file.is_file() for file in files):
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt*"))
        why = "; pickled weights (*.bin, *.pt) are not read" if pickled else ""
        raise _broken(str(folder), f"it has no {wanted or 'weights (*.safetensors)'}{why}")
    for file in files:
        try:
            with safe_open(file, framework="pt"):
                pass
        except Exception as error:  # SafetensorError, OSError: all mean that it is broken
            pointer = file.read_bytes()[:8] == b"version "
            why = (
                "a Git LFS pointer (run git lfs pull)"
                if pointer
                else f"broken: {first_line(error)}"
            )
            raise _broken(str(folder), f"{file.name} is {why}") from error
    _check_shards(folder)


def _check_shards(folder: Path) -> None:
    from tesuji.core.files import read_json

    index = folder / "model.safetensors.index.json"
    if not index.is_file() or (folder / "model.safetensors").is_file():
        return
    listed = read_json(index)
    named = listed.get("weight_map") if isinstance(listed, dict) else None
    if not isinstance(named, dict):
        raise _broken(str(folder), f"{index.name} names no files")
    missing = sorted({str(name) for name in named.values()} - {p.name for p in folder.iterdir()})
    if missing:
        raise _broken(str(folder), f"{missing[0]} is missing ({len(missing)} such files)")


def _check_shapes(facts: ModelFacts) -> None:
    """The weights in the files are of the shapes that the configuration asks for, and those of no
    layer are missing. Weights of other names are left to transformers, which may rename them."""
    from safetensors import safe_open

    wanted = {name: list(value.shape) for name, value in facts.shape.state_dict().items()}
    there: set[str] = set()
    for file in sorted(Path(facts.source).glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (no mapping)
                shape = weights.get_slice(name).get_shape()
                if name in wanted and shape != wanted[name]:
                    why = f"{name} is {shape} in {file.name} and {wanted[name]} by its config.json"
                    raise _broken(facts.source, why)
                there.add(name)
    alike = {_NUMBER.sub("0", name) for name in there}
    for name in wanted.keys() - there:
        if _NUMBER.sub("0", name) in alike:
            raise _broken(facts.source, f"{name} is in none of its files")


def _broken(source: str, why: str) -> EngineError:
    return EngineError(
        f"cannot load the model {source!r}: {why}", where="model.base", hint=FOLDER_HINT
    )
