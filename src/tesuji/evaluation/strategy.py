"""Strategic words in free speech, counted as `datasets/from_logs/strategy_words.py` does.

It is a measure of form: a reply full of such words can be nonsense, and a good one do without. It
is reported beside what was said in the held-out games themselves, and nothing is chosen by it here.
"""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from tesuji.datasets.from_logs.strategy_words import quality, words_in
from tesuji.evaluation.held_out.likelihood import share
from tesuji.evaluation.held_out.results import Indicators
from tesuji.recipe.schema.data import SelectSection

SPEECH = ("discussion", "chat")  # votes and night actions are judged by what they did
RULE = SelectSection()  # the guide's own limits


def indicators(said: Sequence[tuple[str, str]]) -> Indicators | None:
    """Words and scores over (reply, role of who said it); nobody is taken for a winner, so that
    scores can be compared. None of none."""
    if not said:
        return None
    found = [words_in(reply) for reply, _ in said]
    counts = Counter(word for words in found for word in words)
    return Indicators(
        replies=len(said),
        words=fmean(map(len, found)),
        score=fmean(quality(reply, won=False, role=role) for reply, role in said),
        passing=share([_passes(reply, len(w)) for (reply, _), w in zip(said, found, strict=True)]),
        counts=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
    )


def _passes(reply: str, words: int) -> bool:
    return len(reply) >= RULE.min_characters and words >= RULE.min_indicators
