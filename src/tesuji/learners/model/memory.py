"""Memory that runs out, said in one message with what helps."""

import contextlib
from collections.abc import Iterator

from tesuji.core.errors import EngineError


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
        if not isinstance(error, MemoryError) and "out of memory" not in str(error).lower():
            raise
        raise EngineError(f"out of memory {doing}", where=where, hint=hint) from error
