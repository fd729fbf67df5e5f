"""vLLM servers with the policy's weights: before every rollout they get them, in files; for an
evaluation, whose policy stays as it is, they are started on them, or get what they have not.

An adapter is loaded under a name of its own for each version, and the one before unloaded; whole
weights are read again in place, and what was cached of the old is forgotten. Afterwards each server
is asked for a few log-probs, which have to be the policy's own: nothing else would notice a server
with another model. What it simplifies: servers and trainer see one file system.
"""

import contextlib
import shutil
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tesuji.core.files import discard, read_json, write_json
from tesuji.core.tensors import save_tensors
from tesuji.learners.distributed import is_main, on_main
from tesuji.learners.model.load import Policy
from tesuji.learners.model.sources import base_of, resolved
from tesuji.players.sampling.local import stop_ids_of
from tesuji.players.sampling.modes import evaluating
from tesuji.players.vllm.generate import MOST_IDS, next_token_body, next_token_logprobs
from tesuji.players.vllm.sampler import VllmSampler
from tesuji.players.vllm.server import Server, WrongModel
from tesuji.players.vllm.servers import GENERATE, GOES_ON, Servers, Version
from tesuji.players.vllm.start import check_head_size, started
from tesuji.recipe.schema.recipe import Recipe

FAR = {torch.float32: 2e-3}  # nats between a server's log-prob and the policy's own
FAR_IN_HALF = 0.5
PROBE = 12  # tokens that are read


class VllmPolicy:
    """The servers of one stage. They are started with the first `sync`, or with `settle`, and ended
    by `close`. `hint` is what people are told to do where no server is left."""

    def __init__(self, policy: Policy, recipe: Recipe, out: Path, hint: str = GOES_ON) -> None:
        self.policy, self.recipe, self.section = policy, recipe, recipe.sampling
        self.hint = hint
        self.folder = out / "vllm"
        self.run = f"tesuji-{uuid.uuid4().hex[:8]}"  # others may use the same servers
        self.adapter = hasattr(policy.model, "peft_config")
        self.servers: Servers | None = None
        self.version: Version | None = None
        self._open = contextlib.ExitStack()

    def sync(self, number: int) -> None:
        """Have all servers sample with the policy as it is now, version `number`. Every process
        calls this; the main one does it. Raises EngineError."""
        self._take(*on_main(self._sync)(number))

    def settle(self) -> None:
        """Have all servers sample with a policy that stays as it is: whole weights are brought only
        to a server that has others. Every process calls this. Raises EngineError."""
        self._take(*on_main(self._settle)())

    def _take(self, urls: list[str], version: Version) -> None:
        if self.servers is None:
            self.servers = self._talk_to(urls)
            self.servers.everywhere(lambda server: server.meet())
        if not is_main():
            self.servers.keep(urls)
        self.version = version

    def sampler(self) -> VllmSampler:
        """Samples with the weights handed out last."""
        assert self.servers is not None and self.version is not None, "sync comes first"
        model, tokenizer = self.policy.model, self.policy.tokenizer
        context = getattr(model.config, "max_position_embeddings", None)
        return VllmSampler(
            self.servers,
            self.version,
            stop_ids=frozenset(stop_ids_of(model, tokenizer)),
            context=self.section.max_model_len or context,
        )

    def close(self) -> None:
        """Leave the servers as they were found, and end those started here."""
        with contextlib.suppress(Exception):  # they may be gone, and the reason has been said
            if self.servers is not None and is_main() and self.adapter and not self._started:
                self.servers.everywhere(partial(_unload, version=self.version))
        with contextlib.suppress(Exception):
            if self.servers is not None:
                self.servers.close()
        self._open.close()
        for old in self.folder.glob(f"{self.run}-*"):
            shutil.rmtree(old, ignore_errors=True)

    @property
    def _started(self) -> bool:
        return not self.section.url

    def _sync(self, number: int) -> tuple[list[str], Version]:
        name = f"{self.run}-v{number}"
        version = Version(number, adapter=name) if self.adapter else Version(number, weights=name)
        files = self.folder / name
        self._write(files)
        base = base_of(self.policy.source, self.recipe.model.base)
        model = resolved(base or self.policy.source) if self.adapter else str(files)
        servers = self._reached(model)
        servers.everywhere(self._handing(files, version, self._probe()))
        for old in self.folder.glob(f"{self.run}-*"):
            if old != files:
                discard(old)
        return servers.urls, version

    def _settle(self) -> tuple[list[str], Version]:
        if self.adapter:
            return self._sync(0)
        files = self.folder / f"{self.run}-v0"
        version, probe = Version(0, weights=files.name), self._probe()
        servers = self._reached(resolved(self.policy.source))
        right: set[str] = set()
        servers.everywhere(_naming(version, probe, right))
        if right < {server.url for server in servers.all}:
            self._write(files)
            servers.everywhere(_but(right, self._handing(files, version, probe)))
        return servers.urls, version

    def _reached(self, model: str) -> Servers:
        """The servers; one of `model` is started where none are named."""
        if self.servers is None:
            urls = self.section.url or [self._open.enter_context(self._start(model))]
            self.servers = self._talk_to(urls)
        return self.servers

    def _probe(self) -> "Probe":
        return Probe(self.policy, self.recipe.sampling.temperature or 1.0)

    def _handing(
        self, files: Path, version: Version, probe: "Probe"
    ) -> Callable[[Server], Awaitable[None]]:
        old = self.version

        async def hand(server: Server) -> None:
            await server.meet()
            if version.adapter:
                if old and old.number == version.number:  # it plays again, ahead of its step
                    await _unload(server, old)
                await _load_adapter(server, version.adapter, files)
                await probe.ask(server, version)
                if old and old.number != version.number:
                    await _unload(server, old)
            else:
                await _load_whole(server, version.weights, files)
                await probe.ask(server, version)

        return hand

    def _talk_to(self, urls: list[str]) -> Servers:
        section = self.section
        log = str(self._log) if self._started else ""
        return Servers(urls, section.timeout_s, section.batch_size, log, self.hint)

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    def _write(self, files: Path) -> None:
        """The weights; whole ones as a model that a server can be started with."""
        policy, config = self.policy, self.policy.model.config.get_text_config()
        if self.adapter:  # PEFT would ask the Hub about the base's vocabulary, each time
            policy.model.save_pretrained(files, save_embedding_layers=False)
            return
        policy.model.save_pretrained(files)
        policy.tokenizer.save_pretrained(files)
        if self._started and policy.model.device.type == "cpu" and config.tie_word_embeddings:
            _untie(policy.model, files)

    def _start(self, source: str) -> contextlib.AbstractContextManager[str]:
        model = self.policy.model
        check_head_size(model.config.get_text_config(), model.device.type)
        ranks = [int(one.r) for one in getattr(model, "peft_config", {}).values()]
        return started(
            self.section,
            source,
            dtype=str(model.dtype).removeprefix("torch."),
            device=model.device.type,
            rank=max(ranks, default=0),
            log=self._log,
        )


class Probe:
    """What the policy itself says of a few tokens after a few others, at the temperature that is
    sampled at."""

    def __init__(self, policy: Policy, temperature: float) -> None:
        model, self.temperature = policy.model, temperature
        size = int(model.config.get_text_config().vocab_size)
        self.ids = [(number * 7919 + 13) % size for number in range(PROBE)]
        self.tokens = list(range(min(MOST_IDS - 1, size)))  # letters and digits are among them
        with evaluating(model), torch.inference_mode():
            logits = model(torch.tensor([self.ids], device=model.device)).logits[0, -1].float()
        self.expected = (logits / temperature).log_softmax(-1)[self.tokens].tolist()
        self.far = FAR.get(model.dtype, FAR_IN_HALF)

    async def ask(self, server: Server, version: Version) -> None:
        """Raise WrongModel where the server says something else."""
        model = version.adapter or server.model
        body = next_token_body(self.ids, self.tokens, self.temperature)
        answer = await server.post(GENERATE, {**body, "model": model})
        try:
            version.check(answer, model)
            said = next_token_logprobs(answer, self.tokens)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise WrongModel(f"no log-probs of the tokens asked for: {error}") from None
        gap = max(abs(a - b) for a, b in zip(said, self.expected, strict=True))
        if gap > self.far:
            raise WrongModel(
                f"its log-probs are {gap:.3g} from the policy's own: another model, other weights, "
                "another dtype, or no --logprobs-mode processed_logprobs"
            )


Work = Callable[[Server], Awaitable[None]]


def _naming(version: Version, probe: Probe, right: set[str]) -> Work:
    """A server that has the policy's weights already calls them `version`, and is put down among
    the `right` ones."""

    async def name(server: Server) -> None:
        await server.meet()
        with contextlib.suppress(WrongModel):
            await probe.ask(server, Version(version.number))
            await _name_weights(server, version.weights)
            await probe.ask(server, version)
            right.add(server.url)

    return name


def _but(right: set[str], work: Work) -> Work:
    """The work, on all other servers."""

    async def do(server: Server) -> None:
        if server.url not in right:
            await work(server)

    return do


async def _load_adapter(server: Server, name: str, files: Path) -> None:
    body = {"lora_name": name, "lora_path": str(files.resolve())}
    await server.post("/v1/load_lora_adapter", body)


async def _unload(server: Server, version: Version | None) -> None:
    if version is not None:
        with contextlib.suppress(Exception):  # a server begun anew does not know it
            await server.post("/v1/unload_lora_adapter", {"lora_name": version.adapter})


async def _load_whole(server: Server, name: str, files: Path) -> None:
    """What runs waits, all is read again, and what was cached of the old weights is forgotten."""
    reload = {"method": "reload_weights", "kwargs": {"weights_path": str(files.resolve())}}
    await server.post("/pause?mode=keep")
    try:
        await server.post("/collective_rpc", reload)
        await server.post("/reset_prefix_cache")
        await _name_weights(server, name)
    finally:
        await server.post("/resume")


async def _name_weights(server: Server, name: str) -> None:
    await server.post("/update_weight_version", {"new_version": name})


def _untie(model: Any, files: Path) -> None:
    """Write the head beside embeddings that are its own, and say that it is one by itself: vLLM on
    a CPU keeps a packed copy of a tied head, which it does not read again."""
    head = model.get_output_embeddings().weight
    save_tensors(files / "head.safetensors", {"lm_head.weight": head})
    config = read_json(files / "config.json")
    write_json(files / "config.json", {**config, "tie_word_embeddings": False})


def vllm_policy(
    policy: Policy, recipe: Recipe, out: Path, hint: str = GOES_ON
) -> VllmPolicy | None:
    """The servers that the recipe names; None where the model in this process samples."""
    return VllmPolicy(policy, recipe, out, hint) if recipe.sampling.engine == "vllm" else None
