"""Small episodes of SecretMafia, as an import leaves them, and what becomes of them; for tests."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tesuji.core.files import read_jsonl
from tesuji.core.progress import SILENT
from tesuji.core.types import Attempt, Ending, Episode, Found, Message, Move, Turn
from tesuji.datasets.from_logs.candidates import Candidate, Pool, collect
from tesuji.datasets.from_logs.given_pairs import log_pairs
from tesuji.datasets.from_logs.selection import Chosen, choose
from tesuji.datasets.from_logs.stage import make_data_from_logs
from tesuji.episodes.store import write_episodes
from tesuji.recipe.schema.data import LogsStage
from tesuji.recipe.schema.recipe import Recipe

GAME = "SecretMafia-v0"
LONG = "I suspect Player 2: the evidence and the pattern of votes say so, trust me on this one."
ROWS = ("train.jsonl", "held_out.jsonl")
PAIRS = ("pairs.jsonl", "held_out_pairs.jsonl")


def said(reply: str, phase: str, legal: bool, prompt: tuple[Message, ...] = ()) -> Attempt:
    """One reply: a speech, or a vote or night action such as [2]."""
    number = -1 if phase in ("discussion", "") else int(reply.strip("[] ") or 0) if legal else 0
    move = Move(number, reply) if legal else None
    found = Found.EXACT if legal else Found.NONE
    return Attempt(reply, found=found, move=move, prompt=prompt)


def turn(
    reply: str | None,
    seat: int = 0,
    *,
    shown: str = "[GAME] Day breaks.\n",
    role: str = "Villager",
    phase: str = "discussion",
    legal: bool = True,
    first: str | None = None,
    targets: Sequence[int] = (),
    continues: bool = False,
) -> Turn:
    """One turn; `first` is an illegal reply before it, None for no reply at all."""
    attempts = () if reply is None else (said(reply, phase, legal),)
    if first is not None:
        attempts = (said(first, phase, False), *attempts)
    moves = tuple(Move(n, f"[{n}]") for n in targets)
    played = attempts[-1].move if attempts else None
    return Turn(
        seat, role, shown, attempts, played, phase=phase, continues=continues, legal_moves=moves
    )


def vote(reply: str, seat: int = 0, **changes: Any) -> Turn:
    """A vote among the players 0 to 4."""
    facts = {"shown": "[GAME] Voting phase.\n", "phase": "voting", "targets": range(5)}
    return turn(reply, seat, **{**facts, **changes})


def episode(
    match: str,
    *turns: Turn,
    winners: Sequence[int] | None = (0,),
    game: str = GAME,
    ending: Ending = Ending.FINISHED,
    **about: Any,
) -> Episode:
    """A game; `winners=None`: nobody knows who won."""
    told = {} if winners is None else {"winners": list(winners)}
    facts = {"kind": "mafia", "match": match, "file": f"{match}.json", **told, **about}
    return Episode(game, {}, 0, ("",) * 6, turns, (0.0,) * 6, ending, provenance=facts)


def decision(reply: str, legal: tuple[str, ...], match: str) -> Episode:
    """A hand of poker: a solver's decision among the legal ones."""
    prompt = (Message(role="user", content=f"You hold Ah Kh in {match}. Your decision:"),)
    moves = tuple(Move(n, text) for n, text in enumerate(legal))
    move = Move(legal.index(reply), reply)
    attempt = Attempt(reply, found=Found.EXACT, move=move, prompt=prompt)
    one = Turn(0, "CO", "", (attempt,), move, phase="preflop", legal_moves=moves)
    return episode(match, one, game="poker", winners=None, kind="pokerbench", oracle=True)


def stage(paths: Sequence[Path | str] = ("x",), **changes: Any) -> LogsStage:
    """The stage, without held-out matches and pairs unless asked for."""
    named = {} if "make" in changes else {"paths": [str(path) for path in paths]}
    return LogsStage.model_validate({"held_out": 0.0, "pairs": None, **named, **changes})


def chosen(
    folder: Path, episodes: Iterable[Episode], seed: int = 1, **changes: Any
) -> tuple[Chosen, Pool]:
    """What becomes of these episodes, nothing written."""
    folder.mkdir(parents=True, exist_ok=True)
    write_episodes(folder / "episodes.jsonl", episodes)
    pool = collect(folder / "episodes.jsonl", seed)
    logged = log_pairs(folder / "pairs.jsonl")
    asked = stage(**changes)
    return (
        choose(asked, pool, logged, folder / "episodes.jsonl", folder, seed, SILENT),
        pool,
    )


def replies(turns: Iterable[Candidate], pool: Pool) -> list[str]:
    """What was said in these turns."""
    return [pool.replies.get(turn.reply_span) for turn in turns]


def counts(found: Chosen) -> dict[str, tuple[int, int]]:
    """Rule → (dropped, left)."""
    return {rule["rule"]: (rule["dropped"], rule["left"]) for rule in found.report.rules}


def why(found: Chosen, rule: str) -> dict[str, int]:
    """The reasons of one rule."""
    return next(r for r in found.report.rules if r["rule"] == rule).get("why", {})


def built(
    out: Path, paths: Sequence[Path | str] = ("x",), seed: int = 1, **changes: Any
) -> dict[str, Any]:
    """The whole stage, written into `out`."""
    asked = stage(paths, **changes)
    stages = {"logs": asked.model_dump()}
    recipe = Recipe.model_validate(
        {"name": "made", "game": "prompts", "seed": seed, "stages": stages}
    )
    return make_data_from_logs(recipe, asked, out)


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [row for _, row in read_jsonl(path)]


ASKED = {
    "make": {"kind": "mafia", "games": 12, "traps": True},
    "held_out": 0.25,
    "pairs": {"by": ["outcome", "legality"]},
}
