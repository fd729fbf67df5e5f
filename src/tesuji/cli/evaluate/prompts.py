"""`tesuji eval RUN --prompts FILE`: a model's replies to a file of prompts, written beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tesuji.cli.console import console

if TYPE_CHECKING:
    from tesuji.core.types import Message
    from tesuji.evaluation.prompt_files import Kept, Prompt
    from tesuji.pipeline.models.by_name import Opened
    from tesuji.recipe.schema.sections import SamplingSection

AT_ONCE = 32  # replies between two writes, unless the recipe's batches are smaller


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
    from tesuji.core.errors import DataError
    from tesuji.evaluation.prompt_files import Kept, read_prompts, results_path, write_results
    from tesuji.pipeline.models.by_name import open_model

    prompts = read_prompts(file)
    target = out or results_path(file)
    if target.resolve() == file.resolve() or target.is_dir():
        raise DataError("results need a file of their own", where=str(target), hint="--out FILE")
    opened = open_model(model)
    sampling = _sampling(opened, temperature, max_new_tokens, batch_size)
    seed = opened.seed if seed is None else seed
    key = _key(opened, sampling, seed, prompts)
    with Kept(target.with_name(target.name + ".part"), key) as kept:
        if kept.replies:
            console.print(f"{len(kept.replies):,} of {len(prompts):,} are done already")
        _reply(opened, sampling, seed, prompts, kept)
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


def _key(
    opened: "Opened", sampling: "SamplingSection", seed: int, prompts: Sequence["Prompt"]
) -> str:
    """What the replies depend on; the size of the batches is not of it."""
    from tesuji.core.run_folder import key_of

    folder = Path(opened.source)
    files = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(folder.glob("*.*"))]
    messages = [prompt.messages for prompt in prompts]
    how = sampling.model_dump(exclude={"batch_size"})
    return key_of(opened.source, files, how, opened.prompt.model_dump(), seed, messages)


def _reply(
    opened: "Opened",
    sampling: "SamplingSection",
    seed: int,
    prompts: Sequence["Prompt"],
    kept: "Kept",
) -> None:
    from tesuji.cli.progress import Bar
    from tesuji.core.seeds import stream
    from tesuji.evaluation.held_out.reader import reader_of
    from tesuji.players.prompting.chat_template import decode_reply

    left = [place for place in range(len(prompts)) if place not in kept.replies]
    if not left:
        return
    reader = reader_of(opened.load(), opened.prompt, sampling.batch_size)
    fitted = reader.prompts([_messages(opened, prompts[place]) for place in left], sampling)
    cut = sum(was_cut for _, was_cut in fitted)
    if cut:
        console.print(f"{cut:,} prompts are too long and lose their beginning")
    with Bar() as bar:
        bar.begin("replies", len(prompts))
        bar.update(len(kept.replies))
        for replies in reader.replies(
            {place: ids for place, (ids, _) in zip(left, fitted, strict=True)},
            sampling,
            lambda place: stream(seed, "prompts", place),
            "while replying to prompts",
        ):
            kept.add(
                {at: decode_reply(reader.tokenizer, one.reply_ids) for at, one in replies.items()}
            )
            bar.advance(len(replies))


def _messages(opened: "Opened", prompt: "Prompt") -> Sequence["Message"]:
    """What is replied to; the recipe's system message stands in front where there is none."""
    from tesuji.core.types import Message

    if opened.prompt.system and prompt.messages[0]["role"] != "system":
        return (Message(role="system", content=opened.prompt.system), *prompt.messages)
    return prompt.messages
