"""Wrong things by hand: to add one, add a line to a list.

A line is (name, what fills an empty folder and gives the words of the command line, what must stand
in the answer[, True where it can be known only while running]).
"""

import http.server
import json
import os
import socket
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from _robustness_schema import DATA, LEARNS, SHAPE, STAGE, base, changed

Prepare = Callable[[Path], list[str]]


# What fills the folder


def recipe(text: str | bytes | dict[str, Any], *words: str, **files: Any) -> Prepare:
    """`tesuji run recipe.yaml WORDS`, beside files (name, `__` for a point: their content)."""

    def prepare(folder: Path) -> list[str]:
        for name, content in files.items():
            _write(folder / name.replace("__", "."), content)
        _write(folder / "recipe.yaml", text if not isinstance(text, dict) else _yaml(text))
        return ["run", "recipe.yaml", *words]

    return prepare


def override(*words: str, kind: str = "sft") -> Prepare:
    """A good recipe with wrong words behind it."""
    return recipe(base(kind), *words)


def with_model(damage: Callable[[Path], None]) -> Prepare:
    """A good recipe on a model's folder, which `damage` has broken."""

    def prepare(folder: Path) -> list[str]:
        for name, content in _model_files().items():
            _write(folder / "model" / name, content)
        damage(folder / "model")
        return recipe(changed(base(), ("model", "base"), "model"))(folder)

    return prepare


def put(name: str, content: str | bytes | None) -> Callable[[Path], None]:
    """Replace a file; None takes it away."""

    def damage(folder: Path) -> None:
        if content is None:
            (folder / name).unlink()
        else:
            _write(folder / name, content)

    return damage


def config(**values: Any) -> Callable[[Path], None]:
    """Change the model's configuration."""

    def damage(folder: Path) -> None:
        known = json.loads((folder / "config.json").read_text())
        _write(folder / "config.json", json.dumps({**known, **values}))

    return damage


def cut(name: str, share: float) -> Callable[[Path], None]:
    """Cut a file off."""

    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        _write(folder / name, data[: int(share * len(data))])

    return damage


def logs(fill: Callable[[Path], None], **stage: Any) -> Prepare:
    """A good recipe on a folder of logs."""

    def prepare(folder: Path) -> list[str]:
        (folder / "logs").mkdir()
        fill(folder / "logs")
        it = {"kind": "logs", "paths": ["logs"], "processes": 1, **stage}
        return recipe(_staged({"it": it}))(folder)

    return prepare


def rows(text: str | bytes, kind: str = "sft", **stage: Any) -> Prepare:
    """A good recipe on a file of rows."""
    it = {**STAGE[kind], "data": "rows.jsonl", **stage}
    return recipe(_staged({"it": it}), rows__jsonl=text)


def thoughts(url: str, **endpoint: Any) -> Prepare:
    """A good recipe whose thoughts come from this address."""
    asked = {"base_url": url, "timeout_s": 1.0, "retries": 0, **endpoint}
    it = {**DATA, "num_positions": 3, "thoughts": "llm", "endpoint": asked}
    return recipe(_staged({"it": it}))


def served(answer: bytes | None) -> Prepare:
    """... from a server here that answers so; None: it takes the request and is silent."""

    def prepare(folder: Path) -> list[str]:
        return thoughts(_server(answer))(folder)

    return prepare


def run_folder(damage: Callable[[Path], None], *words: str) -> Prepare:
    """A command on a run's folder that is damaged."""

    def prepare(folder: Path) -> list[str]:
        run = folder / "runs" / "small"
        stages = {"it": {"status": "done", "key": "x"}}
        manifest = {"format": 1, "name": "small", "stages": stages, "seed": 1}
        _write(run / "manifest.json", json.dumps(manifest))
        recipe(base())(folder)
        _write(run / "recipe.yaml", (folder / "recipe.yaml").read_text())
        damage(run)
        return list(words)

    return prepare


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _yaml(plain: Any) -> str:
    return yaml.safe_dump(plain, sort_keys=False)


def _staged(stages: dict[str, Any], **top: Any) -> dict[str, Any]:
    return {**base(), "stages": stages, **top}


@cache
def _model_files() -> dict[str, bytes]:
    """A whole small model, file by file."""
    import tempfile

    from tesuji.learners.model.load import prepare_base
    from tesuji.recipe.schema.sections import ModelSection, TinyModel

    with tempfile.TemporaryDirectory() as folder:
        prepare_base(ModelSection(tiny=TinyModel(**SHAPE)), Path(folder), seed=1)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@cache
def _server(answer: bytes | None) -> str:
    """The address of a server in this process."""
    if answer is None:
        silent = socket.create_server(("127.0.0.1", 0))
        _kept.append(silent)
        return f"http://127.0.0.1:{silent.getsockname()[1]}/v1"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.wfile.write(answer or b"")

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1"


_kept: list[Any] = []


def http_answer(body: str, status: str = "200 OK") -> bytes:
    """A whole answer of HTTP."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\nConnection: close\r\n\r\n{body}".encode()


# The lists

ROW = '{"prompt": "...x", "completion": "1"}\n'
PAIR = '{"prompt": "...x", "chosen": "1", "rejected": "2"}\n'
PLAIN = _yaml(base())
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(9)
)
SFT = ("stages", "it")

FILES = [
    ("empty file", recipe(""), "empty"),
    ("only a comment", recipe("# nothing\n"), "empty"),
    ("a list", recipe("- a\n- b\n"), "a list"),
    ("a text", recipe("hello"), "a single text"),
    ("broken yaml", recipe("name: [a\n"), "not valid YAML"),
    ("tabs", recipe("name: a\n\tgame: b\n"), "YAML"),
    ("a key twice", recipe(PLAIN + "name: again\n"), "given twice"),
    ("not utf-8", recipe(b"name: \xff\xfe\n"), "UTF-8"),
    ("binary", recipe(bytes(range(256))), ""),
    ("a python object", recipe("name: !!python/object/apply:os.system [ls]\n"), "tag"),
    ("billion laughs", recipe(LAUGHS + PLAIN), "aliases"),
    ("an anchor in itself", recipe("name: &a [*a]\n"), ""),
    ("deep brackets", recipe("name: " + "[" * 5000 + "]" * 5000), "deep"),
    ("deep mappings", recipe("\n".join("  " * n + f"a{n}:" for n in range(200))), "deep"),
    ("a large file", recipe("description: " + "x" * 300_000), "larger than"),
    ("many keys", recipe("\n".join(f"k{n}: [1, 2, 3]" for n in range(9000))), "values"),
    ("a control character", recipe("name: a\x07b\n"), "U+0007"),
    ("a long number", recipe("name: a\nseed: " + "9" * 5000), "cannot read"),
    ("two documents", recipe("name: a\n---\nname: b\n"), "YAML"),
    ("a merge key", recipe(PLAIN + "<<: {seed: 2}\n"), ""),
    ("a secret", recipe(PLAIN + "api_key: abcdefgh\n"), "secret"),
    ("a token", override("model.base=hf_abcdefghijklmnopqrstuvwx"), "secret"),
    ("a json list", recipe("[1, 2]"), "a list"),
    ("no name", recipe("game: tic_tac_toe\nstages: {data: }\n"), "name"),
    ("no game", recipe("name: a\nstages: {data: }\n"), "game"),
    ("no stages", recipe("name: a\ngame: tic_tac_toe\n"), "stages"),
    ("name with a slash", override("name=a/b"), "name"),
    ("name with points", override("name=../a"), "name"),
    ("a long name", override("name=" + "a" * 300), "name"),
    ("include of nothing", recipe("include: gone.yaml\n" + PLAIN), "gone.yaml"),
    ("include of itself", recipe("include: recipe.yaml\n" + PLAIN), "circle"),
    ("include outside", recipe("include: /etc/hostname\n" + PLAIN), "outside"),
    ("include above", recipe("include: ../x.yaml\n" + PLAIN), "outside"),
    ("include a number", recipe("include: 3\n" + PLAIN), "include"),
    ("include a folder", recipe("include: .\n" + PLAIN), "does not exist"),
    ("include of a list", recipe("include: x.yaml\n" + PLAIN, x__yaml="[1]"), "x.yaml"),
    ("include of garbage", recipe("include: x.yaml\n" + PLAIN, x__yaml=b"\x00\x01"), "x.yaml"),
    (
        "include often",
        recipe(f"include: [{', '.join(['x.yaml'] * 99)}]\n" + PLAIN, x__yaml="seed: 1"),
        "50",
    ),
    ("no such recipe", lambda folder: ["run", "nosuch.yaml"], "no such recipe"),
    ("a folder", lambda folder: ["run", str(folder)], "a folder"),
    ("an empty name", lambda folder: ["run", ""], "recipe"),
    ("a name of 5,000 letters", lambda folder: ["run", "x" * 5000], "no such recipe"),
    ("a name with a null", lambda folder: ["run", "a\0b"], "no such recipe"),
]
WORDS = [
    (f"override {text!r}", override(text), says)
    for text, says in [
        ("seed", "key=value"),
        ("=3", "key=value"),
        ("..=3", "key=value"),
        ("a.=3", "key=value"),
        ("seed=", "seed"),
        ("seed=[", "seed"),
        ("seed={a: 1}", "seed"),
        ("sead=3", "sead"),
        ("include=x.yaml", "include"),
        ("stages.stf.epochs=1", "stf"),
        ("stages.it=3", "it"),
        ("stages.it.kind=stf", "stf"),
        ("stages.it.kind=dpo", "pairs"),
        ("seed.x=3", "seed"),
        ("evaluation.opponents.9=random", "evaluation.opponents.9"),
        ("stages=", "stages"),
        ("evaluation.opponents.x=random", "'x'"),
        ("stages.first=false", "no rows"),
        ("stages.it.data=nowhere.jsonl", "nowhere.jsonl"),
        ("game=nosuch", "nosuch"),
        ("game=tic_tac_tow", "tic_tac_toe"),
        ("game.options.size=3", "size"),
        ("game={name: hex, options: {board_size: 0}}", "board_size"),
        ("game={name: hex, options: {board_size: -1}}", "board_size"),
        ("game={name: hex, options: {board_size: x}}", "board_size"),
        ("game={name: kuhn_poker, options: {players: 99}}", "players"),
        ("game=kuhn_poker", "oracle"),
        ("game=chess", "max_length"),
        ("game={name: connect_four}", "max_length"),
        ("game={name: wordle, options: {nosuch: 1}}", "nosuch"),
        ("game=prompts", "prompts"),
        ("model.base=", "base"),
        ("model.base=nowhere/at/all", "Hub id"),
        ("model.base=gpt2-nosuch", "HF_HUB_OFFLINE"),
        ("model.base=/etc", "config"),
        ("model.base=recipe.yaml", "a file"),
        ("model.base=~/models/x", "Hub id"),
        ("model.base=../x", "Hub id"),
        ("model.base=meta-llama/Llama-3.2-1B", "HF_HUB_OFFLINE"),
        ("model.device=cuda", "model.device"),
        ("model.device=mps", "model.device"),
        ("model={load_in_4bit: true, lora: {}}", "bitsandbytes"),
        ("model={load_in_4bit: true}", "lora"),
        ("model.attn_implementation=flash_attention_2", "flash"),
        ("model.lora.target_modules=nosuch", "target_modules"),
        ("model.lora.target_modules=[q_proj, q_proj]", "target_modules"),
        ("model.lora.target_modules=[]", "target_modules"),
        ("model.tiny.hidden_size=17", "hidden_size"),
        ("model.tiny.num_attention_heads=3", "num_attention_heads"),
        ("model.tiny={hidden_size: 12, num_attention_heads: 4, num_key_value_heads: 4}", "even"),
        ("model.tiny.max_position_embeddings=16", "16"),
        ("sampling.max_new_tokens=1024", "max_new_tokens"),
        ("prompt.max_length=1023", "max_length"),
        ("prompt.style=full", "max_length"),
        ("stages.it.max_length=8", "max_length"),
        ("stages.it.max_length=4096", "max_length"),
        ("stages.it.max_steps=0", "max_steps"),
        ("stages.it.max_steps=-2", "max_steps"),
        ("stages.it.warmup_steps=1", "warmup_steps"),
        ("stages.it.warmup_steps=99", "warmup_steps"),
        ("stages.it.warmup_steps=1.5", "warmup_steps"),
        ("stages.it.eval_steps=2", "eval_steps"),
        ("stages.it.early_stopping_patience=2", "eval_steps"),
        (
            "stages.it={kind: sft, max_steps: -1, lr_scheduler_type: warmup_stable_decay}",
            "lr_scheduler_type",
        ),
        ("stages.it={kind: sft, warmup_steps: 1, lr_scheduler_type: constant}", "constant"),
        ("stages.it.betas=[0.9]", "betas"),
        ("stages.it.betas=[0.9, 1.5]", "betas"),
        ("stages.it.betas=[0.9, 0.9, 0.9]", "betas"),
        ("stages={after: {kind: data}}", "after"),
        ("stages={before: {kind: data}}", "before"),
        ("stages={after-x: {kind: data}}", "after-x"),
        ("stages={a b: {kind: data}}", "a b"),
        ("stages={a/b: {kind: data}}", "a/b"),
        ("stages={é: {kind: data}}", "stage"),
        ("stages={" + "s" * 300 + ": {kind: data}}", "stage"),
        ("stages.first.oracle=nosuch", "nosuch"),
        ("stages.first.oracle=cfr", "cfr"),
        ("stages.first.oracle={player: mcts, simulations: 0}", "simulations"),
        ("stages.first.oracle={player: mcts, simulations: many}", "simulations"),
        ("stages.first.oracle={player: minimax, simulation: 1}", "simulation"),
        ("stages.first.sampled_by=[]", "sampled_by"),
        ("stages.first.sampled_by=[nosuch]", "nosuch"),
        ("stages.first.held_out=1.0", "held_out"),
        ("stages.first.held_out=-0.1", "held_out"),
        ("stages.first.held_out_from=off_path", "off_path"),
        ("evaluation.oracle=nosuch", "nosuch"),
        ("evaluation.oracle.depth=-1", "oracle"),
        ("evaluation.opponents=[nosuch]", "nosuch"),
        ("evaluation.opponents=[cfr]", "cfr"),
        ("evaluation.opponents=[random, random]", "twice"),
        ("evaluation.opponents=[openai]", "model"),
        ("evaluation.opponents=[{player: openai, model: m, base_url: x}]", "address"),
        ("evaluation.opponents=[{player: openai, model: m, max_dollars: 1}]", "input_price"),
        ("evaluation.opponents=[{player: openai, model: m, api_key: abc}]", "api_key"),
        ("evaluation.opponents=[{player: openai, model: m, extra_body: {n: 2}}]", "extra_body"),
        ("evaluation.options.nosuch=1", "nosuch"),
        ("evaluation.exploitability=true", "exploitability"),
        ("evaluation.temperature=-1", "temperature"),
        ("report_to=[tensorboard, tensorboard]", "twice"),
        ("report_to=trackio", "trackio"),
        ("report_to=mlflow", "mlflow"),
    ]
]
RL_WORDS = [
    (f"grpo override {text!r}", override(text, kind="grpo"), says)
    for text, says in [
        ("sampling.temperature=0", "temperature"),
        ("sampling.top_p=0.9", "top_p"),
        ("model.lora={dropout: 0.1}", "dropout"),
        ("stages.it.rewards={}", "rewards"),
        ("stages.it.rewards.nosuch=1", "nosuch"),
        ("stages.it.rewards={returns: 0}", "weight"),
        ("stages.it.rewards.tictactoe_tabel=1", "tictactoe_table"),
        ("stages.it.rewards.wordle_bits=1", "wordle_bits"),
        ("stages.it.rewards.tool_format=0.1", "tool_format"),
        ("stages.it.rewards.oracle={weight: 1, player: nosuch}", "nosuch"),
        ("stages.it.rewards.oracle={weight: 1, player: cfr}", "cfr"),
        ("stages.it.rewards.oracle={weight: 1, player: mcts, simulations: -1}", "simulations"),
        ("stages.it.rewards.length={weight: 1, per: 0}", "per"),
        ("stages.it.rewards.format={weight: 1, per: game}", "per"),
        ("stages.it.rewards.legal={weight: 1, per: 2}", "per"),
        ("stages.it.rewards.reward_model=1", "reward"),
        ("stages.it.rewards.reward_model={weight: 1, stage: nosuch}", "nosuch"),
        ("stages.it.rewards.reward_model={weight: 1, path: nowhere/at/all}", "nowhere"),
        ("stages.it.rewards.reward_model={weight: 1, path: recipe.yaml}", "recipe.yaml"),
        ("stages.it.rewards.reward_model={weight: 1, path: 3}", "path"),
        ("stages.it.rewards={tictactoe_table: 1, nosuch: 1}", "nosuch"),
        ("stages.it.play.opponents=[]", "opponents"),
        ("stages.it.play.opponents=[nosuch]", "nosuch"),
        ("stages.it.play.opponents=[cfr]", "cfr"),
        ("stages.it.play.opponents=[{player: self, depth: 1}]", "depth"),
        ("stages.it.play.opponents=[random, random]", "twice"),
        ("stages.it.play.games=[nosuch]", "nosuch"),
        ("stages.it.play.games=[{name: tic_tac_toe, options: {x: 1}}]", "x"),
        ("stages.it.play.curriculum=[{name: a}, {name: a}]", "name"),
        ("stages.it.play.curriculum=[{name: a, opponents: [nosuch]}]", "nosuch"),
        ("stages.it.play.curriculum=[{name: a, games: [nosuch]}]", "nosuch"),
        ("stages.it.play.curriculum=[{name: a, threshold: 0}]", "threshold"),
        ("stages.it.play.failure_replay={share: 0}", "share"),
        ("stages.it.batch_size=3", "batch_size"),
        ("stages.it.num_generations=3", "num_generations"),
        ("stages.it.eval_steps=9", "eval_steps"),
        ("stages.it.max_length=8", "max_length"),
        ("stages.it.max_steps=0", "max_steps"),
        ("stages.it.max_steps=-1", "max_steps"),
    ]
] + [
    (f"ppo override {text!r}", override(text, kind="ppo"), says)
    for text, says in [
        ("stages.it.critic=reward_model", "critic"),
        ("stages.it.critic=nowhere/at/all", "critic"),
        ("stages.it={kind: ppo, critic: base, value_grad: 0.5}", "value_grad"),
        ("stages.it.critic=recipe.yaml", "critic"),
        ("stages.it.critic=nosuch-model", "critic"),
        ("stages.it.gae_lambda=1.1", "gae_lambda"),
    ]
]
MODELS = [
    (f"model folder: {what}", with_model(damage), says)
    for what, damage, says in [
        ("no config", put("config.json", None), "config.json"),
        ("empty config", put("config.json", ""), "config"),
        ("config is garbage", put("config.json", b"\x00\xff\x00"), "config"),
        ("config is a list", put("config.json", "[1, 2]"), "config"),
        ("config without a type", put("config.json", "{}"), "config"),
        ("config of a type unknown", config(model_type="nosuch"), "nosuch"),
        ("config of another kind", config(model_type="t5"), "t5"),
        ("config of images", config(model_type="vit"), "vit"),
        ("config with text for numbers", config(hidden_size="wide"), "config"),
        ("config with 0 heads", config(num_attention_heads=0), "config"),
        ("no weights", put("model.safetensors", None), "weights"),
        ("empty weights", put("model.safetensors", b""), "model.safetensors"),
        ("weights of zeros", put("model.safetensors", bytes(1000)), "model.safetensors"),
        ("weights cut at half", cut("model.safetensors", 0.5), "model.safetensors"),
        ("weights cut at the end", cut("model.safetensors", 0.99), "model.safetensors"),
        ("weights cut in the head", cut("model.safetensors", 0.01), "model.safetensors"),
        (
            "weights are a pointer",
            put("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid x\n"),
            "git lfs",
        ),
        ("weights of another shape", config(hidden_size=32, head_dim=16), "by its config.json"),
        (
            "more layers than weights",
            config(num_hidden_layers=3, layer_types=["full_attention"] * 3),
            "layers.",
        ),
        ("no tokenizer", put("tokenizer.json", None), "tokenizer"),
        ("tokenizer cut", cut("tokenizer.json", 0.5), "tokenizer"),
        ("tokenizer is garbage", put("tokenizer.json", b"\xff\x00"), "tokenizer"),
        ("tokenizer is empty", put("tokenizer.json", ""), "tokenizer"),
        ("tokenizer config cut", cut("tokenizer_config.json", 0.5), "tokenizer"),
        ("tokenizer too large", config(vocab_size=100), "tokenizer"),
        ("an adapter without a base", put("adapter_config.json", "{}"), "base"),
        ("an adapter of garbage", put("adapter_config.json", "["), "adapter_config.json"),
        (
            "an adapter without weights",
            put("adapter_config.json", '{"base_model_name_or_path": "tiny"}'),
            "adapter_model",
        ),
        ("a chat template that fails", put("chat_template.jinja", "{% for %}"), "template"),
        (
            "a chat template that refuses",
            put("chat_template.jinja", "{{ raise_exception('no') }}"),
            "template",
        ),
        (
            "shards that are missing",
            lambda folder: (
                put("model.safetensors", None)(folder),
                put("model.safetensors.index.json", '{"weight_map": {"a": "x.safetensors"}}')(
                    folder
                ),
            )[0],
            "weights",
        ),
    ]
] + [
    (
        "model folder: pickled only",
        with_model(lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin")),
        "pickled",
    )
]  # type: ignore[list-item,return-value]
ROWS = [
    (f"rows: {what}", rows(text, kind), says)
    for what, text, kind, says in [
        ("empty", "", "sft", "no row"),
        ("blank lines", "\n\n\n", "sft", "no row"),
        ("no json", "hello\n", "sft", "rows.jsonl:1"),
        ("cut", ROW + ROW[:20], "sft", "rows.jsonl:2"),
        ("a list", "[1, 2]\n", "sft", "rows.jsonl:1"),
        ("not utf-8", b"\xff\xfe\n", "sft", "UTF-8"),
        ("binary", bytes(range(256)), "sft", "rows.jsonl"),
        ("no reply", '{"prompt": "a"}\n', "sft", "completion"),
        ("no prompt", '{"completion": "a"}\n', "sft", "prompt"),
        ("empty reply", '{"prompt": "a", "completion": ""}\n', "sft", "completion"),
        ("a number", '{"prompt": 3, "completion": "a"}\n', "sft", "prompt"),
        ("empty messages", '{"prompt": [], "completion": "a"}\n', "sft", "prompt"),
        ("odd messages", '{"prompt": [{"rolle": "x"}], "completion": "a"}\n', "sft", "prompt"),
        ("pairs as rows", PAIR, "sft", "completion"),
        ("rows as pairs", ROW, "dpo", "chosen"),
        ("no rejected", '{"prompt": "a", "chosen": "b"}\n', "dpo", "rejected"),
        ("empty chosen", '{"prompt": "a", "chosen": "", "rejected": "c"}\n', "dpo", "empty"),
        ("pairs empty", "", "reward", "no row"),
        ("all cut", ROW.replace("...x", "x" * 60) * 3, "sft", "max_length"),
        ("equal replies", PAIR.replace('"2"', '"1"'), "dpo", "pair"),
        ("wrong in line 500", ROW * 499 + "{}\n" + ROW * 10, "sft", "rows.jsonl:500"),
        ("deep", '{"prompt": ' + "[" * 100_000 + "\n", "sft", "rows.jsonl:1"),
        ("a long line of nothing", "x" * 3_000_000, "sft", "rows.jsonl:1"),
    ]
] + [
    ("rows: a folder", override("stages.it.data=."), "data"),
    (
        "rows: prompts of garbage",
        recipe(
            _staged(
                {"it": STAGE["grpo"]}, game={"name": "prompts", "options": {"file": "p.jsonl"}}
            ),
            p__jsonl="x",
        ),
        "p.jsonl:1",
    ),
    (
        "rows: prompts without prompts",
        recipe(
            _staged(
                {"it": STAGE["grpo"]}, game={"name": "prompts", "options": {"file": "p.jsonl"}}
            ),
            p__jsonl="",
        ),
        "p.jsonl",
    ),
    (
        "rows: prompts nowhere",
        recipe(
            _staged({"it": STAGE["grpo"]}, game={"name": "prompts", "options": {"file": "p.jsonl"}})
        ),
        "p.jsonl",
    ),
    (
        "rows: pairs of data without pairs",
        recipe(_staged({"a": DATA, "it": {"kind": "dpo", **LEARNS}})),
        "pairs",
    ),
    (
        "rows: pairs of logs without pairs",
        recipe(_staged({"a": {**STAGE["logs"], "pairs": None}, "it": {"kind": "dpo", **LEARNS}})),
        "pairs",
    ),
    ("rows: none", recipe(_staged({"it": STAGE["sft"]})), "no rows"),
    ("rows: no pairs at all", recipe(_staged({"it": STAGE["dpo"]})), "no rows"),
]
LOGS = [
    ("logs: nothing there", logs(lambda folder: folder.rmdir()), "no such"),
    ("logs: empty folder", logs(lambda folder: None), "no file"),
    ("logs: empty files", logs(put("a.json", "")), "empty"),
    (
        "logs: only folders",
        logs(lambda folder: (folder / "x" / "y").mkdir(parents=True)),
        "no file",
    ),
    ("logs: a format unknown", logs(put("a.json", "{}"), format="phd"), "phd"),
    ("logs: dangling link", logs(lambda folder: (folder / "a").symlink_to("nowhere")), ""),
    ("logs: a pipe", logs(lambda folder: os.mkfifo(folder / "a.json")), ""),
    ("logs: neither", recipe(_staged({"it": {"kind": "logs"}})), "paths"),
    ("logs: the same twice", logs(put("a.json", "{}"), paths=["logs", "logs"]), "twice"),
    ("logs: made of what", logs(put("a.json", "{}"), make={"kind": "chess"}, paths=[]), "chess"),
    (
        "logs: strict with a judge",
        logs(put("a.json", "{}"), compliance="strict", pairs={"by": ["judge"]}),
        "strict",
    ),
    (
        "logs: a judge without address",
        logs(put("a.json", "{}"), pairs={"by": ["judge"], "judge": {"base_url": "x"}}),
        "base_url",
    ),
    ("logs: nobody prefers", logs(put("a.json", "{}"), pairs={"by": []}), "by"),
    *(
        (f"logs: import {what}", lambda folder, words=words: ["data", "import", *words], says)
        for what, words, says in [
            ("nothing", ["nowhere"], "no such"),
            ("an unknown kind", ["phd", "nowhere"], "no such"),
            ("without a path", ["mafia"], "mafia"),
            ("odd include", ["nowhere", "--include", "x"], "--include"),
            ("no processes", ["nowhere", "--processes", "0"], "processes"),
        ]
    ),
]
LOGS += [
    (f"logs: content, {what}", logs(put(name, content)), "no rows", True)
    for what, name, content in [
        ("garbage", "a.json", b"\xff\x00\xfe"),
        ("no json", "a.json", "hello"),
        ("cut json", "a.json", '{"a": ['),
        ("an empty list", "a.json", "[]"),
        ("something else", "a.json", '{"a": 1}'),
        ("lines of nothing", "a.jsonl", "{}\n{}\n"),
        ("a picture", "a.png", b"\x89PNG\r\n\x1a\n" + bytes(100)),
        ("half a gzip", "a.json.gz", b"\x1f\x8b\x08\x00"),
        ("a zip", "a.zip", b"PK\x03\x04" + bytes(30)),
        ("no parquet", "a.parquet", b"PAR1" + bytes(30)),
        ("deep brackets", "a.json", "[" * 100_000),
        ("a text without hands", "a.txt", "PokerStars Hand #1: \n"),
        ("no toml", "a.phh", "variant = \n"),
        ("numbers", "a.json", "[1, 2, 3]"),
        ("nulls", "a.jsonl", "null\nnull\n"),
    ]
]
ENDPOINTS = [
    *(
        (f"endpoint: address {url!r}", thoughts(url), "base_url")
        for url in [
            "",
            "localhost",
            "localhost:8000",
            "ftp://x/v1",
            "file:///etc/passwd",
            "http://",
            "http:///v1",
            "https://:80/",
            "http://x:y/v1",
            "http://x:99999/v1",
            "http://x:0/v1",
            "http://a b/v1",
            "http://[::1/v1",
            "http://x/v1?a=1",
            "http://x/v1#a",
            "http://me@x/v1",
            "//x/v1",
            "http//x/v1",
            "http:x",
            "ws://x/v1",
            "http://x\u200b\n/v1",
        ]
    ),
    ("endpoint: a password", thoughts("http://me:secret123@host/v1"), "secret"),
    (
        "endpoint: a key in its place",
        thoughts("http://x/v1", api_key_env="sk-abcdefghijklmnopqrst"),
        "secret",
    ),
    ("endpoint: no variable", thoughts("http://x/v1", api_key_env="MY KEY"), "api_key_env"),
    ("endpoint: no seconds", thoughts("http://x/v1", timeout_s=0), "timeout_s"),
    ("endpoint: nobody there", thoughts("http://127.0.0.1:9/v1"), "endpoint", True),
    ("endpoint: no such host", thoughts("http://nosuch.invalid/v1"), "endpoint", True),
    *(
        (f"endpoint: server that {what}", served(answer), "endpoint", True)
        for what, answer in [
            ("is silent", None),
            ("hangs up", b""),
            ("speaks no HTTP", b"hello\r\n\r\n"),
            ("sends half a head", b"HTTP/1.1 200 OK\r\nContent-"),
            ("sends half a body", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
            ("sends no JSON", http_answer("hello")),
            ("sends a list", http_answer("[]")),
            ("sends null", http_answer("null")),
            ("sends nothing", http_answer("")),
            ("has no choices", http_answer('{"choices": []}')),
            ("has no text", http_answer('{"choices": [{"message": {"content": null}}]}')),
            ("says 401", http_answer("{}", "401 Unauthorized")),
            ("says 404", http_answer("{}", "404 Not Found")),
            ("says 500", http_answer("{}", "500 Oh")),
            ("says 429", http_answer("{}", "429 Later")),
            (
                "sends elsewhere",
                b"HTTP/1.1 302 F\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n",
            ),
            ("sends deep brackets", http_answer("[" * 100_000)),
        ]
    ),
]
RUN = ["run", "recipe.yaml"]
RUNS = [
    (
        "run folder: another format",
        run_folder(put("manifest.json", '{"format": 99}'), *RUN),
        "format",
    ),
    ("run folder: is a file", recipe(base(), "--runs", "x", x="in the way"), "x"),
    ("run folder: below a file", recipe(base(), "--runs", "recipe.yaml/x"), "recipe.yaml"),
    ("run folder: play nothing", run_folder(lambda run: None, "play", "runs/small"), ""),
    (
        "run folder: play a stage",
        run_folder(lambda run: None, "chat", "runs/small", "--stage", "nosuch"),
        "nosuch",
    ),
    ("run folder: eval nothing", run_folder(lambda run: None, "eval", "runs/small"), ""),
    (
        "run folder: eval a recipe of garbage",
        run_folder(put("recipe.yaml", "["), "eval", "runs/small"),
        "recipe.yaml",
    ),
    (
        "run folder: play without a recipe",
        run_folder(put("recipe.yaml", None), "play", "runs/small"),
        "recipe",
    ),
    ("run folder: no such run", lambda folder: ["play", "nosuch"], "nosuch"),
    ("run folder: report of nothing", lambda folder: ["report", "nosuch"], "nosuch"),
    ("run folder: replay nothing", lambda folder: ["replay", "nosuch.jsonl"], "nosuch"),
    (
        "run folder: replay garbage",
        run_folder(put("x.jsonl", "hello\n"), "replay", "runs/small/x.jsonl"),
        "x.jsonl",
    ),
    ("run folder: ladder of nothing", lambda folder: ["ladder", "nosuch"], "nosuch"),
    (
        "run folder: eval 0 episodes",
        lambda folder: ["eval", "nosuch", "--episodes", "0"],
        "episodes",
    ),
    (
        "run folder: eval an unknown opponent",
        run_folder(lambda run: None, "eval", "runs/small", "--opponent", "nosuch"),
        "",
    ),
]
LISTS: list[Any] = [*FILES, *WORDS, *RL_WORDS, *MODELS, *ROWS, *LOGS, *ENDPOINTS, *RUNS]
