"""Talking with a model, and replies to a file of prompts: the real commands, on tiny models."""

import json
import signal
from pathlib import Path

import pytest
import torch
from forked import Forked, tesuji

from tesuji.cli.main import main
from tesuji.core.errors import DataError, RecipeError
from tesuji.core.files import read_jsonl, write_json, write_jsonl, write_text
from tesuji.evaluation.prompt_files import Kept, read_prompts, results_path
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.pipeline.models.by_name import open_model
from tesuji.pipeline.plan import make_plan
from tesuji.players.chat import Conversation
from tesuji.players.prompting.chat_template import decode_reply, render_prompt
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.reading.load import dump_recipe, load_recipe
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import TinyModel

SHAPE = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}
SHAPE |= {"intermediate_size": 32, "max_position_embeddings": 128}


def weights(seed: int, **shape):
    return build_model(TinyModel(**{**SHAPE, **shape}), seed)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of two stages whose models are made, not trained; it is the folder that counts."""
    recipe = Recipe.model_validate(
        {
            "name": "talk",
            "game": "prompts",
            "model": {"tiny": SHAPE},
            "sampling": {"max_new_tokens": 12},
            "stages": {"logs": {"paths": "logs"}, "sft": {}, "dpo": {}},
        }
    )
    run = tmp_path_factory.mktemp("runs") / "talk"
    write_json(run / "manifest.json", {"format": 1, "stages": {}})
    write_text(run / "recipe.yaml", dump_recipe(recipe))
    save(run / "base", seed=1)
    for step in make_plan(recipe, run):
        if step.kind in ("sft", "dpo"):
            folder = step.folder(run).path
            save(folder / "final", seed=2 + step.index)
            if step.kind == "sft":
                write_json(folder / "done.json", {"key": step.key})
    return run


def save(folder: Path, seed: int, **shape) -> Path:
    weights(seed, **shape).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    return folder


def test_a_scripted_conversation_gives_replies_and_nothing_else(run: Path, tmp_path: Path):
    typed = (
        "Who are you?\n\n/temperature 0\n/nonsense\nWho are you?\n/reset\nWho are you?\n/quit\nno"
    )
    words = ["chat", str(run), "--temperature", "0", "--max-new-tokens", "6", "--device", "cpu"]
    done = tesuji(*words, typed=typed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    alone = one_reply(run / "stages" / "02-sft" / "final", [("user", "Who are you?")], 6)
    said = [("user", "Who are you?"), ("assistant", alone), ("user", "Who are you?")]
    second = one_reply(run / "stages" / "02-sft" / "final", said, 6)
    assert done.stdout == f"{alone}\n{second}\n{alone}\n"  # greedy, and forgotten in between
    assert "There is no /nonsense." in done.stderr and "Temperature 0." in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def one_reply(folder: Path, said: list[tuple[str, str]], tokens: int) -> str:
    """Greedy, by the sampler that plays, as the terminal shows it."""
    from tesuji.core.redact import visible

    opened = open_model(str(folder)).load()
    sampler = LocalSampler(opened.model, opened.tokenizer)
    ids = render_prompt(opened.tokenizer, [{"role": r, "content": c} for r, c in said])
    (found,) = sampler.sample(
        [ids], temperature=0, top_p=1, max_new_tokens=tokens, seeds=[1], stop_ids=sampler.stop_ids
    )
    return visible(decode_reply(opened.tokenizer, found.reply_ids))


def a_talk(seed: int = 1, **options) -> Conversation:
    model, tokenizer = weights(seed), build_tokenizer()
    return Conversation(model, tokenizer, temperature=0, **{"max_new_tokens": 8, **options})


def test_pieces_add_up_and_the_conversation_is_kept():
    talk = a_talk(system="Be brief.")
    pieces = list(talk.reply("Hello"))
    assert [m["role"] for m in talk.messages] == ["user", "assistant"]
    assert talk.messages[1]["content"] == "".join(pieces)
    before = list(talk.messages)
    list(talk.reply("Again"))
    assert talk.messages[:2] == before and len(talk.messages) == 4


def test_a_stopped_reply_is_kept_as_far_as_it_went():
    talk = a_talk()
    pieces = talk.reply("Hello")
    first = next(pieces)
    pieces.close()
    assert talk.messages[1]["content"].startswith(first)
    silent = a_talk()
    silent.reply("Hello").close()  # before anything was said
    assert silent.messages == []


def test_the_oldest_are_left_out_when_there_is_no_room():
    talk = a_talk()
    for _ in range(9):
        assert "".join(talk.reply("x" * 20)) == talk.messages[-1]["content"]
    assert len(talk.messages) == 18 and talk.forgotten > 0
    assert list(talk.reply("y" * 500)) != []  # longer than the model can read: its end is shown


def test_characters_of_several_bytes_come_whole():
    talk = a_talk()
    text = "né €"
    ids = iter(build_tokenizer()(text)["input_ids"])
    from tesuji.players import chat as conversation

    def told(*_, **__):
        yield from ids

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversation, "stream_tokens", told)
        assert list(talk.reply("?")) == ["n", "é", " ", "€"]


def test_same_seed_same_words():
    texts = ["".join(a_talk_at_1(seed).reply("Hm?")) for seed in (4, 4, 5)]
    assert texts[0] == texts[1] != texts[2]


def a_talk_at_1(seed: int) -> Conversation:
    model, tokenizer = weights(1), build_tokenizer()
    return Conversation(model, tokenizer, temperature=1.0, max_new_tokens=12, seed=seed)


def test_stages_folders_and_what_is_not_there(run: Path, tmp_path: Path, monkeypatch):
    assert open_model(str(run)).source.endswith("02-sft/final")  # dpo is not finished
    assert open_model(str(run), stage="base").source == str(run / "base")
    assert open_model(str(run / "stages" / "02-sft")).source.endswith("02-sft/final")
    assert open_model("Qwen/Qwen3-0.6B", device="cpu").section.device == "cpu"
    monkeypatch.chdir(run.parent.parent)
    with pytest.raises(DataError, match="not finished"):
        open_model(str(run), stage="dpo")
    for name, stage, device, error, said in [
        (str(run), "logs", None, RecipeError, "base, sft, dpo"),
        (str(run), None, "tpu", RecipeError, "cuda"),
        (str(run / "base"), "sft", None, RecipeError, "is not a run"),
        (str(tmp_path), None, None, DataError, "neither a run nor a model"),
        ("no-such-run", None, None, DataError, "no run 'no-such-run'"),
    ]:
        with pytest.raises(error) as caught:
            open_model(name, stage=stage, device=device)
        assert said in str(caught.value)


def test_an_adapter_finds_its_base_where_the_run_was_moved(tmp_path: Path, monkeypatch):
    from tesuji.learners.model.adapter import with_adapter
    from tesuji.learners.model.load import load_policy
    from tesuji.recipe.schema.sections import LoraSection, ModelSection

    monkeypatch.chdir(tmp_path)
    save(Path("runs/talk/base"), seed=1)
    policy = with_adapter(load_policy(ModelSection(), "runs/talk/base"), LoraSection(r=2))
    policy.model.save_pretrained("runs/talk/stages/01-sft/final")
    build_tokenizer().save_pretrained("runs/talk/stages/01-sft/final")
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    moved = open_model(str(tmp_path / "elsewhere/talk/stages/01-sft")).load()
    assert any("lora" in name for name, _ in moved.model.named_parameters())


def test_prompts_are_read_in_every_shape(tmp_path: Path):
    rows = [
        {"prompt": "one"},
        {"prompt": [{"role": "user", "content": "two"}]},
        {"messages": [{"role": "user", "content": "3"}, {"role": "assistant", "content": "-"}]},
        {"instruction": "You are X.", "input": "four", "output": "old"},
        {"instruction": "five"},
        "six",
    ]
    write_jsonl(tmp_path / "a.jsonl", rows)
    write_json(tmp_path / "a.json", rows)
    write_text(tmp_path / "a.txt", "one\r\n\ntwo\u2028 lines\n")
    found = read_prompts(tmp_path / "a.jsonl")
    assert found == read_prompts(tmp_path / "a.json")
    assert [p.messages[-1]["content"] for p in found] == ["one", "two", "3", "four", "five", "six"]
    assert [m["role"] for m in found[3].messages] == ["system", "user"]
    assert [p.messages[0]["content"] for p in read_prompts(tmp_path / "a.txt")] == [
        "one", "two\u2028 lines",
    ]  # fmt: skip
    assert results_path(Path("x/a.txt")) == Path("x/a_results.jsonl")


def test_replies_are_written_beside_the_prompts(run: Path, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [{"prompt": f"Say {i}.", "mine": i, "reply": "old"} for i in range(5)] + ["bare \ud800"]
    write_text(tmp_path / "p.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n")
    assert main(["eval", str(run), "--prompts", "p.jsonl", "--batch-size", "2"]) == 0
    results = [row for _, row in read_jsonl(tmp_path / "p_results.jsonl")]
    assert [row.get("mine") for row in results] == [0, 1, 2, 3, 4, None]
    assert results[0]["reply_before"] == "old" and results[0]["prompt"] == "Say 0."
    final = run / "stages" / "02-sft" / "final"
    from tesuji.core.redact import visible

    assert visible(results[3]["reply"]) == one_reply(final, [("user", "Say 3.")], 12)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.jsonl", "p_results.jsonl"]
    capsys.readouterr()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.jsonl", '{"prompt": "a"}\n{"prompt": \n', "p.jsonl:2: not valid JSON"),
        ("p.jsonl", '{"prompt": "a"}\n\n{"text": "b"}\n', "p.jsonl:3: there is no prompt"),
        ("p.jsonl", '{"prompt": [{"role": "user"}]}\n', "p.jsonl:1: there is no prompt"),
        ("p.json", '{"prompt": "a"}', "p.json: must be a list"),
        ("p.json", '["a", 3]', "p.json[1]: a prompt is a text"),
        ("p.txt", "\n \n", "p.txt: no prompts in it"),
        ("p.csv", "a", "p.csv: prompts are read from .jsonl"),
        ("", "", "none.jsonl: cannot read"),
    ],
)
def test_a_wrong_file_is_one_message_before_any_model_is_loaded(
    tmp_path, monkeypatch, capsys, name, text, said
):
    monkeypatch.chdir(tmp_path)
    if name:
        (tmp_path / name).write_text(text)
    assert main(["eval", "no-such-run", "--prompts", name or "none.jsonl"]) == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err
    assert {path.name for path in tmp_path.iterdir()} <= {name}


def test_options_of_the_other_half_are_refused(run: Path, tmp_path: Path, capsys):
    write_text(tmp_path / "p.txt", "Hi\n")
    prompts = ["eval", str(run), "--prompts", str(tmp_path / "p.txt")]
    for words in (
        [*prompts, "--episodes", "3"],
        ["eval", str(run), "--batch-size", "3"],
        [*prompts, "--out", str(tmp_path / "p.txt")],
    ):
        assert main(words) == 2
    assert "need a file of their own" in capsys.readouterr().err
    assert (tmp_path / "p.txt").read_text() == "Hi\n"


def test_what_was_kept_is_kept_for_the_same_key_only(tmp_path: Path):
    path = tmp_path / "r.part"
    with Kept(path, "a") as kept:
        kept.add({3: "three", 1: "one\n"})
    with path.open("a") as file:
        file.write('{"place": 2, "re')  # torn by a crash
    assert Kept(path, "a").replies == {3: "three", 1: "one\n"}
    assert Kept(path, "b").replies == {}
    path.write_bytes(b"\xff\n")
    assert Kept(path, "a").replies == {}


def test_ctrl_c_keeps_the_replies_so_far_and_the_same_command_goes_on(tmp_path: Path):
    slow = {"hidden_size": 256, "intermediate_size": 1024, "max_position_embeddings": 1024}
    save(tmp_path / "slow", seed=1, **slow, num_hidden_layers=6)
    write_text(tmp_path / "p.txt", "".join(f"Prompt {i}\n" for i in range(16)))
    words = ["eval", "slow", "--prompts", "p.txt", "--batch-size", "1", "--max-new-tokens", "40"]
    part = tmp_path / "p_results.jsonl.part"
    command = Forked(*words, cwd=tmp_path)
    command.wait_until(lambda: lines_in(part) >= 4)
    command.send_signal(signal.SIGINT)
    done = command.ended()
    assert done.returncode == 130, done.stderr
    assert "the same command goes on" in done.stderr
    kept = lines_in(part) - 1
    assert 3 <= kept < 16 and not (tmp_path / "p_results.jsonl").exists()
    again = tesuji(*words, cwd=tmp_path)
    assert f"{kept} of 16 are done already" in again.stdout, again.stderr
    assert lines_in(tmp_path / "p_results.jsonl") == 16 and not part.exists()


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_ctrl_c_stops_the_reply_and_not_the_conversation(tmp_path: Path):
    slow = {"hidden_size": 256, "intermediate_size": 1024, "max_position_embeddings": 100_000}
    model = save(tmp_path / "slow", seed=1, **slow, num_hidden_layers=6)
    words = ["chat", str(model), "--max-new-tokens", "40000"]
    command = Forked(*words, typed="Hello\n/quit\n")
    command.wait_until(lambda: command.shown[0])  # it has begun to reply
    command.send_signal(signal.SIGINT)
    done = command.ended()
    assert done.returncode == 0, done.stderr
    assert "[stopped]" in done.stderr


def test_the_recipe_of_this_test_is_a_recipe(run: Path):
    assert load_recipe(run / "recipe.yaml").name == "talk"
    assert torch.is_grad_enabled()  # streaming leaves nothing behind
