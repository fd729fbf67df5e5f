"""What an evaluation found: plain numbers, ready for a table, a page or a JSON file.

All counts are from the evaluated model's viewpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tesuji.core.files import read_json, write_json
from tesuji.core.json_dataclass import Codec
from tesuji.core.statistics import Interval
from tesuji.evaluation.held_out.results import RowsScore

EVALUATION_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Winnings:
    """What a poker player wins a hand, in thousandths of a big blind (mbb/hand).

    Each of the `deals` was played from every seat with the same cards. Its hands hang together, and
    luck with the cards cancels out in them: `interval` is over deals, `plain` takes every hand for
    independent, for comparison.
    """

    mbb: float
    interval: Interval
    plain: Interval
    deals: int


@dataclass(frozen=True, slots=True)
class MatchScore:
    """Results against one opponent from one seat (`seat=None`: all seats together).

    wins + draws + losses + errors + unjudged = games, the last being matches of which nothing says
    whether they were won. `forfeits` are matches that our own illegal replies ended, none of them
    won,
    `gifts` are wins by the opponent's. `illegal` counts our replies without a legal move, first
    tries and retries, out of `replies`. `truncated` matches are scored as they stood. `winnings`
    are given for games whose returns are in big blinds. `turns` are our own turns in a match on
    average, `turns_won` in those that were won (None: none was). `stand_in` says who played in the
    model's place ("": the model, or a random player).
    """

    opponent: str
    seat: int | None
    games: int
    wins: int
    draws: int
    losses: int
    errors: int
    forfeits: int
    gifts: int
    truncated: int
    replies: int
    illegal: int
    mean_return: float
    return_interval: Interval
    win_interval: Interval
    loss_interval: Interval
    winnings: Winnings | None = None
    turns: float = 0.0
    turns_won: float | None = None
    unjudged: int = 0
    stand_in: str = ""


@dataclass(frozen=True, slots=True)
class RoleScore:
    """Results in one role, or of one side (`Village`, `Mafia`), of a game that deals its roles.

    `who` is the role, the side, or "all"; `kind` says which ("role", "side", "all"). A game is
    `clean` when no reply of anybody was refused. `own_faults` are games in which one of ours was,
    `lost_by_fault` those that our refused reply ended, `given` those that another seat's did.
    `for_mafia` of our `votes` that counted named a Mafioso; `survived` counts games we were in at
    the end. `illegal` of our `replies` were refused. Broken-off games (`errors`) stand in no other
    figure. `stand_in` says who played in the model's place ("": the model, or a random player).
    """

    opponent: str
    kind: str
    who: str
    games: int
    wins: int
    errors: int
    clean: int
    clean_wins: int
    own_faults: int
    lost_by_fault: int
    given: int
    votes: int
    for_mafia: int
    survived: int
    win_interval: Interval
    clean_interval: Interval
    vote_interval: Interval
    survival_interval: Interval
    replies: int = 0
    illegal: int = 0
    stand_in: str = ""


@dataclass(frozen=True, slots=True)
class PositionScore:
    """Greedy moves on a fixed set of positions, judged by an oracle.

    `optimal` moves keep the position's value; `best` ones also win soonest or lose latest.
    `split` is "trained", "held_out" or "all". `thoughts` counts replies with a thought before the
    move, `thought_words` long on average; `true_thoughts` those that are true of the move, None
    where that cannot be told.
    """

    split: str
    positions: int
    legal: int
    optimal: int
    best: int
    optimal_interval: Interval
    thoughts: int = 0
    true_thoughts: int | None = None
    thought_words: float = 0.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """The greedy policy's whole game tree against every reply, from one seat.

    A line is one way through the tree from the first move to the end. `losing_line` is the
    shortest lost one, in the game's notation; an illegal reply ends its line as lost.
    """

    seat: int
    role: str
    lines: int
    wins: int
    draws: int
    losses: int
    illegal: int
    positions: int
    losing_line: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether no opponent can win against this policy from this seat."""
        return self.losses == 0


@dataclass(frozen=True, slots=True)
class Exploitability:
    """How far a policy is from an equilibrium, exactly.

    `nash_conv` is what all seats together could gain, each by its own best response to the others;
    `exploitability` half of it in a zero-sum game of two seats, None in any other, where no such
    figure is defined. `values[s]` is what the policy earns in seat s against itself; `uniform` is
    uniformly random play's figure, of the same measure as `value`. `illegal_mass` is the mean share
    of replies, over information states, that were no legal move's own reply and are left out.
    """

    exploitability: float | None
    nash_conv: float
    values: tuple[float, ...]
    uniform: float
    information_states: int
    illegal_mass: float

    @property
    def name(self) -> str:
        """What is measured, as OpenSpiel calls it and the metric log does."""
        return "nash_conv" if self.exploitability is None else "exploitability"

    @property
    def value(self) -> float:
        """The measure of that name."""
        return self.nash_conv if self.exploitability is None else self.exploitability


@dataclass(frozen=True, slots=True)
class TaskScore:
    """Questions of one category (`""`: all of them) on one side of the split.

    `right` counts replies that earned all there is, `unanswered` those that were no reply at all.
    Questions broken off by an error are in `errors` and in nothing else.
    """

    split: str
    category: str
    tasks: int
    right: int
    right_interval: Interval
    mean_return: float
    return_interval: Interval
    unanswered: int
    errors: int


@dataclass(frozen=True, slots=True)
class Composite:
    """A leaderboard's summary of several categories: a weighted mean of their shares."""

    split: str
    name: str
    share: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class TasksScore:
    """A game of questions: the rows of each side, all together first, and summary lines."""

    rows: tuple[TaskScore, ...]
    composites: tuple[Composite, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything one look at one model found.

    `label` says which model ("before", "after sft"); `matches` holds the rows per opponent and
    seat (a game of one seat: one row, `alone`); `baseline` the same opponents against a random
    player in the model's place; `beside` other players in its place (in games of one seat they are
    named as the opponent); `roles`, `baseline_roles` and `beside_roles` the same by role and side,
    where a game deals roles; `rows` what held-out
    rows of other people's games say; `tasks` is for games of questions, which have no opponents.
    `options` are the game's where they differ from the recipe's.
    """

    label: str
    model: str
    game: str
    matches: tuple[MatchScore, ...]
    baseline: tuple[MatchScore, ...]
    positions: tuple[PositionScore, ...]
    certificates: tuple[Certificate, ...]
    temperature: float
    seconds: float
    seed: int
    exploitability: Exploitability | None = None
    rows: RowsScore | None = None
    beside: tuple[MatchScore, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    tasks: TasksScore | None = None
    roles: tuple[RoleScore, ...] = ()
    baseline_roles: tuple[RoleScore, ...] = ()
    beside_roles: tuple[RoleScore, ...] = ()
    format: int = EVALUATION_FORMAT


_codec = Codec(Evaluation, "an evaluation", EVALUATION_FORMAT)


def save_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Write the evaluation, atomically. Raises DataError when it cannot be written."""
    write_json(path, _codec.dump(evaluation))


def load_evaluation(path: Path) -> Evaluation:
    """Read one evaluation; DataError names the file and the field that is wrong."""
    return _codec.load(read_json(path), where=str(path))
