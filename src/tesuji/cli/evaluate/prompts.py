"""`tesuji eval RUN --prompts FILE`: a model's replies to a file of prompts, written beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tesuji.cli.console import console, warn
from tesuji.cli.progress import Bar
from tesuji.core.errors import DataError
from tesuji.core.run_folder import key_of
from tesuji.core.seeds import stream
from tesuji.core.types import Message

if TYPE_CHECKING:
    from tesuji.evaluation.prompt_files import Kept, PromptRow
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
    warn(opened.beware)
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


def _key(job: Job, prompts: Sequence["PromptRow"]) -> str:
    """What the replies depend on; the size of the batches is not of it."""
    from tesuji.learners.model.sources import content_of

    source, folder = content_of(job.opened.source), Path(job.opened.source)
    files = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(folder.glob("*.*"))]
    messages = [prompt.messages for prompt in prompts]
    how, asking = job.sampling.model_dump(exclude={"batch_size"}), job.opened.prompt.model_dump()
    return key_of(source, files, how, asking, job.seed, messages)


def _reply(job: Job, prompts: Sequence["PromptRow"], kept: "Kept") -> None:
    from tesuji.evaluation.held_out.reader import reader_of
    from tesuji.players.prompting.chat_template import decode_reply

    left = [place for place in range(len(prompts)) if place not in kept.replies]
    if not left:
        return
    with Bar() as bar:
        policy = job.opened.load(bar)
    reader = reader_of(policy, job.opened.prompt, job.sampling.batch_size)
    fitted = reader.prompts([_messages(job, prompts[place]) for place in left], job.sampling)
    if cut := sum(was_cut for _, was_cut in fitted):
        console.print(f"{cut:,} prompts are too long and lose their beginning")
    with Bar() as bar:
        bar.begin("replies", len(prompts))
        bar.update(len(kept.replies))
        for replies in reader.replies(
            {place: ids for place, (ids, _) in zip(left, fitted, strict=True)},
            job.sampling,
            lambda place: stream(job.seed, "prompts", place),
            "while replying to prompts",
        ):
            kept.add(
                {at: decode_reply(reader.tokenizer, one.reply_ids) for at, one in replies.items()}
            )
            bar.advance(len(replies))


def _messages(job: Job, prompt: "PromptRow") -> Sequence[Message]:
    """What is replied to; the recipe's system message stands in front where there is none."""
    system = job.opened.prompt.system
    if system and prompt.messages[0]["role"] != "system":
        return (Message(role="system", content=system), *prompt.messages)
    return prompt.messages
