"""One look at one player: matches, moves on positions, and the certificate."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tesuji.core.streams import stream
from tesuji.core.types import Episode
from tesuji.episodes.arena import TurnRules
from tesuji.evaluation.certificate import certify
from tesuji.evaluation.exploitability import exploitability
from tesuji.evaluation.matches import play_opponent, score_matches
from tesuji.evaluation.moves import Question, score_moves
from tesuji.evaluation.results import Evaluation, MatchScore, RoleScore
from tesuji.evaluation.roles import score_roles
from tesuji.games.base import Game
from tesuji.players.base import Player
from tesuji.players.registry import make_player
from tesuji.recipe.schema import EvaluationSection
from tesuji.recipe.sections import PlayerSection, PromptSection


@dataclass(frozen=True)
class Subject:
    """Who is evaluated: `label` for people ("before", "after sft"), `model` where it came from."""

    label: str
    model: str
    player: Player


@dataclass
class Watch:
    """What the caller wants to hear: `doing(words, total)` at each part, then `advance(n)`."""

    doing: Callable[[str, int], None] = field(default=lambda words, total: None)
    advance: Callable[[int], None] = field(default=lambda done: None)


def turn_rules(prompt: PromptSection, max_moves: int) -> TurnRules:
    """The arena's rules as the recipe states them."""
    return TurnRules(prompt.answer, prompt.retry, prompt.on_illegal, max_moves)


def evaluate(
    subject: Subject,
    section: EvaluationSection,
    *,
    game: Game,
    prompt: PromptSection,
    questions: Sequence[Question],
    seed: int,
    record: Callable[[Episode], None] = lambda episode: None,
    watch: Watch | None = None,
) -> Evaluation:
    """Play every opponent, answer every question, walk the tree if asked; `record` each episode.

    A random player is put through the same matches, so that every figure has its baseline.
    """
    watch = watch or Watch()
    started = time.monotonic()
    matches: list[MatchScore] = []
    baseline: list[MatchScore] = []
    roles: dict[bool, list[RoleScore]] = {True: [], False: []}
    for opponent, episodes, ours in _all_matches(subject, section, game, prompt, seed, watch):
        (matches if ours else baseline).extend(score_matches(opponent.label, episodes))
        roles[ours].extend(score_roles(opponent.label, episodes))
        for episode in episodes if ours else ():
            record(episode)
    watch.doing(f"{subject.label}: positions", len(questions))
    positions = score_moves(
        game, subject.player, questions, answer=prompt.answer, on_progress=watch.advance
    )
    watch.doing(f"{subject.label}: certificate", 0)
    certificates = (
        certify(game, subject.player, answer=prompt.answer) if section.certificate else ()
    )
    watch.doing(f"{subject.label}: exploitability", 0)
    exploitable = exploitability(game, subject.player) if section.exploitability else None
    return Evaluation(
        label=subject.label,
        model=subject.model,
        game=game.name,
        matches=tuple(matches),
        baseline=tuple(baseline),
        positions=positions,
        certificates=certificates,
        temperature=section.temperature,
        seconds=round(time.monotonic() - started, 2),
        seed=seed,
        exploitability=exploitable,
        roles=tuple(roles[True]),
        baseline_roles=tuple(roles[False]),
    )


def _all_matches(
    subject: Subject,
    section: EvaluationSection,
    game: Game,
    prompt: PromptSection,
    seed: int,
    watch: Watch,
) -> Iterator[tuple[PlayerSection, list[Episode], bool]]:
    """(opponent, episodes, whether they are the subject's own) for every opponent, twice."""
    rules = turn_rules(prompt, section.max_moves)
    for opponent in section.opponents:
        stand_in = make_player(PlayerSection(player="random"), game=game)
        rival = make_player(opponent, game=game)
        for player, ours in ((subject.player, True), (stand_in, False)):
            who = subject.label if ours else "random in its place"
            watch.doing(f"{who} against {opponent.label}", section.episodes)
            yield (
                opponent,
                play_opponent(
                    game,
                    player,
                    rival,
                    episodes=section.episodes,
                    seed=stream(seed, opponent.label),
                    rules=rules,
                    on_episode=lambda episode: watch.advance(1),
                ),
                ours,
            )
