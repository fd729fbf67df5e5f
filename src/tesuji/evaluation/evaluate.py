"""One look at one player: matches, moves on positions, and the certificate."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tesuji.core.progress import SILENT, Progress
from tesuji.core.seeds import stream
from tesuji.core.types import Episode
from tesuji.episodes.arena import TurnRules
from tesuji.evaluation.matches.against import ALONE, play_opponent, score_matches
from tesuji.evaluation.matches.certificate import certify
from tesuji.evaluation.matches.exploitability import exploitability
from tesuji.evaluation.matches.position_moves import Question, score_moves
from tesuji.evaluation.matches.roles import score_roles
from tesuji.evaluation.questions import ask, asks_questions, score_tasks, sides
from tesuji.evaluation.results import Evaluation, MatchScore, RoleScore, TasksScore
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.games.poker.game import MBB
from tesuji.players.base import Player
from tesuji.players.registry import make_player
from tesuji.recipe.schema.recipe import EvaluationSection
from tesuji.recipe.schema.sections import PlayerSection, PromptSection


@dataclass(frozen=True)
class Subject:
    """Who is evaluated: `label` for people ("before", "after sft"), `model` where it came from."""

    label: str
    model: str
    player: Player


def turn_rules(prompt: PromptSection, max_moves: int) -> TurnRules:
    """The arena's rules as the recipe states them."""
    return TurnRules(prompt.answer, prompt.retry, prompt.on_illegal, max_moves)


def judged_game(game: Game, section: EvaluationSection) -> Game:
    """The game with the options that differ where the model is judged. Raises GameError."""
    if not section.options:
        return game
    return load_game(game.name, {**game.options, **section.options})


def evaluate(
    subject: Subject,
    section: EvaluationSection,
    *,
    game: Game,
    prompt: PromptSection,
    questions: Sequence[Question],
    seed: int,
    record: Callable[[Episode], None] = lambda episode: None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Play every opponent, answer every question, walk the tree if asked; `record` each episode.

    A random player is put through the same matches, so that every figure has its baseline. A game
    of one seat is played once, by the subject, by a random player, and by each of the opponents.
    """
    started = time.monotonic()
    judged = judged_game(game, section)
    tasks, played = None, _Scores()
    if asks_questions(judged):
        tasks = _ask_all(subject, section, judged, prompt, seed, record, progress)
    else:
        played = _play_all(subject, section, judged, prompt, seed, record, progress)
    progress.begin(f"{subject.label}: positions", len(questions))
    positions = score_moves(
        game, subject.player, questions, answer=prompt.answer, progress=progress
    )
    progress.begin(f"{subject.label}: certificate")
    certificates = (
        certify(game, subject.player, answer=prompt.answer) if section.certificate else ()
    )
    progress.begin(f"{subject.label}: exploitability")
    exploitable = exploitability(game, subject.player) if section.exploitability else None
    return Evaluation(
        label=subject.label,
        model=subject.model,
        game=game.name,
        matches=tuple(played.matches["ours"]),
        baseline=tuple(played.matches["baseline"]),
        positions=positions,
        certificates=certificates,
        temperature=section.temperature,
        seconds=round(time.monotonic() - started, 2),
        seed=seed,
        exploitability=exploitable,
        beside=tuple(played.matches["beside"]),
        options=section.options,
        tasks=tasks,
        roles=tuple(played.roles["ours"]),
        baseline_roles=tuple(played.roles["baseline"]),
    )


Whose = Literal["ours", "baseline", "beside"]
Played = tuple[str, list[Episode], Whose]


@dataclass(frozen=True)
class _Scores:
    """What matches brought, by whose they are."""

    matches: dict[Whose, list[MatchScore]] = field(default_factory=lambda: defaultdict(list))
    roles: dict[Whose, list[RoleScore]] = field(default_factory=lambda: defaultdict(list))


def _play_all(
    subject: Subject,
    section: EvaluationSection,
    game: Game,
    prompt: PromptSection,
    seed: int,
    record: Callable[[Episode], None],
    progress: Progress,
) -> _Scores:
    """Every match there is to play, scored; those of the subject are recorded."""
    scores = _Scores()
    play = _alone if game.num_players == 1 else _all_matches
    in_big_blinds = MBB in game.info.metrics
    for label, episodes, whose in play(subject, section, game, prompt, seed, progress):
        scores.matches[whose] += score_matches(label, episodes, in_big_blinds=in_big_blinds)
        scores.roles[whose] += score_roles(label, episodes)
        for episode in episodes if whose == "ours" else ():
            record(episode)
    return scores


def _ask_all(
    subject: Subject,
    section: EvaluationSection,
    game: Game,
    prompt: PromptSection,
    seed: int,
    record: Callable[[Episode], None],
    progress: Progress,
) -> TasksScore:
    """Ask the questions of each side, at most `section.episodes` of it."""

    def on_episode(episode: Episode) -> None:
        record(episode)
        progress.advance()

    rules = turn_rules(prompt, section.max_moves)
    asked = []
    for split, side in sides(game):
        progress.begin(f"{subject.label}: questions, {split}", section.episodes)
        told = ask(
            side,
            subject.player,
            episodes=section.episodes,
            seed=seed,
            rules=rules,
            on_episode=on_episode,
        )
        asked.append((split, told))
    return score_tasks(game, asked)


def _alone(
    subject: Subject,
    section: EvaluationSection,
    game: Game,
    prompt: PromptSection,
    seed: int,
    progress: Progress,
) -> Iterator[Played]:
    """(label, episodes, whose they are) of a game of one seat: the subject, random play where the
    game has moves to choose from, and the players named."""
    rules = turn_rules(prompt, section.max_moves)
    beside = [one for one in section.opponents if one.player != "random"]
    players: list[tuple[str, Player, Whose]] = [
        (ALONE, subject.player, "ours"),
        *((one.label, make_player(one, game=game), "beside") for one in beside),
    ]
    if "random" in game.info.players and section.opponents:
        players.append((ALONE, make_player(PlayerSection(player="random"), game=game), "baseline"))
    for label, player, kind in players if section.opponents else ():
        who = subject.label if kind == "ours" else player.name
        progress.begin(f"{who}: {game.name}", section.episodes)
        episodes = play_opponent(
            game,
            player,
            player,
            episodes=section.episodes,
            seed=stream(seed, ALONE),
            rules=rules,
            on_episode=lambda episode: progress.advance(),
        )
        yield label, episodes, kind


def _all_matches(
    subject: Subject,
    section: EvaluationSection,
    game: Game,
    prompt: PromptSection,
    seed: int,
    progress: Progress,
) -> Iterator[Played]:
    """(opponent, episodes, whose they are) for every opponent, twice."""
    rules = turn_rules(prompt, section.max_moves)
    for opponent in section.opponents:
        stand_in = make_player(PlayerSection(player="random"), game=game)
        rival = make_player(opponent, game=game)
        for player, ours in ((subject.player, True), (stand_in, False)):
            who = subject.label if ours else "random in its place"
            progress.begin(f"{who} against {opponent.label}", section.episodes)
            episodes = play_opponent(
                game,
                player,
                rival,
                episodes=section.episodes,
                seed=stream(seed, opponent.label),
                rules=rules,
                on_episode=lambda episode: progress.advance(),
            )
            yield opponent.label, episodes, "ours" if ours else "baseline"
