"""The reward terms that come with Tesuji. Each judges one turn, before weighting.

`returns` and `legal` fit every game; `oracle` needs a game that can be solved or searched;
`tictactoe_table` is a famous shaping table that is not always right, one term among others.
"""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tesuji.core.errors import EngineError, GameError, RecipeError
from tesuji.core.types import Episode, Message, Move, Turn
from tesuji.episodes.tool_terms import tool_format
from tesuji.games.base import Game, Match
from tesuji.players.base import MoveRequest, Player
from tesuji.players.prompting.parse_reply import split_thought
from tesuji.players.registry import make_player, player_names
from tesuji.players.search.minimax import MinimaxPlayer
from tesuji.players.search.wordle_entropy import EntropyPlayer
from tesuji.recipe.schema.sections import PlayerSection

RETRIED = -0.5
REMEMBERED = 50_000  # situations an oracle keeps its answer for


@dataclass(frozen=True, slots=True)
class Judged:
    """A turn to be judged: number `place` of its episode."""

    episode: Episode
    game: Game
    place: int

    @property
    def turn(self) -> Turn:
        """The turn itself."""
        return self.episode.turns[self.place]

    def match(self) -> Match:
        """The match as it stood before the turn, played again from the episode."""
        match = self.game.start(self.episode.seed)
        for turn in self.episode.turns[: self.place]:
            if turn.played is not None:
                match.play(turn.seat, turn.played)
        return match


class Term(Protocol):
    """One number for a turn, from the viewpoint of the seat that took it."""

    def __call__(self, at: Judged) -> float:
        """Judge the turn."""
        ...


def returns() -> Term:
    """What the game paid, credited to the turn that earned it."""
    return lambda at: at.turn.reward


def legal() -> Term:
    """0 for a legal reply, -0.5 where a second one was needed, -1 where that was none either."""

    def term(at: Judged) -> float:
        if not at.turn.legal:
            return -1.0
        return RETRIED if at.turn.retried else 0.0

    return term


def format_(per: str = "turn") -> Term:
    """1 where the reply is the answer asked for and nothing else (no soft match, no words around
    it; a thought in front is fine), else 0. `per: match` divides by the turns of the seat, so that
    a long match is not worth more than a short one. Raises RecipeError for another `per`."""
    if per not in ("turn", "match"):
        raise RecipeError(
            f"per must be turn or match, not {per!r}", where="rewards.format", hint="per: match"
        )

    def term(at: Judged) -> float:
        last = at.turn.attempts[-1] if at.turn.attempts else None
        if last is None or last.move is None:
            return 0.0
        said = split_thought(last.reply)[1].strip()
        turns = sum(turn.seat == at.turn.seat for turn in at.episode.turns)
        share = 1.0 if per == "turn" else 1.0 / turns
        return share * (said in (last.move.text, str(last.move.id)))

    return term


def length(per: float = 100.0) -> Term:
    """Minus the tokens replied (all attempts), in units of `per`. Raises RecipeError for a `per`
    that is not above 0."""
    fits = isinstance(per, int | float) and not isinstance(per, bool) and 0 < per < math.inf
    if not fits:
        raise RecipeError(
            f"per must be a number of tokens above 0, not {per!r}",
            where="rewards.length",
            hint="per: 100",
        )

    def term(at: Judged) -> float:
        said = (attempt.tokens for attempt in at.turn.attempts)
        return -sum(len(tokens.reply_ids) for tokens in said if tokens is not None) / per

    return term


class Oracle:
    """Minus the value lost against the best move: 0 for a best one. No legal move loses 1 more than
    the worst one.

    `player` is minimax or entropy, which know every move's value, or any player that names one
    best move (then another move costs 1). Answers are remembered, the oldest forgotten first.
    Raises GameError where the player cannot judge the game.
    """

    def __init__(self, player: str = "minimax", **options: Any) -> None:
        self.section = PlayerSection.model_validate({"player": player, **options})
        self._players: dict[str, Player] = {}
        self._known: dict[tuple[Any, ...], dict[int, float]] = {}

    def __call__(self, at: Judged) -> float:
        """The turn's loss, at most 0."""
        game = f"{at.game.name} {sorted(at.game.options.items())}"
        key = (game, at.turn.seat, *_line(at))
        losses = self._known.get(key)
        if losses is None:
            losses = self._known[key] = self._losses(game, at)
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
        return losses[at.turn.move.id] if at.turn.move is not None else min(losses.values()) - 1.0

    def _losses(self, game: str, at: Judged) -> dict[int, float]:
        if game not in self._players:
            self._players[game] = make_player(self.section, game=at.game)
        player, match, seat = self._players[game], at.match(), at.turn.seat
        legal_moves = match.legal_moves(seat)
        if not legal_moves:
            raise _cannot_judge(player, at, "any text is a move there")
        if isinstance(player, MinimaxPlayer):
            values = {move.id: found.value for move, found in player.solve(match).items()}
            best = max(values.values())
            return {move: value - best for move, value in values.items()}
        request = MoveRequest(at.game, match, seat, at.turn.observation, legal_moves, seed=0)
        if isinstance(player, EntropyPlayer):
            worth = player.values(request)
            most = max(worth.values())
            return {move: value - most for move, value in worth.items()}
        reply = player.choose([request])[0]
        if reply.move is None:
            raise _cannot_judge(player, at, f"it {reply.error or 'answers in words'}")
        return {move.id: 0.0 if move == reply.move else -1.0 for move in legal_moves}


def _line(at: Judged) -> tuple[Any, ...]:
    """What tells this situation from every other: the moves so far (a board alone may hide whose
    stone was just taken, or the die), the seed where there is chance; with hidden information what
    the seat has seen and done, and nothing else."""
    before, seat = at.episode.turns[: at.place], at.turn.seat
    info = at.game.info
    if info.information != "perfect":
        own = (turn for turn in before if turn.seat == seat)
        return (at.turn.observation, *((turn.observation, turn.played) for turn in own))
    moves = ((turn.seat, turn.played.id) for turn in before if turn.played is not None)
    return (at.episode.seed if info.chance else 0, *moves)


def _cannot_judge(player: Player, at: Judged, why: str) -> GameError:
    return GameError(
        f"{player.name} cannot judge moves of {at.game.name}: {why}",
        where="rewards.oracle",
        hint="use minimax, mcts, ismcts or cfr, or another term",
    )


def oracle(player: str = "minimax", simulations: int | None = None) -> Term:
    """`Oracle`, with the options of a recipe. Raises RecipeError for an unknown player."""
    if player not in (known := player_names()):
        near = difflib.get_close_matches(str(player), known, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise RecipeError(
            f"there is no player {player!r}",
            where="rewards.oracle.player",
            hint=f"{guess}known: {', '.join(known)}",
        )
    return Oracle(player, **({} if simulations is None else {"simulations": simulations}))


_LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
_PLACES = {4: 0.6, **dict.fromkeys((0, 2, 6, 8), 0.4), **dict.fromkeys((1, 3, 5, 7), 0.2)}


def table_value(board: str, mark: str, cell: int) -> float:
    """The table's value of `mark` ("x" or "o") playing `cell` on a board of nine letters
    (`.` empty): win 1.0, block 0.8, centre 0.6, corner 0.4, edge 0.2.

    It knows no forks: all of its best moves lose value in 104 of the 2,423 positions with x to
    move, and at least one of them does in 148.
    """
    other = "o" if mark == "x" else "x"
    if _completes(board, mark, cell):
        return 1.0
    return 0.8 if _completes(board, other, cell) else _PLACES[cell]


def _completes(board: str, mark: str, cell: int) -> bool:
    """Whether `mark` in `cell` would make three in a row."""
    filled = board[:cell] + mark + board[cell + 1 :]
    return any(all(filled[i] == mark for i in line) for line in _LINES if cell in line)


def tictactoe_table() -> Term:
    """`table_value` of the move; -1 for a turn without a legal one."""

    def term(at: Judged) -> float:
        if at.game.name != "tic_tac_toe":
            raise RecipeError(
                f"tictactoe_table knows tic_tac_toe, not {at.game.name}",
                where="rewards.tictactoe_table",
                hint="use `oracle` or `returns` for other games",
            )
        move: Move | None = at.turn.move
        if move is None:
            return -1.0
        board = "".join(at.turn.observation.split())
        return table_value(board, at.turn.role, move.id)

    return term


class RewardModel(Protocol):
    """A learned reward model: one score a reply, higher being better."""

    def score(self, items: Sequence[tuple[Sequence[Message], str]]) -> list[float]:
        """Scores of (the messages shown, the reply), in order."""
        ...


class LearnedReward:
    """What a reward model says of each reply, the retry where there was one. All replies of a
    rollout are scored together."""

    def __init__(self, scorer: RewardModel | None) -> None:
        self.scorer = scorer
        self._known: dict[tuple[int, int], float] = {}

    def prepare(self, turns: Sequence[Judged]) -> None:
        """Score these turns now, and forget those before."""
        said = [at for at in turns if at.turn.attempts]
        scores = self._scores(said)
        self._known = {
            (id(at.episode), at.place): score for at, score in zip(said, scores, strict=True)
        }

    def __call__(self, at: Judged) -> float:
        """The turn's score."""
        known = self._known.get((id(at.episode), at.place))
        return self._scores([at])[0] if known is None else known

    def _scores(self, turns: Sequence[Judged]) -> list[float]:
        if self.scorer is None:
            raise EngineError(
                "no reward model has been loaded",
                where="rewards.reward_model",
                hint="put a `reward:` stage before this one, or name a folder: {path: ...}",
            )
        last = [at.turn.attempts[-1] for at in turns]
        return self.scorer.score([(attempt.prompt, attempt.reply) for attempt in last])


def reward_model(
    stage: str = "", path: str = "", scorer: RewardModel | None = None
) -> LearnedReward:
    """The model that the reward stage before trained (`stage`: which one, where there are several),
    or one in a folder (`path`). Whoever makes the term loads it: `scorer`."""
    return LearnedReward(scorer)


BUILT_IN: Mapping[str, Callable[..., Term]] = {
    "returns": returns,
    "legal": legal,
    "format": format_,
    "oracle": oracle,
    "tictactoe_table": tictactoe_table,
    "length": length,
    "reward_model": reward_model,
    "tool_format": tool_format,
}
