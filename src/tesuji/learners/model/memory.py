"""Memory that runs out, said in one message with what helps."""

import contextlib
from collections.abc import Iterator

from tesuji.core.errors import EngineError


def ran_out_of_memory(error: Exception) -> bool:
    """Whether that is what went wrong, on any device: on a CPU, torch "can't allocate memory"."""
    text = str(error).lower()
    short = "out of memory" in text or "can't allocate memory" in text
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and short)


@contextlib.contextmanager
def telling_memory(
    doing: str,
    *,
    where: str = "sampling.batch_size",
    hint: str = "lower sampling.batch_size, or set prompt.max_length",
) -> Iterator[None]:
    """Raises EngineError "out of memory `doing`" where memory runs out inside, on any device."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not ran_out_of_memory(error):
            raise
        raise EngineError(f"out of memory {doing}", where=where, hint=hint) from error
