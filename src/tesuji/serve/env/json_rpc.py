"""MCP's JSON-RPC: an environment here has no tools, and says so as MCP asks it to."""

from importlib.metadata import version
from typing import Any

NO_JSON, NO_REQUEST, NO_METHOD, NO_PARAMETERS = -32700, -32600, -32601, -32602
REVISION = "2025-06-18"  # of MCP


def answer(request: Any) -> dict[str, Any]:
    """The answer to one request, an error where there is nothing else to say."""
    if not isinstance(request, dict) or request.get("jsonrpc") != "2.0":
        return problem(None, NO_REQUEST, "not a JSON-RPC 2.0 request")
    number, method = request.get("id"), request.get("method")
    if method == "initialize":
        about = {"name": "tesuji", "version": version("tesuji")}
        capabilities: dict[str, Any] = {"tools": {}}
        return _result(
            number,
            {"protocolVersion": REVISION, "capabilities": capabilities, "serverInfo": about},
        )
    if method == "tools/list":
        return _result(number, {"tools": []})
    if method == "tools/call":
        return problem(number, NO_PARAMETERS, "this environment has no tools: reset and step it")
    return problem(number, NO_METHOD, f"no such method: {method}")


def problem(number: Any, code: int, message: str) -> dict[str, Any]:
    """An error."""
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}


def _result(number: Any, result: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": result}
