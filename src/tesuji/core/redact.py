"""Make a text safe to show: no token, no value of a secret variable, no control character.

Every pattern takes time linear in the text, whatever the text is.
"""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

MARK = "[redacted]"
_HIDDEN: set[str] = set()  # values that this process was told to hide
SHORTEST = 8  # a shorter value of a secret variable would blank ordinary words

_SHAPES = re.compile(
    r"""\b(?:
        hf_[A-Za-z0-9]{16,}                     # Hugging Face
      | sk-[A-Za-z0-9_-]{16,}                   # OpenAI and look-alikes
      | rpa_[A-Za-z0-9]{16,}                    # RunPod
      | a[ks]-[A-Za-z0-9]{16,}                  # Modal
      | gh[oprsu]_[A-Za-z0-9]{16,}              # GitHub
      | github_pat_[A-Za-z0-9_]{16,}
      | glpat-[A-Za-z0-9_-]{16,}                # GitLab
      | xox[abeoprs]-[A-Za-z0-9-]{10,}          # Slack
      | npm_[A-Za-z0-9]{30,}
      | AIza[A-Za-z0-9_-]{35}                   # Google
      | AKIA[A-Z0-9]{16}                        # AWS
      | (?<!-)eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}  # JSON web token
    )""",
    re.VERBOSE,
)
_HEADER = re.compile(r"(?i)\b(bearer\s+|authorization:\s*[\w-]+\s+|api-key:\s*)[\w.~+/=-]{8,}")
_USERINFO = re.compile(r"(://(?:[^\s/?#:@]*:)?)[^\s/?#]+@")
_PARAMETER = re.compile(
    r"(?i)([?&#][\w.%-]{0,40}(?:key|token|secret|passw(?:or)?d|credential|signature|sig|auth)=)"
    r"[^\s&#\"']+"
)
_WORDS = "token|secret|password|passwd|key|credentials?"
_SECRET_NAME = re.compile(rf"(?i)(?:^|_)(?:{_WORDS})(?:$|_)")
_ENDS_SECRET = re.compile(rf"(?i)(?:{_WORDS})\d*$")  # OPENAIKEY: but MONKEY and HOTKEY, too
_LIKE_A_KEY = re.compile(r"(?=.*[A-Za-z])(?=.*\d)\S{12,}")


def hide(values: Iterable[str]) -> None:
    """From here on these values are secrets in this process, whatever their variables are called;
    those too short to stand for themselves are not."""
    _HIDDEN.update(value for value in values if len(value) >= SHORTEST)


def redact(text: str) -> str:
    """The text with every token shape and every secret variable's value replaced; of a URL the
    user's name or password, and parameters named like a key."""
    return _redacted(text, secret_values())


def _redacted(text: str, secrets: Sequence[str]) -> str:
    for value in secrets:
        text = text.replace(value, MARK)
    text = _SHAPES.sub(MARK, text)
    text = _HEADER.sub(rf"\g<1>{MARK}", text)
    text = _PARAMETER.sub(rf"\g<1>{MARK}", text)
    return _USERINFO.sub(rf"\g<1>{MARK}@", text)


def looks_secret(text: str) -> bool:
    """Whether the text holds a token's shape, a header with one, a URL with a user's name, a
    password or a key in it, or the value of a secret variable."""
    return redact(text) != text


def secret_values() -> list[str]:
    """What the secret variables hold: those named as one, and those that merely end like it
    (`OPENAIKEY`) where the value looks like a key. Longest first, so that a value that contains
    another one goes as a whole."""
    values = {
        value
        for name, value in os.environ.items()
        if (_SECRET_NAME.search(name) and len(value) >= SHORTEST)
        or (_ENDS_SECRET.search(name) and _LIKE_A_KEY.fullmatch(value))
    }
    shown = {value for value in values if _is_path(value)}
    return sorted((values - shown) | _HIDDEN, key=len, reverse=True)


def _is_path(value: str) -> bool:
    """Whether a variable names a file with the secret, not the secret: base64 has slashes, too, at
    its beginning even, but then no such folder is there."""
    if value.startswith(("~/", "./", "../")):
        return True
    top = value.lstrip("/").partition("/")[0]
    return value.startswith("/") and Path("/", top) in Path("/").iterdir()


def redact_all(value: Any) -> Any:
    """The same mapping, sequence or text with every text in it redacted, keys included."""
    secrets = secret_values()
    return _each_text(value, lambda text: _redacted(text, secrets))


def safe_all(value: Any) -> Any:
    """As `redact_all`, and with control characters made visible: for pages and terminals."""
    secrets = secret_values()
    return _each_text(value, lambda text: visible(_redacted(text, secrets)))


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_each_text(key, change): _each_text(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_each_text(item, change) for item in value]
    return value


def visible(text: str) -> str:
    """The text with control characters made visible: a reply cannot drive the terminal."""
    if text.isprintable():
        return text
    return "".join(_named(char) if unicodedata.category(char)[0] == "C" else char for char in text)


def _named(char: str) -> str:
    if char in "\n\t":
        return char
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"
