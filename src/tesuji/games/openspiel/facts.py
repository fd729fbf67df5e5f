"""Facts about OpenSpiel games: `GameInfo` from their types, and which searches and measures work.

What can be searched is read from the game's type; which trees are small enough to be solved is
listed for the default options and counted for others.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

import pyspiel

from tesuji.games.base import GameInfo
from tesuji.games.openspiel.options import TABLES, Options, inner_game, registered

_Kind = pyspiel.GameType
FAMILY = "openspiel"

# Perfect-information games whose whole tree a laptop walks in seconds, with default options.
ENUMERABLE = frozenset({"dots_and_boxes", "misere", "nim", "start_at", "tic_tac_toe", "zerosum"})

# Hidden-information games with at most some thousand information states, with default options.
SOLVABLE = frozenset(TABLES["solvable"])

# Too many information states to solve while one waits, but a best response takes seconds.
MEASURABLE = SOLVABLE | {"liars_dice"}

# Games that can deal hidden cards anew (ResampleFromInfostate), which IS-MCTS needs.
ISMCTS = frozenset(TABLES["ismcts"])

_POSITION_LIMIT = 10_000  # a second or two
_HISTORY_LIMIT = 100_000
_LONGEST_SMALL = 40  # deals included; a longer game is not small, and dear to look into


def describe(name: str, options: Options, spiel: Any) -> GameInfo:
    """Facts about a loaded pyspiel.Game; seats are those of these options."""
    kind, seats = spiel.get_type(), int(spiel.num_players())
    small = _is_small(name, options, spiel)
    return GameInfo(
        name=name,
        title=_title(name),
        family=FAMILY,
        seats=(seats, seats),
        information=_information(kind),
        chance=kind.chance_mode != _Kind.ChanceMode.DETERMINISTIC,
        simultaneous=kind.dynamics == _Kind.Dynamics.SIMULTANEOUS,
        zero_sum=kind.utility == _Kind.Utility.ZERO_SUM,
        min_utility=float(spiel.min_utility()),
        max_utility=float(spiel.max_utility()),
        max_moves=int(spiel.max_game_length()),
        traits=_traits(name, kind, seats, small),
        metrics=_metrics(name, options, kind, seats, small),
        won_by=TABLES["won_by"].get(inner_game(name, options), "pay"),
        cooperative=seats > 1 and _pays_alike(name, options, kind),
    )


def _pays_alike(name: str, options: Options, kind: Any) -> bool:
    identical = kind.utility == _Kind.Utility.IDENTICAL
    return bool(identical or inner_game(name, options) in TABLES["cooperative"])


def describe_unloaded(name: str, reason: str) -> GameInfo:
    """What the registry alone says of a game that cannot be loaded, and why it cannot."""
    kind = registered()[name]
    return GameInfo(
        name=name,
        title=_title(name),
        family=FAMILY,
        seats=(kind.min_num_players, kind.max_num_players),
        information=_information(kind),
        chance=kind.chance_mode != _Kind.ChanceMode.DETERMINISTIC,
        simultaneous=kind.dynamics == _Kind.Dynamics.SIMULTANEOUS,
        zero_sum=kind.utility == _Kind.Utility.ZERO_SUM,
        unavailable=reason,
    )


def _title(name: str) -> str:
    return str(registered()[name].long_name).rstrip(".")


def _information(kind: Any) -> str:
    """One-shot games count as imperfect: each seat chooses without knowing the others' choice."""
    perfect = kind.information == _Kind.Information.PERFECT_INFORMATION
    return "perfect" if perfect else "imperfect"


def _sequential(kind: Any) -> bool:
    return bool(kind.dynamics == _Kind.Dynamics.SEQUENTIAL)


def _traits(name: str, kind: Any, seats: int, small: bool) -> tuple[str, ...]:
    """What a search needs to know, by the names of `GameInfo.traits`."""
    sampled = kind.chance_mode == _Kind.ChanceMode.SAMPLED_STOCHASTIC
    if not _sequential(kind) or sampled:
        return ()
    if _information(kind) == "imperfect":
        has = {"solvable": small, "resampled": name in ISMCTS}
    else:  # MCTSBot counts only what is paid at the end
        ends = kind.reward_model == _Kind.RewardModel.TERMINAL
        two = ends and _two_sided(kind, seats)
        has = {"searchable": ends, "two_sided": two, "enumerable": two and small}
    return tuple(trait for trait, holds in has.items() if holds)


def _two_sided(kind: Any, seats: int) -> bool:
    """Two players, zero-sum, no chance: what minimax is about."""
    deterministic = kind.chance_mode == _Kind.ChanceMode.DETERMINISTIC
    return bool(deterministic and kind.utility == _Kind.Utility.ZERO_SUM and seats == 2)


def _metrics(name: str, options: Options, kind: Any, seats: int, small: bool) -> tuple[str, ...]:
    """Exact measures: `exploitability` where the sum is zero between two, else `nash_conv`."""
    if small and _information(kind) == "perfect":
        return ("certificate", "optimal_moves")
    if not small and not (name in MEASURABLE and not options):
        return ()
    zero_sum = kind.utility == _Kind.Utility.ZERO_SUM and seats == 2
    return ("exploitability",) if zero_sum else ("nash_conv",)


def _is_small(name: str, options: Options, spiel: Any) -> bool:
    """Whether the whole game can be walked: listed by default, counted with other options."""
    if not options:
        return name in ENUMERABLE or name in SOLVABLE
    kind = spiel.get_type()
    if not _sequential(kind) or kind.chance_mode == _Kind.ChanceMode.SAMPLED_STOCHASTIC:
        return False
    if spiel.max_game_length() + spiel.max_chance_nodes_in_history() > _LONGEST_SMALL:
        return False
    if _information(kind) == "perfect":
        return _two_sided(kind, spiel.num_players()) and few_positions(spiel, _POSITION_LIMIT)
    return bool(kind.provides_information_state_string) and few_histories(spiel, _HISTORY_LIMIT)


def few_positions(spiel: Any, limit: int) -> bool:
    """Whether a perfect-information game has at most `limit` positions (boards, side to move)."""
    seen: set[tuple[int, str]] = set()
    for state in _walk(spiel, seen):
        seen.add((state.current_player(), str(state)))
        if len(seen) > limit:
            return False
    return True


def few_histories(spiel: Any, limit: int) -> bool:
    """Whether a game's tree has at most `limit` nodes that are not its ends, chance included."""
    return all(count < limit for count, _ in enumerate(_walk(spiel, set())))


def _walk(spiel: Any, seen: set[tuple[int, str]]) -> Iterator[Any]:
    """The inner nodes of the tree, breadth first (deep states are dear to copy), without those
    that stand in `seen`."""
    waiting = deque([(spiel.new_initial_state(), None)])
    while waiting:
        parent, action = waiting.popleft()
        state = parent if action is None else parent.child(action)
        if state.is_terminal() or (seen and (state.current_player(), str(state)) in seen):
            continue
        yield state
        waiting.extend((state, action) for action in state.legal_actions())
