"""One look at one player: matches, moves on positions, and the certificate."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tesuji.core.streams import stream
from tesuji.core.types import Episode
from tesuji.episodes.arena import TurnRules
from tesuji.evaluation.certificate import certify
from tesuji.evaluation.exploitability import exploitability
from tesuji.evaluation.matches import ALONE, play_opponent, score_matches
from tesuji.evaluation.moves import Question, score_moves
from tesuji.evaluation.results import Evaluation, MatchScore, RoleScore, TasksScore
from tesuji.evaluation.roles import score_roles
from tesuji.evaluation.tasks import ask, asks_questions, score_tasks, sides
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.games.poker.game import MBB
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
    watch: Watch | None = None,
) -> Evaluation:
    """Play every opponent, answer every question, walk the tree if asked; `record` each episode.

    A random player is put through the same matches, so that every figure has its baseline. A game
    of one seat is played once, by the subject, by a random player, and by each of the opponents.
    """
    watch = watch or Watch()
    started = time.monotonic()
    judged = judged_game(game, section)
    asking = asks_questions(game)
    tasks = _ask_all(subject, section, game, prompt, seed, record, watch) if asking else None
    if asking:
        section = section.model_copy(update={"opponents": []})
    play = _alone if judged.num_players == 1 else _all_matches
    in_big_blinds = MBB in game.info.metrics
    found: dict[str, list[MatchScore]] = {"ours": [], "baseline": [], "beside": []}
    roles: dict[str, list[RoleScore]] = {"ours": [], "baseline": [], "beside": []}
    for label, episodes, kind in play(subject, section, judged, prompt, seed, watch):
        found[kind].extend(score_matches(label, episodes, in_big_blinds=in_big_blinds))
        roles[kind].extend(score_roles(label, episodes))
        for episode in episodes if kind == "ours" else ():
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
        matches=tuple(found["ours"]),
        baseline=tuple(found["baseline"]),
        positions=positions,
        certificates=certificates,
        temperature=section.temperature,
        seconds=round(time.monotonic() - started, 2),
        seed=seed,
        exploitability=exploitable,
        beside=tuple(found["beside"]),
        options=section.options,
        tasks=tasks,
        roles=tuple(roles["ours"]),
        baseline_roles=tuple(roles["baseline"]),
    )


def _ask_all(
    subject: Subject,
    section: EvaluationSection,
    game: Game,
    prompt: PromptSection,
    seed: int,
    record: Callable[[Episode], None],
    watch: Watch,
) -> TasksScore:
    """Ask the questions of each side, at most `section.episodes` of it."""

    def on_episode(episode: Episode) -> None:
        record(episode)
        watch.advance(1)

    rules = turn_rules(prompt, section.max_moves)
    asked = []
    for split, side in sides(game):
        watch.doing(f"{subject.label}: questions, {split}", section.episodes)
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


Played = tuple[str, list[Episode], Literal["ours", "baseline", "beside"]]


def _alone(
    subject: Subject,
    section: EvaluationSection,
    game: Game,
    prompt: PromptSection,
    seed: int,
    watch: Watch,
) -> Iterator[Played]:
    """(label, episodes, whose they are) of a game of one seat: the subject, random play where the
    game has moves to choose from, and the players named."""
    rules = turn_rules(prompt, section.max_moves)
    beside = [one for one in section.opponents if one.player != "random"]
    players: list[tuple[str, Player, Literal["ours", "baseline", "beside"]]] = [
        (ALONE, subject.player, "ours"),
        *((one.label, make_player(one, game=game), "beside") for one in beside),
    ]
    if "random" in game.info.players and section.opponents:
        players.append((ALONE, make_player(PlayerSection(player="random"), game=game), "baseline"))
    for label, player, kind in players if section.opponents else ():
        who = subject.label if kind == "ours" else player.name
        watch.doing(f"{who}: {game.name}", section.episodes)
        episodes = play_opponent(
            game,
            player,
            player,
            episodes=section.episodes,
            seed=stream(seed, ALONE),
            rules=rules,
            on_episode=lambda episode: watch.advance(1),
        )
        yield label, episodes, kind


def _all_matches(
    subject: Subject,
    section: EvaluationSection,
    game: Game,
    prompt: PromptSection,
    seed: int,
    watch: Watch,
) -> Iterator[Played]:
    """(opponent, episodes, whose they are) for every opponent, twice."""
    rules = turn_rules(prompt, section.max_moves)
    for opponent in section.opponents:
        stand_in = make_player(PlayerSection(player="random"), game=game)
        rival = make_player(opponent, game=game)
        for player, ours in ((subject.player, True), (stand_in, False)):
            who = subject.label if ours else "random in its place"
            watch.doing(f"{who} against {opponent.label}", section.episodes)
            episodes = play_opponent(
                game,
                player,
                rival,
                episodes=section.episodes,
                seed=stream(seed, opponent.label),
                rules=rules,
                on_episode=lambda episode: watch.advance(1),
            )
            yield opponent.label, episodes, "ours" if ours else "baseline"
