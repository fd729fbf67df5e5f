"""Which token may come next, when a reply must be one of a few: the legal moves, spelled out."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from tesuji.core.tensors import on_device
from tesuji.players.sampling.base import Choices

if TYPE_CHECKING:
    from torch import Tensor

Branch = dict[int, "Branch"]

NOTHING: Final[Branch] = {}


class TokenTrie:
    """The choices as a tree of token ids.

    Every choice must end in the end-of-reply token, so that none is the beginning of another
    ("Bet" and "Bet 10" differ after "Bet"). Raises ValueError where one is.
    """

    def __init__(self, choices: Iterable[Sequence[int]]) -> None:
        self.root: Branch = {}
        ends: list[Branch] = []
        for choice in choices:
            branch = self.root
            for token in choice:
                branch = branch.setdefault(token, {})
            ends.append(branch)
        if not ends or any(ends) or ends[-1] is self.root:
            raise ValueError("no choice, an empty one, or one that is the beginning of another")

    def allowed(self, prefix: Sequence[int]) -> list[int]:
        """The token ids that may follow `prefix`, in order of first mention; none at the end."""
        branch = self.root
        for token in prefix:
            branch = branch.get(token, NOTHING)
        return list(branch)


def certain(branch: Branch) -> tuple[list[int], Branch]:
    """The tokens that follow without a choice from here, and the branch after them."""
    tokens = []
    while len(branch) == 1:
        ((token, branch),) = branch.items()
        tokens.append(token)
    return tokens, branch


Path = tuple[int, ...]


def forks(choices: Sequence[Sequence[int]]) -> list[list[Path]]:
    """Wherever the choices part: the ways to there and one token further, one list a fork."""
    ways_on: dict[Path, dict[Path, None]] = {}
    for choice in choices:
        for length in range(len(choice)):
            ways_on.setdefault(tuple(choice[:length]), {})[tuple(choice[: length + 1])] = None
    return [list(ways) for ways in ways_on.values() if len(ways) > 1]


def masked_probabilities(
    choices: Sequence[Sequence[int]], scores: Mapping[Path, float]
) -> list[float]:
    """How likely each choice is when only tokens that go on one of them may be sampled: at every
    fork the ways are weighed against each other. `scores` are the log-probs of those ways."""
    chance = [1.0] * len(choices)
    for ways in forks(choices):
        most = max(scores[way] for way in ways)
        weights = {way: math.exp(scores[way] - most) for way in ways}
        total = sum(weights.values())
        for index, choice in enumerate(choices):
            way = tuple(choice[: len(ways[0])])
            chance[index] *= weights[way] / total if way in weights else 1.0
    return chance


def branches_of(choices: Sequence[Choices | None]) -> list[Branch | None]:
    """The root of each prompt's trie; prompts with the same choices share one."""
    keys = [None if some is None else tuple(map(tuple, some)) for some in choices]
    roots = {key: TokenTrie(key).root for key in dict.fromkeys(keys) if key is not None}
    return [None if key is None else roots[key] for key in keys]


def masked(logits: "Tensor", branches: Sequence[Branch | None]) -> "Tensor":
    """Logits [B, V] with -inf where a row's branch has no such token; no branch, no mask."""
    if not any(branches):
        return logits
    import torch  # here, so that a player can be made without it

    allowed = on_device([not branch for branch in branches], logits.device)
    allowed = allowed.unsqueeze(1).repeat(1, logits.shape[1])
    pairs = [(row, token) for row, branch in enumerate(branches) for token in branch or ()]
    allowed[tuple(on_device(pairs, logits.device).T)] = True
    return logits.masked_fill(~allowed, -torch.inf)
