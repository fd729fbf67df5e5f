"""One vLLM server, asked over HTTP, one request at a time by whoever calls."""

import asyncio
import json
import os
from typing import Any

from tesuji.core.errors import EngineError
from tesuji.core.redact import redact

LARGEST = 64_000_000  # bytes of an answer that are read
SHOWN = 300  # characters of a server's words that are printed
MISSING = "start it with the options that docs/vllm.md names"


class ServerFault(Exception):
    """No answer of use from this server; another one may have it."""


class WrongModel(ServerFault):
    """The answer is another model's, or of other weights: this server is asked no more."""


class Server:
    """The server at `url`. Faults are counted from its last good answer on."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url, self.timeout_s = url.rstrip("/").removesuffix("/v1"), timeout_s
        self.model = ""  # the name of the model that it serves without adapters
        self.faults = self.under_way = 0
        self._client: Any = None

    async def post(self, path: str, body: Any = None) -> Any:
        """The answer to a POST, as JSON; None where it has no body. Raises ServerFault, and
        EngineError for a request that no server like this one will answer."""
        return await self._ask("POST", path, body)

    async def meet(self) -> None:
        """Learn what it serves. Raises as `post` does."""
        answer = await self._ask("GET", "/v1/models", None)
        try:
            models = [one["id"] for one in answer["data"] if not one.get("parent")]
            self.model = str(models[0])
        except (LookupError, TypeError, AttributeError):
            raise ServerFault("its list of models is none: is it a vLLM server?") from None

    async def close(self) -> None:
        """Let the connections go."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _ask(self, method: str, path: str, body: Any) -> Any:
        import httpx

        self.under_way += 1
        try:
            async with asyncio.timeout(self.timeout_s):
                status, content = await self._exchange(method, path, body)
        except TimeoutError:
            raise ServerFault(f"no whole answer within {self.timeout_s:g} s") from None
        except httpx.HTTPError as error:
            raise ServerFault(f"{type(error).__name__}: {error}") from None
        finally:
            self.under_way -= 1
        return self._understood(path, status, content)

    async def _exchange(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        content = bytearray()
        request = self._opened().stream(method, self.url + path, json=body)
        async with request as response:
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > LARGEST:
                    raise ServerFault(f"an answer of more than {LARGEST:,} bytes")
        return response.status_code, bytes(content)

    def _opened(self) -> Any:
        import httpx

        if self._client is None:
            key = os.environ.get("VLLM_API_KEY", "")
            self._client = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=None,  # each request has a time of its own, as a whole
                limits=httpx.Limits(max_connections=None),
                trust_env=False,
            )
        return self._client

    def _understood(self, path: str, status: int, content: bytes) -> Any:
        words = " ".join(redact(content[:2000].decode("utf-8", "replace")).split())[:SHOWN]
        if status == 404 and "does not exist" not in words:
            raise EngineError(f"{self.url} knows no {path}", where="sampling.url", hint=MISSING)
        if status in (400, 401, 403, 413, 422):
            raise EngineError(f"{self.url} refuses {path}: {words}", where="sampling", hint=MISSING)
        if status != 200:
            raise ServerFault(f"status {status}: {words}")
        try:
            return json.loads(content) if content.strip() and path != "/health" else None
        except (ValueError, RecursionError):
            if path.startswith("/v1/") and "lora" in path:  # says in words that it did it
                return None
            raise ServerFault(f"an answer that is no JSON: {words}") from None
