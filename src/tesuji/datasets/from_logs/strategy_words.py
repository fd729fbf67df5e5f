"""A rule about the form of a reply, as a well-known guide to Mafia data has it.

It asks for length and for words of strategy. That is form, not strength: a reply may pass and be
wrong. So it is off unless asked for, says nothing about votes and night actions, and is refused
where a competition forbids heuristics (`compliance: strict`).
"""

import re

INDICATORS = (
    "analyze", "suspect", "trust", "evidence", "pattern", "alliance", "strategy", "reasoning",
    "logic", "deduce", "investigate", "protect", "coordinate", "timing", "reveal",
)  # fmt: skip
ROLE_WORDS = {
    "Mafia": ("deflect", "blend", "frame", "target"),
    "Doctor": ("protect", "save", "heal", "night"),
    "Detective": ("investigate", "check", "result", "night"),
    "Villager": ("vote", "suspicious", "quiet", "majority"),
}
_WORDS = re.compile(rf"\b({'|'.join(INDICATORS)})", re.IGNORECASE)


def words_in(text: str) -> list[str]:
    """The words of strategy that begin a word of the text, each once: "suspects" is "suspect"."""
    return sorted({word.lower() for word in _WORDS.findall(text)})


def indicators(text: str) -> int:
    """How many of them there are."""
    return len(words_in(text))


def quality(text: str, *, won: bool, role: str) -> float:
    """0.5, and up to 0.3 for words of strategy, 0.2 for length, 0.1 for a win, 0.1 for words of the
    role; at most 1."""
    lower = text.lower()
    of_role = sum(word in lower for word in ROLE_WORDS.get(role, ()))
    score = 0.5 + min(0.3, 0.05 * indicators(text)) + min(0.2, len(text) / 1000)
    return round(min(1.0, score + 0.1 * won + min(0.1, 0.05 * of_role)), 4)
