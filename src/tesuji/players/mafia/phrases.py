"""The words of scripted SecretMafia players, put together from parts so that few are alike."""

from collections.abc import Sequence
from random import Random

from tesuji.games.textarena.secretmafia import finding

OPENINGS = (
    "Let me analyze what we have.", "Looking at yesterday's vote,", "If we follow the logic,",
    "The timing matters here:", "Going through the pattern of votes,", "After what we have seen,",
    "Let us coordinate today.", "To put my reasoning in the open:", "As I read the discussion,",
    "Before we vote,",
)  # fmt: skip
CASES = (
    "I suspect Player {t}, because the evidence does not fit what they say",
    "the pattern of votes speaks against Player {t}",
    "I suspect Player {t}: the story changed when it was asked for evidence",
    "my reasoning goes against Player {t}, who gains from every death so far",
    "I accuse Player {t} of leading us astray, and the evidence is in the votes",
    "we can deduce from the timing of the accusations that I should suspect Player {t}",
    "the logic of last night's kill makes me suspect Player {t}",
    "I would vote for Player {t}, as the evidence and the silence point that way",
)  # fmt: skip
CLOSINGS = (
    "What do you all deduce from it?", "I trust those who give reasons.",
    "Let us coordinate our votes.", "Tell me where my logic fails.",
    "If I am wrong, show me evidence.", "We should protect whoever speaks openly.",
    "Village wins by strategy, not by noise.", "Watch who defends them: that will reveal more.",
    "I will vote that way unless someone explains it.",
)  # fmt: skip
CLAIMS = (
    "I am the Detective. I investigated, and the evidence is clear: {result}.",
    "Time to reveal it: I investigate at night, and {result}. Trust this.",
    "My investigation says that {result}. Let us coordinate on this evidence.",
    "I have to reveal what I know as Detective: {result}. The logic follows.",
)  # fmt: skip
PLANS = (
    "we have little evidence yet, so let everybody reveal whom they trust and why",
    "our strategy should be to analyze each vote before we trust anyone",
    "whoever avoids reasoning today is worth a second look, Player {t} too",
    "I ask Player {t} for an honest reading, since we need a pattern to follow",
    "let us protect the Doctor and the Detective by not asking them to reveal themselves",
)  # fmt: skip
VOTE_REASONS = (
    "The evidence points to Player {t}.", "By the pattern of votes:",
    "My reasoning has not changed.", "Following the evidence we shared,",
    "After weighing the claims, I vote", "The logic is clear:", "I deduce it from the votes.",
)  # fmt: skip
NIGHT_REASONS = {
    "night_mafia": ("This one reasons too well:", "Remove the strongest voice.", "Best timing:"),
    "night_doctor": ("I protect the one they fear.", "Protect the one with evidence:"),
    "night_detective": ("I investigate the most suspicious:", "Need evidence on Player {t}."),
}
AGREEMENTS = (
    "I agree with Player {s}.", "Same as Player {s} said.", "Yeah, what Player {s} said.",
    "Player {s} sounds right to me.", "Ok, I go with the others.", "Fine, as you all like.",
)  # fmt: skip
FOLLOWED = (
    "Let's go against Player {t}.", "I'd vote for Player {t} too.", "Everybody blames Player {t}.",
    "Player {t} then, I guess.", "",
)  # fmt: skip
JOINED = ("same", "me too:", "with the others", "I follow:", "ok then", "+1")
THINGS = (
    "the weather", "my lunch", "that noise", "this town", "my cat", "the moon", "breakfast", "luck",
    "the clock", "an old song",
)  # fmt: skip
CHATTER = (
    "Has anyone else noticed {thing}?", "I keep thinking about {thing}.", "Well, {thing} again...",
    "Maybe Player {t}, maybe not, who knows.", "I'd say it is all down to {thing}.",
    "Player {t} reminds me of {thing}.", "Let's flip a coin about Player {t}.",
    "No idea, honestly. How about {thing}?", "I blame Player {t}, just a feeling.",
)  # fmt: skip
WORDS = (
    "ok", "hmm", "pass", "yes", "no", "maybe", "dunno", "hi", "sure", "nope", "skip", "fine", "...",
)  # fmt: skip
MUMBLES = (
    "uhh wait what", "idk lol", "player {t}??? or", "sry was afk", "what day is it", "vote smth",
    "lol player {t}", "im not it i swear", "ehm. next", "whatever u say", "huh {t}?",
)  # fmt: skip
SLIPS = (
    "{t}", "Player {t}", "I choose player {t}", "(vote {t})", "vote: {t}", "[{gone}]", "[{gone}]",
    "[Player {gone}]", "not sure", "[]", "[nobody]",
)  # fmt: skip


def accusation(rng: Random, seat: int) -> str:
    """A speech against somebody, with reasons."""
    return _joined(rng, CASES, seat)


def plan(rng: Random, seat: int) -> str:
    """A speech about how to find out."""
    return _joined(rng, PLANS, seat)


def _joined(rng: Random, bodies: Sequence[str], seat: int) -> str:
    opening, body, closing = rng.choice(OPENINGS), rng.choice(bodies), rng.choice(CLOSINGS)
    if opening.endswith("."):
        body = _begun(body)
    parts = (opening, f"{body}.", closing if rng.random() < 0.6 else "")
    return " ".join(part for part in parts if part).format(t=seat)


def claim(rng: Random, seat: int, guilty: bool) -> str:
    """A speech that tells the outcome of an investigation, true or not."""
    speech = rng.choice(CLAIMS).format(result=finding(seat, guilty))
    return f"{speech} {_begun(rng.choice(CASES)).format(t=seat)}." if guilty else speech


def _begun(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def agreement(rng: Random, seat: int, speaker: int | None) -> str:
    """A speech that follows the one before."""
    first = rng.choice(AGREEMENTS if speaker is not None else AGREEMENTS[-2:])
    return f"{first} {rng.choice(FOLLOWED)}".strip().format(s=speaker, t=seat)


def chatter(rng: Random, seat: int) -> str:
    """A speech about nothing."""
    return rng.choice(CHATTER).format(thing=rng.choice(THINGS), t=seat)


def word(rng: Random) -> str:
    """A speech of one word."""
    return rng.choice(WORDS)


def mumble(rng: Random, seat: int) -> str:
    """Half a speech."""
    return rng.choice(MUMBLES).format(t=seat)


def bare(rng: Random, seat: int) -> str:
    """A name and nothing else."""
    return rng.choice((f"[{seat}]", f"[{seat}]", f"[{seat}]", f"[Player {seat}]"))


def reasoned_choice(rng: Random, phase: str, seat: int) -> str:
    """A name, mostly with a reason."""
    reasons = VOTE_REASONS if phase == "voting" else NIGHT_REASONS[phase]
    if rng.random() < (0.2 if phase == "voting" else 0.6):
        return f"[{seat}]"
    return f"{rng.choice(reasons).format(t=seat)} [{seat}]"


def joined_choice(rng: Random, seat: int) -> str:
    """A vote that follows others."""
    return f"{rng.choice(JOINED)} [{seat}]" if rng.random() < 0.5 else f"[{seat}]"


def slip(rng: Random, seat: int, gone: int) -> str:
    """A reply to a vote or night action that names nobody who can be named."""
    return rng.choice(SLIPS).format(t=seat, gone=gone)
