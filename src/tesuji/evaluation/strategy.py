"""Strategic words in free speech, counted as the guide counts them.

It is a measure of form: a reply full of such words can be nonsense, and a good one do without. It
is reported beside what was said in the held-out games themselves, and nothing is chosen by it here.
"""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from tesuji.evaluation.likelihood import share
from tesuji.evaluation.row_results import Indicators

SPEECH = ("discussion", "chat")  # votes and night actions are judged by what they did
WORDS = (
    "analyze", "suspect", "trust", "evidence", "pattern", "alliance", "strategy", "reasoning",
    "logic", "deduce", "investigate", "protect", "coordinate", "timing", "reveal",
)  # fmt: skip
LEAST_CHARACTERS, LEAST_WORDS = 50, 2


def words_in(reply: str) -> list[str]:
    """The strategic words that a reply holds, each once, as parts of longer words too."""
    lower = reply.lower()
    return [word for word in WORDS if word in lower]


def form_score(reply: str) -> float:
    """The guide's score of a reply's form, without what it adds for winners and role words."""
    words = len(words_in(reply))
    return 0.5 + min(0.3, 0.05 * words) + min(0.2, len(reply) / 1000)


def indicators(replies: Sequence[str]) -> Indicators | None:
    """Words and scores over the replies; None of none."""
    if not replies:
        return None
    found = [words_in(reply) for reply in replies]
    counts = Counter(word for words in found for word in words)
    long = [len(reply) >= LEAST_CHARACTERS for reply in replies]
    return Indicators(
        replies=len(replies),
        words=fmean(map(len, found)),
        score=fmean(map(form_score, replies)),
        passing=share([ok and len(w) >= LEAST_WORDS for ok, w in zip(long, found, strict=True)]),
        counts=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
    )
