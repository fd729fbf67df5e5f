"""One look at one player: matches, moves on positions, and the certificate."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tesuji.core.progress import SILENT, Progress
from tesuji.core.seeds import stream
from tesuji.core.types import Episode
from tesuji.episodes.reply_rules import TurnRules
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
    look = _Look(subject, section, judged_game(game, section), prompt, seed, record, progress)
    asking = asks_questions(look.game)
    tasks = look.ask_all() if asking else None
    played = _Scores() if asking else look.play_all()
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


@dataclass(frozen=True)
class _Scores:
    """What matches brought, by whose they are."""

    matches: dict[Whose, list[MatchScore]] = field(default_factory=lambda: defaultdict(list))
    roles: dict[Whose, list[RoleScore]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class _LineUp:
    """Who plays against whom (in a game of one seat: itself), and whose result it is. Those whose
    `deal` is the same play the same matches."""

    label: str
    player: Player
    opponent: Player
    whose: Whose
    deal: str
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

    def play_all(self) -> _Scores:
        """Every match there is to play, scored; those of the subject are recorded."""
        scores = _Scores()
        in_big_blinds = MBB in self.game.info.metrics
        for one in self.alone() if self.game.num_players == 1 else self.against():
            episodes = self.play(one)
            scores.matches[one.whose] += score_matches(
                one.label, episodes, in_big_blinds=in_big_blinds
            )
            scores.roles[one.whose] += score_roles(one.label, episodes)
            for episode in episodes if one.whose == "ours" else ():
                self.record(episode)
        return scores

    def play(self, one: _LineUp) -> list[Episode]:
        """The matches of one line-up."""
        self.progress.begin(one.words, self.section.episodes)
        return play_opponent(
            self.game,
            one.player,
            one.opponent,
            episodes=self.section.episodes,
            seed=stream(self.seed, one.deal),
            rules=self.rules,
            on_episode=lambda episode: self.progress.advance(),
        )

    def alone(self) -> Iterator[_LineUp]:
        """In a game of one seat: the subject, the players named, and random play where the game
        has moves to choose from."""
        game, opponents = self.game, self.section.opponents
        if not opponents:
            return
        yield self.by_itself(ALONE, self.subject.player, "ours", self.subject.label)
        for one in opponents:
            if one.player != "random":
                player = make_player(one, game=game)
                yield self.by_itself(one.label, player, "beside", player.name)
        if can_play("random", game.info):
            player = RandomPlayer()
            yield self.by_itself(ALONE, player, "baseline", player.name)

    def by_itself(self, label: str, player: Player, whose: Whose, who: str) -> _LineUp:
        """A line-up of a game of one seat."""
        return _LineUp(label, player, player, whose, ALONE, f"{who}: {self.game.name}")

    def against(self) -> Iterator[_LineUp]:
        """The subject against every opponent, and a random player in its place."""
        for one in self.section.opponents:
            stand_in = RandomPlayer()
            opponent = make_player(one, game=self.game)
            words = f"{self.subject.label} against {one.label}"
            yield _LineUp(one.label, self.subject.player, opponent, "ours", one.label, words)
            words = f"random in its place against {one.label}"
            yield _LineUp(one.label, stand_in, opponent, "baseline", one.label, words)

    def ask_all(self) -> TasksScore:
        """Ask the questions of each side, at most `section.episodes` of it."""

        def on_episode(episode: Episode) -> None:
            self.record(episode)
            self.progress.advance()

        answered = []
        for split, side in sides(self.game):
            words = f"{self.subject.label}: questions, {split}"
            self.progress.begin(words, self.section.episodes)
            episodes = ask(
                side,
                self.subject.player,
                episodes=self.section.episodes,
                seed=self.seed,
                rules=self.rules,
                on_episode=on_episode,
            )
            answered.append((split, episodes))
        return score_tasks(self.game, answered)
