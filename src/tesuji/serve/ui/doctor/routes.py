"""What this machine has and lacks, as `tesuji doctor` finds it."""

import json
import subprocess
import sys
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from tesuji.core.errors import EngineError
from tesuji.core.redact import redact
from tesuji.serve.ui.house import House
from tesuji.serve.ui.pages import page

LONGEST = 120  # seconds
WORDS = {"ok": "here", "absent": "optional", "warning": "look at it", "bad": "missing"}
Purpose = Literal["", "modal", "runpod", "gpu"]


def router(house: House) -> APIRouter:
    """The routes of this part."""
    routes = APIRouter(prefix="/doctor")

    @routes.get("")
    def doctor(request: Request, purpose: Purpose = "") -> Response:
        """The page; what is found comes after it."""
        return page(house, request, "doctor/doctor.html.j2", purpose=purpose)

    @routes.get("/findings")
    def findings(request: Request, purpose: Purpose = "") -> Response:
        """Looked up anew, in a process of its own: torch is loaded there and not here."""
        results = _asked(house, purpose)
        return page(house, request, "doctor/findings.html.j2", findings=results, words=WORDS)

    return routes


def _asked(house: House, purpose: str) -> list[dict[str, Any]]:
    more = ["--for", purpose] if purpose else []
    command = [sys.executable, "-m", "tesuji", "doctor", "--json", "--runs", str(house.runs), *more]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
        found: list[dict[str, Any]] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        hint = "run it in a terminal: tesuji doctor"
        raise EngineError(f"the look at this machine failed: {error}", hint=hint) from error
    return [finding | {"words": redact(finding["words"])} for finding in found]
