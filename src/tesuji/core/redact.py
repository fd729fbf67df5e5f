"""Keep secrets off pages and logs: what looks like a token, and what a secret variable holds."""

import os
import re
from pathlib import Path
from typing import Any

MARK = "[redacted]"
SHORTEST = 8  # a shorter value of a secret variable would blank ordinary words

_SHAPES = re.compile(
    r"""\b(?:
        hf_[A-Za-z0-9]{16,}                     # Hugging Face
      | sk-[A-Za-z0-9_-]{16,}                   # OpenAI and look-alikes
      | rpa_[A-Za-z0-9]{16,}                    # RunPod
      | a[ks]-[A-Za-z0-9]{16,}                  # Modal
      | gh[oprsu]_[A-Za-z0-9]{16,}              # GitHub
      | github_pat_[A-Za-z0-9_]{16,}
      | AKIA[A-Z0-9]{16}                        # AWS
      | eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}      # JSON web token
    )""",
    re.VERBOSE,
)
_BEARER = re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}")
_URL_PASSWORD = re.compile(r"(://[^\s/:@]+:)[^\s/@]+@")
_SECRET_NAME = re.compile(r"(?i)(?:^|_)(?:token|secret|password|passwd|key|credentials?)(?:$|_)")


def redact(text: str) -> str:
    """The text with every token shape and every secret variable's value replaced."""
    for value in _secret_values():
        text = text.replace(value, MARK)
    text = _SHAPES.sub(MARK, text)
    text = _BEARER.sub(rf"\g<1>{MARK}", text)
    return _URL_PASSWORD.sub(rf"\g<1>{MARK}@", text)


def looks_secret(text: str) -> bool:
    """Whether the text holds a token's shape, a bearer header or a URL with a password."""
    return any(shape.search(text) for shape in (_SHAPES, _BEARER, _URL_PASSWORD))


def _secret_values() -> list[str]:
    """Longest first, so that a value that contains another one goes as a whole."""
    values = {
        value
        for name, value in os.environ.items()
        if _SECRET_NAME.search(name) and len(value) >= SHORTEST and not _is_path(value)
    }
    return sorted(values, key=len, reverse=True)


def _is_path(value: str) -> bool:
    """Whether a variable names a file with the secret, not the secret: base64 has slashes, too, at
    its beginning even, but then no such folder is there."""
    top = value.lstrip("/").partition("/")[0]
    return value.startswith("/") and Path("/", top) in Path("/").iterdir()


def redact_all(value: Any) -> Any:
    """The same mapping, sequence or text with every text in it redacted, keys included."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact_all(key): redact_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_all(item) for item in value]
    return value
