"""`tesuji eval RUN --prompts FILE`: a model's replies to a file of prompts, written beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tesuji.cli.console import console
from tesuji.cli.progress import Bar
from tesuji.core.errors import DataError
from tesuji.core.run_folder import key_of
from tesuji.core.seeds import stream
from tesuji.core.types import Message

if TYPE_CHECKING:
    from tesuji.evaluation.held_out.likelihood import Reader
    from tesuji.evaluation.prompt_files import Kept, Prompt
    from tesuji.pipeline.models.by_name import Opened
    from tesuji.recipe.schema.sections import SamplingSection

AT_ONCE = 32  # replies between two writes, unless the recipe's batches are smaller


@dataclass(frozen=True, slots=True)
class Job:
    """Which model replies, and how."""

    opened: "Opened"
    sampling: "SamplingSection"
    seed: int


def reply_to_prompts(
    model: str,
    file: Path,
    *,
    out: Path | None = None,
    temperature: float | None = None,
    max_new_tokens: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
) -> Path:
    """Reply to every prompt of `file`, and return where the results are.

    What is done stays in a `.part` file until the results are written; the same command goes on
    from there. Raises DataError for a wrong file before any model is loaded.
    """
    from tesuji.evaluation.prompt_files import Kept, read_prompts, results_path, write_results
    from tesuji.pipeline.models.by_name import open_model

    prompts = read_prompts(file)
    target = out or results_path(file)
    if target.resolve() == file.resolve() or target.is_dir():
        raise DataError("results need a file of their own", where=str(target), hint="--out FILE")
    opened = open_model(model)
    sampling = _sampling(opened, temperature, max_new_tokens, batch_size)
    job = Job(opened, sampling, opened.seed if seed is None else seed)
    with Kept(target.with_name(target.name + ".part"), _key(job, prompts)) as kept:
        if kept.replies:
            console.print(f"{len(kept.replies):,} of {len(prompts):,} are done already")
        _reply(job, prompts, kept)
        write_results(target, prompts, kept.replies)
        kept.done()
    console.print(f"{len(prompts):,} replies written to {target}", markup=False, soft_wrap=True)
    return target


def _sampling(
    opened: "Opened", temperature: float | None, max_new_tokens: int | None, batch_size: int | None
) -> "SamplingSection":
    """The recipe's sampling, greedy unless told, in batches small enough to lose little."""
    changes: dict[str, Any] = {"temperature": temperature or 0.0, "legal_only": False}
    changes["batch_size"] = batch_size or min(opened.sampling.batch_size, AT_ONCE)
    if max_new_tokens is not None:
        changes["max_new_tokens"] = max_new_tokens
    return opened.sampling.model_copy(update=changes)


def _key(job: Job, prompts: Sequence["Prompt"]) -> str:
    """What the replies depend on; the size of the batches is not of it."""
    folder = Path(job.opened.source)
    files = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(folder.glob("*.*"))]
    messages = [prompt.messages for prompt in prompts]
    how, asking = job.sampling.model_dump(exclude={"batch_size"}), job.opened.prompt.model_dump()
    return key_of(job.opened.source, files, how, asking, job.seed, messages)


def _reply(job: Job, prompts: Sequence["Prompt"], kept: "Kept") -> None:
    left = [place for place in range(len(prompts)) if place not in kept.replies]
    if not left:
        return
    reader = _reader(job)
    new = min(job.sampling.max_new_tokens, max(1, reader.longest // 2))
    fitted = {place: _fitted(job, reader, prompts[place], new) for place in left}
    if cut := sum(was_cut for _, was_cut in fitted.values()):
        console.print(f"{cut:,} prompts are too long and lose their beginning")
    alike = sorted(left, key=lambda place: len(fitted[place][0]))
    with Bar() as bar:
        bar.begin("replies", len(prompts))
        bar.update(len(kept.replies))
        for start in range(0, len(alike), job.sampling.batch_size):
            places = alike[start : start + job.sampling.batch_size]
            kept.add(_replies(job, reader, {place: fitted[place][0] for place in places}, new))
            bar.advance(len(places))


def _reader(job: Job) -> "Reader":
    from tesuji.evaluation.held_out.likelihood import Reader
    from tesuji.players.sampling.local import LocalSampler

    policy, prompt = job.opened.load(), job.opened.prompt
    policy.model.eval()
    sampler = LocalSampler(policy.model, policy.tokenizer, batch_size=job.sampling.batch_size)
    longest = sampler.longest or 1 << 20
    most = min(longest, prompt.max_length or longest)
    return Reader(sampler, policy.tokenizer, longest, most, prompt.enable_thinking)


def _fitted(job: Job, reader: "Reader", prompt: "Prompt", new: int) -> tuple[Sequence[int], bool]:
    """The ids to reply to; the recipe's system message stands in front where there is none."""
    messages, system = prompt.messages, job.opened.prompt.system
    if system and messages[0]["role"] != "system":
        messages = (Message(role="system", content=system), *messages)
    return reader.prompt(messages, new) or ([], False)


def _replies(
    job: Job, reader: "Reader", prompts: Mapping[int, Sequence[int]], new: int
) -> dict[int, str]:
    """One reply a prompt, each from a random stream of its own, whatever it is batched with."""
    from tesuji.learners.model.memory import telling_memory
    from tesuji.players.prompting.chat_template import decode_reply

    with telling_memory("while replying to prompts"):
        samples = reader.sampler.sample(
            list(prompts.values()),
            temperature=job.sampling.temperature,
            top_p=job.sampling.top_p,
            max_new_tokens=new,
            seeds=[stream(job.seed, "prompts", place) for place in prompts],
            stop_ids=reader.sampler.stop_ids,
        )
    texts = [decode_reply(reader.tokenizer, one.reply_ids) for one in samples]
    return dict(zip(prompts, texts, strict=True))
