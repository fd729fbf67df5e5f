"""A GGUF file (llama.cpp's format) as a model: looked at, then de-quantised once.

    dequantised(Path("model.gguf"))    # ~/.cache/tesuji/models/<sha256 of the file>

What comes of it is a folder that transformers loads like any other: the configuration, the weights
in bfloat16 (in the file's own type where that is a float), the tokenizer and its chat template, all
out of the one file. The folder is whole or absent, whoever is killed, and made by one process.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import contextlib
import fcntl
import functools
import hashlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tesuji.core.checksums import damage
from tesuji.core.errors import DataError, EngineError, TesujiError, first_line
from tesuji.core.files import (
    HALF,
    discard,
    read_json,
    sync,
    telling_full_disk,
    unreadable,
    unwritable,
    user_cache,
    write_json,
)
from tesuji.core.progress import SILENT, Progress
from tesuji.players.prompting.chat_template import end_of_reply

ORIGIN = "base.json"  # in the folder: which file it came of

# how byte-level tokenizers split text, by what llama.cpp calls it (src/llama-vocab.cpp)
SPLIT_AS_GPT2 = ("gpt-2", "mpt", "olmo", "jais", "trillion", "phi-2")
DIGITS_APART = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b")
FORMAT = 1  # of the folder; one of another format is made again
HINT = "use the model's own folder or Hub id"


def cache_folder() -> Path:
    """Where de-quantised models are kept: `models` in Tesuji's cache."""
    return user_cache() / "models"


def digest_of(file: Path) -> str:
    """The SHA-256 of a file's content. Raises DataError where it cannot be read."""
    try:
        facts = file.stat()
        return _digest(file.resolve(), facts.st_size, facts.st_mtime_ns)
    except OSError as error:
        raise unreadable(file, error) from error


@functools.lru_cache(maxsize=64)
def _digest(file: Path, size: int, modified: int) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def kept(digest: str) -> Path | None:
    """The folder that a file of this content was made into; None where there is no whole one."""
    folder = cache_folder() / digest
    if not (folder / ORIGIN).is_file() or damage(folder):
        return None
    return folder if read_json(folder / ORIGIN).get("format") == FORMAT else None


def dequantised(file: Path, progress: Progress = SILENT) -> Path:
    """The folder of the model in a GGUF file, made where it is not in the cache.

    Raises EngineError for a file that is none, is damaged, is only a part of a model or of an
    architecture that transformers cannot read; DataError where the cache has no room for it.
    """
    digest = digest_of(file)
    if folder := kept(digest):
        return folder
    folder = cache_folder() / digest
    with _alone(folder, progress):
        if kept(digest) is None:
            _make(file, folder, progress)
    return folder


@contextlib.contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    """One process at a time makes this folder; the lock of a killed one is free."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f"{folder.name}.lock").open("w")
    except OSError as error:
        raise unwritable(folder.parent, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            progress.begin("waiting for another process that de-quantises this model")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(file: Path, folder: Path, progress: Progress) -> None:
    from tesuji.learners.model.gguf_reader import reading_once

    progress.begin(f"reading {file.name}")
    reader = _looked_at(file, progress)
    _check_room(reader, folder)
    aside = folder.with_name(f".{folder.name}{HALF}")
    shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed
    try:
        aside.mkdir()
        with telling_full_disk(folder.parent), _telling(file), reading_once(reader):
            _convert(file, reader, aside, progress)
        licence = _field(reader, "general.license", "")
        origin = {"format": FORMAT, "file": file.name, "sha256": folder.name, "license": licence}
        write_json(aside / ORIGIN, origin)
        for part in aside.iterdir():
            sync(part)
        discard(folder)
        aside.rename(folder)
    except OSError as error:
        raise unwritable(folder.parent, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        progress.end()


def _looked_at(file: Path, progress: Progress) -> Any:
    """The file's reader, once all that is known of it fits. Raises EngineError."""
    from tesuji.learners.model.gguf_reader import read_gguf

    with file.open("rb") as opened:
        head = opened.read(8)
    if head[:4] != b"GGUF":
        pointer = head == b"version "
        what = "a Git LFS pointer (run git lfs pull)" if pointer else "no GGUF file"
        raise _refused(file, f"it is {what}")
    try:
        reader = read_gguf(file, progress)
    except Exception as error:  # whatever it stumbles over in bytes of any kind
        raise _refused(file, f"it is damaged or was cut short ({first_line(error)})") from error
    if why := _unfit(reader):
        raise _refused(file, why)
    return reader


def _unfit(reader: Any) -> str:
    """Why no model can be made of a sound file, in words; "" where one can."""
    kind = _field(reader, "general.type", "model")
    parts = _field(reader, "split.count", 1)
    if parts > 1:
        number = _field(reader, "split.no", 0) + 1
        join = "llama-gguf-split --merge makes one file of them"
        return f"it is part {number} of {parts} ({join})"
    if kind != "model":
        return f"it holds no whole model but is of the kind {kind!r}"
    if not reader.tensors:
        return "it holds a vocabulary and no weights"
    scaled = [tensor.name for tensor in reader.tensors if tensor.name.startswith("rope_f")]
    if scaled:
        return f"transformers leaves out its {scaled[0]}, which scales the positions"
    return ""


def _field(reader: Any, key: str, default: Any) -> Any:
    field = reader.get_field(key)
    return default if field is None else field.contents()


def _check_room(reader: Any, folder: Path) -> None:
    """Raises DataError where the disk has no room for the folder."""
    wanted = sum(tensor.n_elements for tensor in reader.tensors) * _dtype(reader).itemsize
    free = shutil.disk_usage(folder.parent).free
    if free < wanted:
        raise DataError(
            f"de-quantised the model takes {wanted / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free",
            where=str(folder.parent),
            hint="free some disk space, or let TESUJI_CACHE name a folder with more of it",
        )


def _dtype(reader: Any) -> Any:
    """What the weights are written as: the file's own type where its matrices are floats of it."""
    import torch

    kinds = {tensor.tensor_type.name for tensor in reader.tensors if len(tensor.shape) > 1}
    exact = {"F16": torch.float16, "F32": torch.float32}
    return exact.get(kinds.pop(), torch.bfloat16) if len(kinds) == 1 else torch.bfloat16


def _convert(file: Path, reader: Any, folder: Path, progress: Progress) -> None:
    """Write the model and its tokenizer into `folder`."""
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoTokenizer,
        GenerationConfig,
        GgufConfig,
    )

    there, name = file.parent, file.name
    config = AutoConfig.from_pretrained(there, gguf_file=name)
    tokenizer = AutoTokenizer.from_pretrained(there, gguf_file=name)
    _split_digits(tokenizer, _field(reader, "tokenizer.ggml.pre", ""))
    reading: Any = AutoModelForCausalLM
    with _bar_of(progress, f"de-quantising {name}"):
        model, report = reading.from_pretrained(
            there,
            gguf_file=name,
            config=config,
            dtype=_dtype(reader),
            quantization_config=GgufConfig(dequantize=True),
            output_loading_info=True,
        )
    if missing := sorted(report["missing_keys"]):
        raise _refused(file, f"it has no weights for {missing[0]} ({len(missing)} such)")
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=_ends(tokenizer, _field(reader, "tokenizer.ggml.eot_token_id", None)),
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _split_digits(tokenizer: Any, kind: str) -> None:
    """Give a byte-level tokenizer the splitting of digits that transformers leaves out: without it
    `  5` is other tokens than those the model was trained on. Raises ValueError for a way to split
    text that neither of us knows."""
    from tokenizers import pre_tokenizers

    splitting = tokenizer.backend_tokenizer.pre_tokenizer
    if not isinstance(splitting, pre_tokenizers.ByteLevel) or kind in SPLIT_AS_GPT2:
        return  # transformers knows how
    if kind not in DIGITS_APART:
        raise ValueError(
            f"how its tokenizer splits text ({kind or 'it does not say'}) is not known"
        )
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )


def _ends(tokenizer: Any, end_of_turn: int | None) -> int | list[int]:
    """The tokens that end a text: the end of a reply by the chat template, and the file's own."""
    ids = (end_of_reply(tokenizer), tokenizer.eos_token_id, end_of_turn)
    ends = list(dict.fromkeys(i for i in ids if i is not None))
    return ends if len(ends) > 1 else ends[0]


@contextlib.contextmanager
def _bar_of(progress: Progress, words: str) -> Iterator[None]:
    """transformers draws a bar over the tensors, and cannot be told otherwise: ours instead."""
    from transformers import modeling_gguf_pytorch_utils as reading

    def counted(tensors: Iterable[Any], **_: Any) -> Iterator[Any]:
        whole = list(tensors)
        progress.begin(words, len(whole))
        for tensor in whole:
            yield tensor
            progress.advance()
        progress.begin(f"{words}: writing")

    theirs = reading.tqdm
    reading.tqdm = counted
    try:
        yield
    finally:
        reading.tqdm = theirs


@contextlib.contextmanager
def _telling(file: Path) -> Iterator[None]:
    """Whatever transformers raises over a file that it cannot read becomes one message."""
    try:
        yield
    except (TesujiError, OSError):
        raise
    except Exception as error:
        raise _refused(file, f"transformers cannot read it: {first_line(error)}") from error


def _refused(file: Path, why: str) -> EngineError:
    return EngineError(f"cannot load the model {str(file)!r}: {why}", where="model.base", hint=HINT)
