"""One look at one player: matches, moves on positions, and the certificate."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tesuji.core.progress import SILENT, Progress
from tesuji.core.seeds import stream
from tesuji.core.types import Episode, Task
from tesuji.episodes.reply_rules import TurnRules
from tesuji.evaluation.matches.against import (
    ALONE,
    EVALUATED,
    label_of,
    play_shared,
    score_matches,
    tasks_against,
)
from tesuji.evaluation.matches.certificate import certify
from tesuji.evaluation.matches.exploitability import exploitability
from tesuji.evaluation.matches.position_moves import PositionQuestion, score_moves
from tesuji.evaluation.matches.roles import score_roles
from tesuji.evaluation.questions import asks_questions, score_tasks, sides, tasks_of
from tesuji.evaluation.results import Evaluation
from tesuji.evaluation.shares import Share, all_here
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.games.poker.game import MBB
from tesuji.games.prompts import PromptsGame
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
    """The game that is played where the model is judged: the recipe's `game`, with the options that
    differ, or the table named in its place. One that learned from prompts is asked there as rows of
    logs ask. Raises GameError.
    """
    if section.game is not None:
        table = load_game(section.game.name, section.game.options)
        return table.as_logged if isinstance(game, PromptsGame) else table
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
    share: Share = all_here,
    leads: bool = True,
) -> Evaluation:
    """Play every opponent, answer every question, walk the tree if asked; `record` each episode, in
    the order of the matches.

    `share` says who plays and asks what. Of several processes that share it out, only the one that
    `leads` walks the tree and has the whole result.

    `game` is the one to judge it at (`judged_game`); of `prompts`, which pay nothing, none is
    played. A random player is put through the same matches, so that every figure has its baseline,
    and so are the players of `section.beside`. A game of one seat is played once, by the subject,
    by a random player, and by each of the others named.
    """
    started = time.monotonic()
    look = _Look(subject, section, game, prompt, seed, record, progress, share)
    results = look.ask_all() if asks_questions(game) else look.play_all()
    player, label = subject.player, subject.label
    progress.begin(f"{label}: positions", len(questions))
    positions = score_moves(
        game, player, questions, answer=prompt.answer, progress=progress, share=share
    )
    progress.begin(f"{label}: certificate")
    proven = section.certificate and leads
    certificates = certify(game, player, answer=prompt.answer) if proven else ()
    progress.begin(f"{label}: exploitability")
    exploitable = exploitability(game, player) if section.exploitability and leads else None
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
        options=section.options if section.game is None else game.options,
        **results,
    )


BY_ROLE = {  # fields of Evaluation
    "matches": "roles",
    "baseline": "baseline_roles",
    "beside": "beside_roles",
}


@dataclass(frozen=True)
class _LineUp:
    """Who plays against whom (in a game of one seat: itself), and `whose` result it is: the field
    of Evaluation that it belongs in. `stand_in` is who else sits in the subject's place."""

    label: str
    player: Player
    opponent: Player
    whose: Literal["matches", "baseline", "beside"]
    words: str
    stand_in: str = ""


@dataclass(frozen=True)
class _Look:
    """One look under way."""

    subject: Subject
    section: EvaluationSection
    game: Game
    prompt: PromptSection
    seed: int
    record: Callable[[Episode], None]
    progress: Progress
    share: Share

    @property
    def rules(self) -> TurnRules:
        """The arena's rules."""
        return turn_rules(self.prompt, self.section.max_moves)

    def play_all(self) -> dict[str, Any]:
        """The fields of Evaluation that matches give; those of the subject are recorded."""
        fields: dict[str, tuple[Any, ...]] = defaultdict(tuple, matches=(), baseline=())
        in_big_blinds = MBB in self.game.info.metrics
        for one in self.line_ups():
            episodes, who = self.play(one), one.stand_in
            scores = score_matches(one.label, episodes, in_big_blinds=in_big_blinds)
            fields[one.whose] += tuple(replace(score, stand_in=who) for score in scores)
            by_role = score_roles(one.label, episodes)
            fields[BY_ROLE[one.whose]] += tuple(replace(score, stand_in=who) for score in by_role)
            for episode in episodes if one.whose == "matches" else ():
                self.record(episode)
        return fields

    def play(self, one: _LineUp) -> list[Episode]:
        """The matches of one line-up: in the same place, the same matches."""
        seed = stream(self.seed, ALONE if self.game.num_players == 1 else one.label)
        tasks = tasks_against(self.game, one.opponent, self.section.episodes, seed)
        players = {EVALUATED: one.player, label_of(one.opponent): one.opponent}
        return self.played(self.game, tasks, players, one.words)

    def played(
        self, game: Game, tasks: Sequence[Task], players: Mapping[str, Player], words: str
    ) -> list[Episode]:
        """The tasks' episodes, in their order, whoever has played them."""
        return play_shared(
            tasks,
            game,
            players,
            self.rules,
            self.share,
            begin=lambda count: self.progress.begin(words, count),
            on_episode=lambda _: self.progress.advance(),
        )

    def line_ups(self) -> Iterator[_LineUp]:
        """All that is played; nothing where a reply pays nothing."""
        if isinstance(self.game, PromptsGame):
            return iter(())
        return self.alone() if self.game.num_players == 1 else self.against()

    def alone(self) -> Iterator[_LineUp]:
        """In a game of one seat: the subject, the players named, and random play where the game
        has moves to choose from."""
        game, opponents = self.game, [*self.section.opponents, *self.section.beside]
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
            for other in self.section.beside:
                instead = make_player(other, game=self.game)
                words = f"{other.label} in its place against {one.label}"
                yield _LineUp(one.label, instead, opponent, "beside", words, other.label)

    def ask_all(self) -> dict[str, Any]:
        """The fields of Evaluation where questions are asked: of each side at most
        `section.episodes`."""
        answered = []
        players = {EVALUATED: self.subject.player}
        for split, side in sides(self.game):
            words = f"{self.subject.label}: questions, {split}"
            tasks = tasks_of(side, self.section.episodes, self.seed)
            episodes = self.played(side, tasks, players, words)
            for episode in episodes:
                self.record(episode)
            answered.append((split, episodes))
        return {"matches": (), "baseline": (), "tasks": score_tasks(self.game, answered)}
