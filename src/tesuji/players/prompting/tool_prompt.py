"""Functions on offer, for models to call: as a chat template takes them, or in Hermes style.

They travel as the first message of a conversation, of role `tools`, whose content is a JSON list in
OpenAI's shape (`{"type": "function", "function": {...}}`). So whatever keeps messages keeps them:
recorded games, rows to train on, the tokens of both.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from tesuji.core.errors import DataError
from tesuji.core.types import Message

ROLE = "tools"

HERMES = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""


def split_tools(
    messages: Sequence[Message],
) -> tuple[list[dict[str, Any]] | None, list[Message]]:
    """(the tools of a leading message of role `tools`, None where there is none; the others).

    Raises DataError where that message holds no JSON list of objects.
    """
    if not messages or messages[0]["role"] != ROLE:
        return None, list(messages)
    try:
        tools = json.loads(messages[0]["content"])
    except ValueError as error:
        raise DataError(f"the message of role {ROLE} is not JSON: {error}") from error
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise DataError(f"the message of role {ROLE} must hold a JSON list of objects")
    return tools, list(messages[1:])


def takes_tools(template: str) -> bool:
    """Whether a chat template reads a variable `tools`."""
    return bool(re.search(r"\{%[^%]*\btools\b", template))


def in_hermes_style(tools: Sequence[dict[str, Any]], messages: Sequence[Message]) -> list[Message]:
    """The same conversation with the tools described in its system message, after what that says
    already; the wording is that of Qwen's own templates."""
    text = HERMES.format(tools="\n".join(json.dumps(tool) for tool in tools))
    if messages and messages[0]["role"] == "system":
        system = messages[0]["content"]
        return [Message(role="system", content=f"{system}\n\n{text}"), *messages[1:]]
    return [Message(role="system", content=text), *messages]
