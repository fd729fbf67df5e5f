"""What a look at held-out rows found: plain numbers, by role where roles are known.

`None` and empty mappings stand for what could not be measured: no pairs, no decisions, no roles.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tesuji.core.statistics import Interval, Share
from tesuji.evaluation.held_out.poker_decisions import DecisionScore


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How well a model expects replies that people (or other players) gave.

    `nats_per_token` weighs every token alike, the token that ends a reply included;
    `interval` is of that figure, over matches, whose rows hang together. `nats_per_reply` is the
    mean of a whole reply's.
    """

    replies: int
    matches: int
    tokens: int
    nats_per_token: float
    interval: Interval
    nats_per_reply: float

    @property
    def perplexity(self) -> float:
        """exp(nats_per_token): among how many tokens the model was, in effect, in doubt."""
        return _exp(self.nats_per_token)


@dataclass(frozen=True, slots=True)
class Preferences:
    """On how many pairs the better reply is the likelier one; tossing a coin scores 50%.

    `summed` compares log-probabilities of whole replies, which favours short ones; `per_token`
    compares their means over tokens. Equal ones (`ties`, by the sum) count as wrong. `shorter` and
    `longer` are what always preferring such a reply would score. `margin` is the mean of
    log p(chosen) - log p(rejected) in nats, its interval over matches.
    """

    pairs: int
    ties: int
    summed: Share
    per_token: Share
    margin: float
    margin_interval: Interval
    shorter: Share | None = None
    longer: Share | None = None


@dataclass(frozen=True, slots=True)
class Indicators:
    """The guide's strategic words in replies of free speech.

    Means over `replies`: `words` different ones in a reply, its `score`; `passing` would pass the
    quality rule as the guide has it. `counts` says how many replies hold each word.
    """

    replies: int
    words: float
    score: float
    passing: Share
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replies:
    """What a model replied to held-out prompts, one reply each.

    `legal`: of the replies to prompts that list their valid targets, those that name one.
    `agree`: of votes, night actions and moves, those that name what was played there; `decisive`:
    of votes in games where it is known who was then voted out, those that name that player.
    `agree_random` and `decisive_random` are what a random valid target scores on the same prompts
    (None where the prompts list none). `unfinished` replies were cut at the token limit; `distinct`
    counts different texts: few of them mean that the model says the same to everything.
    """

    replies: int
    legal: Share
    agree: Share
    agree_random: float | None
    decisive: Share
    decisive_random: float | None
    empty: int
    unfinished: int
    distinct: int
    mean_characters: float
    mean_tokens: float
    said: Indicators | None = None
    said_there: Indicators | None = None


@dataclass(frozen=True, slots=True)
class RowsScore:
    """One model on held-out rows; training saw none of them.

    Of `rows`, the `lost` are those of seats whose side is known to have lost: they are no example
    and left out of everything but the pairs. `cut` prompts lost their beginning to the length
    limit, `dropped` replies were too long for it by themselves; the same for pairs and for prompts
    that were replied to. `decisions_by_role` holds (action, exact size too). `training_labels` is
    how many labels the decisions' baseline was taken from.
    """

    rows: int
    lost: int
    cut: int
    dropped: int
    pairs_cut: int
    pairs_dropped: int
    prompts_cut: int
    temperature: float
    seconds: float
    likelihood: Likelihood | None = None
    likelihood_by_role: Mapping[str, Likelihood] = field(default_factory=dict)
    likelihood_by_phase: Mapping[str, Likelihood] = field(default_factory=dict)
    preferences: Preferences | None = None
    preferences_by_role: Mapping[str, Preferences] = field(default_factory=dict)
    replies: Replies | None = None
    replies_by_role: Mapping[str, Replies] = field(default_factory=dict)
    decisions: DecisionScore | None = None
    decisions_by_role: Mapping[str, tuple[Share, Share]] = field(default_factory=dict)
    training_labels: int = 0


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf
