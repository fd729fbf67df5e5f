"""One look at one player: matches, moves on positions, and the certificate."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tesuji.core.progress import SILENT, Progress
from tesuji.core.seeds import stream
from tesuji.core.types import Episode
from tesuji.episodes.reply_rules import TurnRules
from tesuji.evaluation.matches.against import ALONE, play_opponent, score_matches
from tesuji.evaluation.matches.certificate import certify
from tesuji.evaluation.matches.exploitability import exploitability
from tesuji.evaluation.matches.position_moves import PositionQuestion, score_moves
from tesuji.evaluation.matches.roles import score_roles
from tesuji.evaluation.questions import ask, asks_questions, score_tasks, sides
from tesuji.evaluation.results import Evaluation
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.games.poker.game import MBB
from tesuji.players.base import Player
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.registry import can_play, make_player
from tesuji.recipe.schema.recipe import EvaluationSection
from tesuji.recipe.schema.sections import PromptSection


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
    questions: Sequence[PositionQuestion],
    seed: int,
    record: Callable[[Episode], None] = lambda episode: None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Play every opponent, answer every question, walk the tree if asked; `record` each episode.

    A random player is put through the same matches, so that every figure has its baseline. A game
    of one seat is played once, by the subject, by a random player, and by each of the opponents.
    """
    started = time.monotonic()
    look = _Look(subject, section, judged_game(game, section), prompt, seed, record, progress)
    results = look.ask_all() if asks_questions(look.game) else look.play_all()
    player, label = subject.player, subject.label
    progress.begin(f"{label}: positions", len(questions))
    positions = score_moves(game, player, questions, answer=prompt.answer, progress=progress)
    progress.begin(f"{label}: certificate")
    certificates = certify(game, player, answer=prompt.answer) if section.certificate else ()
    progress.begin(f"{label}: exploitability")
    exploitable = exploitability(game, player) if section.exploitability else None
    return Evaluation(
        label=label,
        model=subject.model,
        game=game.name,
        positions=positions,
        certificates=certificates,
        temperature=section.temperature,
        seconds=round(time.monotonic() - started, 2),
        seed=seed,
        exploitability=exploitable,
        options=section.options,
        **results,
    )


BY_ROLE = {"matches": "roles", "baseline": "baseline_roles"}  # fields of Evaluation


@dataclass(frozen=True)
class _LineUp:
    """Who plays against whom (in a game of one seat: itself), and `whose` result it is: the field
    of Evaluation that it belongs in."""

    label: str
    player: Player
    opponent: Player
    whose: Literal["matches", "baseline", "beside"]
    words: str


@dataclass(frozen=True)
class _Look:
    """One look under way, at the game as it is judged."""

    subject: Subject
    section: EvaluationSection
    game: Game
    prompt: PromptSection
    seed: int
    record: Callable[[Episode], None]
    progress: Progress

    @property
    def rules(self) -> TurnRules:
        """The arena's rules."""
        return turn_rules(self.prompt, self.section.max_moves)

    def play_all(self) -> dict[str, Any]:
        """The fields of Evaluation that matches give; those of the subject are recorded."""
        fields: dict[str, tuple[Any, ...]] = defaultdict(tuple, matches=(), baseline=())
        in_big_blinds = MBB in self.game.info.metrics
        for one in self.alone() if self.game.num_players == 1 else self.against():
            episodes = self.play(one)
            fields[one.whose] += (*score_matches(one.label, episodes, in_big_blinds=in_big_blinds),)
            if one.whose in BY_ROLE:
                fields[BY_ROLE[one.whose]] += (*score_roles(one.label, episodes),)
            for episode in episodes if one.whose == "matches" else ():
                self.record(episode)
        return fields

    def play(self, one: _LineUp) -> list[Episode]:
        """The matches of one line-up: in the same place, the same matches."""
        self.progress.begin(one.words, self.section.episodes)
        return play_opponent(
            self.game,
            one.player,
            one.opponent,
            episodes=self.section.episodes,
            seed=stream(self.seed, ALONE if self.game.num_players == 1 else one.label),
            rules=self.rules,
            on_episode=lambda episode: self.progress.advance(),
        )

    def alone(self) -> Iterator[_LineUp]:
        """In a game of one seat: the subject, the players named, and random play where the game
        has moves to choose from."""
        game, opponents = self.game, self.section.opponents
        if not opponents:
            return
        words = f": {game.name}"
        player = self.subject.player
        yield _LineUp(ALONE, player, player, "matches", self.subject.label + words)
        for one in opponents:
            if one.player != "random":
                player = make_player(one, game=game)
                yield _LineUp(one.label, player, player, "beside", player.name + words)
        if can_play("random", game.info):
            player = RandomPlayer()
            yield _LineUp(ALONE, player, player, "baseline", player.name + words)

    def against(self) -> Iterator[_LineUp]:
        """The subject against every opponent, and a random player in its place."""
        for one in self.section.opponents:
            opponent, words = make_player(one, game=self.game), f" against {one.label}"
            player, label = self.subject.player, self.subject.label
            yield _LineUp(one.label, player, opponent, "matches", label + words)
            in_its_place = f"random in its place{words}"
            yield _LineUp(one.label, RandomPlayer(), opponent, "baseline", in_its_place)

    def ask_all(self) -> dict[str, Any]:
        """The fields of Evaluation where questions are asked: of each side at most
        `section.episodes`."""

        def on_episode(episode: Episode) -> None:
            self.record(episode)
            self.progress.advance()

        answered = []
        for split, side in sides(self.game):
            self.progress.begin(f"{self.subject.label}: questions, {split}", self.section.episodes)
            episodes = ask(
                side,
                self.subject.player,
                episodes=self.section.episodes,
                seed=self.seed,
                rules=self.rules,
                on_episode=on_episode,
            )
            answered.append((split, episodes))
        return {"matches": (), "baseline": (), "tasks": score_tasks(self.game, answered)}
