"""Loading models: a Hub id, a local folder, a GGUF file, or one built here; adapters on top.

One path for all: a model built from its shape is first written to a folder and then loaded like
any other. A trained stage's `final/` folder holds either a whole model, or an adapter beside the
name of its base.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.checksums import CHECKSUMS, damage
from tesuji.core.errors import EngineError, TesujiError, first_line
from tesuji.core.progress import SILENT, Progress
from tesuji.learners.fsdp import reshard
from tesuji.learners.model.dtype import computes_bfloat16, dtype_of, parameters_of
from tesuji.learners.model.memory import ran_out_of_memory
from tesuji.learners.model.rules import TINY
from tesuji.learners.model.sources import base_of, resolved
from tesuji.learners.model.tiny import build_model, build_tokenizer, check_shape
from tesuji.players.sampling.support import Support
from tesuji.players.sampling.support_check import DECODERS, require_support, support_of
from tesuji.recipe.schema.sections import ModelSection

FOLDER_HINT = "the folder needs config.json, *.safetensors and the tokenizer's files"
HUB_HINT = "check the id and your connection; gated models need HF_TOKEN; or name a local folder"


def quiet_libraries() -> None:
    """Keep transformers' and datasets' own bars and remarks out of a run's output."""
    import datasets
    import torch
    from transformers.utils import logging

    if not torch.cuda.is_available():  # else DeepSpeed remarks on that wherever it is installed
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    for noisy in ("transformers", "torch.distributed"):
        warnings.filterwarnings("ignore", category=FutureWarning, module=noisy)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    datasets.disable_progress_bars()


@dataclass(frozen=True, slots=True)
class Policy:
    """A loaded model with its tokenizer. `source` is the Hub id or folder it came from."""

    model: Any
    tokenizer: Any
    source: str

    @property
    def support(self) -> Support:
        """How the model can be run."""
        return support_of(self.model)


def prepare_base(section: ModelSection, folder: Path, seed: int) -> str:
    """Where to load the recipe's model from; `base: tiny` is built into `folder` first."""
    if section.base != "tiny":
        return section.base
    if not (folder / "tokenizer_config.json").exists():
        check_shape(section.tiny)
        build_model(section.tiny, seed).save_pretrained(folder)
        build_tokenizer().save_pretrained(folder)  # last: its presence means the folder is whole
    return str(folder)


def load_policy(
    section: ModelSection, source: str, progress: Progress = SILENT, *, shards: int = 1
) -> Policy:
    """Load a model for use: whole, or base + adapter when `source` is an adapter's folder, or (not
    an adapter) a part of its weights in each of `shards` processes; `progress` hears of a GGUF file
    that is de-quantised first.

    Raises EngineError when it is not there, needs a token, does not fit this machine, or is no
    causal language model.
    """
    base = base_of(source, section.base)
    resolved(base or source, progress)
    if base is None:
        model = load_model(section, source, shards=shards)
        return Policy(model, load_tokenizer(section, source), source)
    from peft import PeftModel

    from tesuji.learners.model.adapter_dtype import compute_in_base_dtype

    refuse_damaged(source)
    model = load_model(section, base)
    with _told(source):
        model = PeftModel.from_pretrained(model, source, is_trainable=True)
    return Policy(compute_in_base_dtype(model), load_tokenizer(section, source), source)


def device_of(section: ModelSection) -> str:
    """The device to use. Raises EngineError when the recipe asks for one that is not here."""
    import torch

    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if section.device == "auto":
        return next((name for name, present in here.items() if present), "cpu")
    if not here.get(section.device, True):
        raise EngineError(
            f"no {section.device} device on this machine",
            where="model.device",
            hint="use `device: auto`; `tesuji doctor` shows what there is",
        )
    return section.device


def fit_threads(model: Any) -> None:
    """One thread for a tiny model on a CPU, unless OMP_NUM_THREADS says otherwise.

    Its matrices are too small to share: two threads gain a tenth on an idle machine, and are five
    times slower as soon as anything else runs, for they wait for each other spinning.
    """
    import torch

    small = sum(p.numel() for p in model.parameters()) < TINY
    if small and model.device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


def load_model(
    section: ModelSection, source: str, *, rewarding: bool = False, shards: int = 1
) -> Any:
    """A whole model: a causal LM, or (`rewarding`) the same layers with a head of one number,
    which is random where the source has none, or (`shards`) this process's part of its weights; its
    code is checked with a few tokens. Raises EngineError as `load_policy` does."""
    import transformers

    device = device_of(section)
    options: dict[str, Any] = {
        "dtype": _dtype(section, source, device),
        "attn_implementation": section.attn_implementation,
        "trust_remote_code": section.trust_remote_code,
        "use_safetensors": True,
        **_revision(section, source),
        **quantization(section),
        **({"num_labels": 1} if rewarding else {}),
        **_sharding(shards),
    }
    kind = "AutoModelForSequenceClassification" if rewarding else "AutoModelForCausalLM"
    source = resolved(source)
    refuse_damaged(source)
    with _told(source):
        model = _from_pretrained(getattr(transformers, kind), source, options)
        if not section.load_in_4bit and shards == 1:
            model = model.to(device)
    fit_threads(model)
    require_support(model, source, Path(source))
    if shards > 1:
        reshard(model)
    return model


def _sharding(shards: int) -> dict[str, Any]:
    """FSDP2 over so many processes, as transformers plans it for the model (Zhao et al. 2023)."""
    if shards == 1:
        return {}
    from transformers.distributed import DistributedConfig

    return {"distributed_config": DistributedConfig(fsdp_size=shards)}


def _dtype(section: ModelSection, source: str, device: str) -> Any:
    """`dtype_of`, for which a model's size counts where this is a CPU that computes in bfloat16."""
    from transformers import AutoConfig

    if section.dtype != "auto" or device != "cpu" or not computes_bfloat16():
        return dtype_of(section, device)
    with _told(source):
        trust = section.trust_remote_code
        config = AutoConfig.from_pretrained(
            resolved(source), trust_remote_code=trust, **_revision(section, source)
        )
        return dtype_of(section, device, parameters_of(config))


def _from_pretrained(kind: Any, source: str, options: dict[str, Any]) -> Any:
    """The model; in eager attention where it knows no other and none was asked for."""
    try:
        return kind.from_pretrained(source, **options)
    except ValueError as error:
        unknown = "does not support an attention implementation" in str(error)
        if not unknown or options["attn_implementation"] != "sdpa":
            raise
        return kind.from_pretrained(source, **options | {"attn_implementation": "eager"})


def load_tokenizer(section: ModelSection, source: str, *, here: bool = False) -> Any:
    """The source's tokenizer, with a token to pad with; `here`: nothing is downloaded. Raises
    EngineError when it is not there."""
    from transformers import AutoTokenizer

    revision, source = _revision(section, source), resolved(source)
    with _told(source, "the tokenizer of "):
        tokenizer = AutoTokenizer.from_pretrained(
            source,
            trust_remote_code=section.trust_remote_code,
            local_files_only=here,
            **revision,
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _revision(section: ModelSection, source: str) -> dict[str, str]:
    wanted = section.revision and source == section.base
    return {"revision": str(section.revision)} if wanted else {}


def quantization(section: ModelSection) -> dict[str, Any]:
    """4-bit NF4 with double quantisation (QLoRA, Dettmers et al. 2023), when asked for. Raises
    EngineError where this machine cannot."""
    if not section.load_in_4bit:
        return {}
    import importlib.util

    import torch
    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None or not torch.cuda.is_available():
        raise EngineError(
            "4-bit loading needs bitsandbytes and a CUDA GPU",
            where="model.load_in_4bit",
            hint="pip install 'tesuji[quantize]' on a GPU machine, or set load_in_4bit: false",
        )
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": config, "device_map": "auto"}


def refuse_damaged(source: str) -> None:
    """Raise EngineError where a folder that a run saved is no longer what it was, and where one of
    somebody else's was cut short."""
    folder = Path(source)
    if not (problem := damage(folder)):
        return
    stage, run = folder.parent / "started.json", folder.parent / "manifest.json"
    if not (stage.exists() or run.exists()):
        raise _cannot_load(source, ValueError(problem))
    what = "done.json beside it" if stage.exists() else "the folder"
    raise EngineError(
        f"this saved model is damaged: {problem}",
        where=source,
        hint=f"delete {what}, and the same run makes it again; or, if it was you who changed it, "
        f"delete its {CHECKSUMS}",
    )


@contextmanager
def _told(source: str, part: str = "") -> Iterator[None]:
    """Whatever a library raises over a broken folder becomes one message: transformers,
    safetensors, tokenizers and PEFT share no error of their own."""
    try:
        yield
    except TesujiError:
        raise
    except Exception as error:
        raise _cannot_load(source, error, part) from error


def _cannot_load(source: str, error: Exception, part: str = "") -> EngineError:
    if ran_out_of_memory(error):
        hint = "use a smaller model, `dtype: bfloat16`, or load_in_4bit with a `lora:` section"
        return EngineError(f"out of memory loading {source}", where="model.base", hint=hint)
    if "Unrecognized configuration class" in str(error):
        rewarding = "ForSequenceClassification" in str(error)
        words = "takes no reward head" if rewarding else "is no causal language model"
        return EngineError(f"{source!r} {words}", where="model.base", hint=DECODERS)
    what = f"cannot load {part or 'the model '}{source!r}: {first_line(error)}"
    hint = FOLDER_HINT if Path(source).exists() else HUB_HINT
    return EngineError(what, where="model.base", hint=hint)
