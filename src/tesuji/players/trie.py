"""Which token may come next, when a reply must be one of a few: the legal moves, spelled out."""

from collections.abc import Iterable, Sequence
from typing import Final

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
