"""What Modal's SDK raises, as one message that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from modal import exception

from tesuji.core.errors import ComputeError, first_line
from tesuji.core.redact import redact

HINTS: tuple[tuple[type[BaseException], str, str], ...] = (
    (
        exception.AuthError,
        "Modal does not accept the token",
        "`modal token new`, or MODAL_TOKEN_ID and MODAL_TOKEN_SECRET from modal.com/settings",
    ),
    (
        exception.PermissionDeniedError,
        "Modal does not let this token do that",
        "a token of a member of the workspace: `modal token info` says whose it is",
    ),
    (
        exception.ResourceExhaustedError,
        "Modal has no more of that for this workspace now",
        "a quota, a full volume or too many requests: wait, or free something, then again",
    ),
    (
        exception.ConflictError,
        "something there was changed by another at the same moment",
        "the same command again",
    ),
    (
        exception.AlreadyExistsError,
        "something of that name is there already",
        "`tesuji jobs sweep --on modal` says what of ours is there; then the same command again",
    ),
    (
        exception.ImageBuildError,
        "the image for the container does not build",
        "the command named there shows its log; mostly a package that is not to be had for it",
    ),
    (
        exception.ServiceError,
        "Modal's service has a problem",
        "https://status.modal.com; the same command goes on where this one stopped",
    ),
    (
        exception.ConnectionError,
        "Modal cannot be reached",
        "the network here; the same command goes on where this one stopped",
    ),
)


@contextmanager
def speaking(doing: str) -> Iterator[None]:
    """What the SDK raises inside, as a ComputeError at `doing`."""
    try:
        yield
    except (exception.Error, OSError) as error:
        for kind, what, hint in HINTS:
            if isinstance(error, kind):
                text = f"{what}: {_said(error)}"
                raise ComputeError(text, where=doing, hint=hint) from None
        raise ComputeError(f"Modal: {_said(error)}", where=doing) from None


def _said(error: BaseException) -> str:
    text = str(error) if isinstance(error, exception.ImageBuildError) else first_line(error)
    return redact(text)
