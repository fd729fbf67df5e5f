"""GGUF files as models: de-quantised once, whole or absent, refused with the reason."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType
from gguf_files import tiny_llama, write_gguf

from tesuji.core.errors import DataError, EngineError
from tesuji.core.files import read_json
from tesuji.core.progress import Progress
from tesuji.learners.model import gguf
from tesuji.learners.model.gguf import cache_folder, dequantised, digest_of, kept
from tesuji.learners.model.inspect import inspect_model
from tesuji.learners.model.load import load_policy
from tesuji.players.prompting.chat_template import end_of_reply
from tesuji.recipe.schema.sections import ModelSection


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of its own for each test."""
    monkeypatch.setenv("TESUJI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


class Told(Progress):
    def __init__(self) -> None:
        self.words: list[str] = []
        self.done = 0

    def begin(self, words: str, total: int | None = None) -> None:
        self.words.append(words)

    def advance(self, count: int = 1) -> None:
        self.done += count


def section(source: Path) -> ModelSection:
    return ModelSection(base=str(source), dtype="float32", device="cpu")


def test_the_weights_of_a_file_are_those_that_were_written(tmp_path: Path) -> None:
    model = tiny_llama()
    file = write_gguf(tmp_path / "model.gguf", model)
    policy = load_policy(section(file), str(file))
    written, read = model.state_dict(), policy.model.state_dict()
    assert written.keys() == read.keys()
    assert all(torch.equal(written[name], read[name]) for name in written)
    assert policy.tokenizer("a  51<|im_end|>")["input_ids"][-1] == end_of_reply(policy.tokenizer)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("F32", torch.float32), ("F16", torch.float16), ("BF16", torch.bfloat16)]
    + [(kind, torch.bfloat16) for kind in ("Q8_0", "Q4_1", "Q5_0")],
)
def test_a_file_in_floats_keeps_its_type_and_others_become_bfloat16(
    kind: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    model = tiny_llama()
    file = write_gguf(tmp_path / "model.gguf", model, GGMLQuantizationType[kind])
    weights = load_file(dequantised(file) / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    assert weights[name].dtype == dtype
    written = model.state_dict()[name]
    error = (weights[name].float() - written).abs().max() / written.abs().max()
    assert error < {"Q4_1": 0.1, "Q5_0": 0.1}.get(kind, 0.01)


def test_it_is_made_once_by_its_content_and_told(tmp_path: Path, cache: Path) -> None:
    file, told = write_gguf(tmp_path / "model.gguf"), Told()
    folder = dequantised(file, told)
    assert folder == cache / digest_of(file)
    assert told.words[0] == "reading model.gguf" and told.done == 20
    again, copy = Told(), tmp_path / "copy.gguf"
    copy.write_bytes(file.read_bytes())
    assert dequantised(copy, again) == folder and not again.words
    assert read_json(folder / "base.json")["file"] == "model.gguf"


def test_other_content_under_the_same_name_is_another_model(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "model.gguf")
    first = dequantised(file)
    assert dequantised(write_gguf(file, tiny_llama(1))) != first


def test_a_folder_with_one_file_is_that_file(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model" / "model.gguf")
    facts = inspect_model(section(tmp_path / "model"), str(tmp_path / "model"))
    assert facts and facts.parameters == sum(p.numel() for p in tiny_llama().parameters())
    write_gguf(tmp_path / "model" / "other.gguf", tiny_llama(1))
    with pytest.raises(EngineError, match=r"several GGUF files: model\.gguf, other\.gguf"):
        inspect_model(section(tmp_path / "model"), str(tmp_path / "model"))


def test_generation_ends_at_each_of_the_tokens_that_end_a_text(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "model.gguf", eos="<|endoftext|>")
    assert read_json(dequantised(file) / "generation_config.json")["eos_token_id"] == [2, 0]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5_000])


def cut_in_the_vocabulary(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:2_000])


def text(file: Path) -> None:
    file.write_text("a game of chess")


def pointer(file: Path) -> None:
    file.write_text("version https://git-lfs.github.com/spec/v1\n")


def written(**how: Any) -> Callable[[Path], None]:
    return lambda file: write_gguf(file, **how) and None


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (cut, "damaged or was cut short"),
        (cut_in_the_vocabulary, "damaged or was cut short"),
        (text, "no GGUF file"),
        (pointer, "git lfs pull"),
        (written(more={"split.count": 3, "split.no": 0}), "part 1 of 3"),
        (written(more={"general.type": "adapter"}), "no whole model but is of the kind 'adapter'"),
        (
            written(without=["blk.1.ffn_up.weight"]),
            r"no weights for model\.layers\.1\.mlp\.up_proj",
        ),
        (written(without=["*"]), "a vocabulary and no weights"),
        (written(rope_freqs=True), r"leaves out its rope_freqs\.weight"),
        (written(architecture="rwkv9"), "architecture rwkv9 is not supported"),
        (written(pre="deepseek-llm"), r"splits text \(deepseek-llm\) is not known"),
    ],
)
def test_a_file_that_is_no_model_is_refused_and_leaves_nothing(
    damage: Callable[[Path], None], why: str, tmp_path: Path, cache: Path
) -> None:
    file = write_gguf(tmp_path / "model.gguf")
    damage(file)
    with pytest.raises(EngineError, match=why) as caught:
        inspect_model(section(file), str(file))
    assert caught.value.where == "model.base" and "Hub id" in caught.value.hint
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_a_name_of_no_file_is_no_hub_id(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"there is no file models/none\.gguf"):
        inspect_model(ModelSection(base="models/none.gguf"), "models/none.gguf")


def test_a_disk_without_room_is_told_before_anything_is_written(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_gguf(tmp_path / "model.gguf")
    monkeypatch.setattr(gguf.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(DataError, match="GB are free") as caught:
        dequantised(file)
    assert "TESUJI_CACHE" in caught.value.hint


def test_a_cache_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TESUJI_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="cannot write"):
        dequantised(write_gguf(tmp_path / "model.gguf"))


def test_a_damaged_folder_of_the_cache_is_made_again(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "model.gguf")
    weights = dequantised(file) / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    assert kept(digest_of(file)) is None
    assert dequantised(file) == weights.parent and weights.read_bytes() == whole


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TESUJI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/tesuji/models")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "tesuji" / "models"


class Killed(Told):
    def advance(self, count: int = 1) -> None:
        super().advance(count)
        if self.done == 7:
            os.kill(os.getpid(), signal.SIGKILL)


def make(file: Path, told: Told, out: Path) -> None:
    folder = dequantised(file, told)
    out.write_text(json.dumps([str(folder), told.words]))


def test_a_killed_process_leaves_nothing_and_two_at_once_make_it_once(
    tmp_path: Path, cache: Path
) -> None:
    file, here = write_gguf(tmp_path / "model.gguf"), multiprocessing.get_context("fork")
    killed = here.Process(target=make, args=(file, Killed(), tmp_path / "killed"))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert kept(digest_of(file)) is None and [*cache.glob(".*.half")]
    outs = [tmp_path / "first", tmp_path / "second"]
    both = [here.Process(target=make, args=(file, Told(), out)) for out in outs]
    for process in both:
        process.start()
    for process in both:
        process.join()
    results = [json.loads(out.read_text()) for out in outs]
    assert {folder for folder, _ in results} == {str(cache / digest_of(file))}
    assert kept(digest_of(file)) and not [*cache.glob(".*.half")]
    assert sum("reading model.gguf" in words for _, words in results) == 1
