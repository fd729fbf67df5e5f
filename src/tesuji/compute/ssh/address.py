"""Who is called by `ssh`, and the words that call them."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tesuji.core.errors import ComputeError

NAME = re.compile(r"(?:(?P<user>[\w.-]+)@)?(?P<host>\[[\da-fA-F:]+\]|[\w.-]+)(?::(?P<port>\d+))?")
HINT = "write ssh:user@host, ssh:user@host:port, or ssh:NAME of a Host in ~/.ssh/config"


@dataclass(frozen=True)
class Address:
    """A machine that `ssh` reaches. What is empty stands in the user's own config.

    `key` is the private key to use, and then no other; `known_hosts` a file in which a host's key
    is kept when it is first seen (machines that are made for one job have a new one each).
    """

    host: str
    user: str = ""
    port: int = 0
    key: Path | None = None
    known_hosts: Path | None = None

    def words(self) -> list[str]:
        """The command line before the command: no questions, and a line that is dead is noticed."""
        alive = ["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"]
        words = ["ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", *alive]
        if config := os.environ.get("TESUJI_SSH_CONFIG"):
            words += ["-F", config]
        if self.key is not None:
            words += ["-i", str(self.key), "-o", "IdentitiesOnly=yes"]
        if self.known_hosts is not None:
            words += ["-o", f'UserKnownHostsFile="{self.known_hosts}"']
            words += ["-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR"]
        if self.port:
            words += ["-p", str(self.port)]
        return [*words, f"{self.user}@{self.host}" if self.user else self.host]

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"{user}{self.host}{f':{self.port}' if self.port else ''}"


def parse(text: str) -> Address:
    """`user@host`, `user@host:port` or a name of ~/.ssh/config; ComputeError for anything else."""
    match = NAME.fullmatch(text)
    if match is None or match["host"].startswith("-"):
        raise ComputeError(f"no machine to reach by ssh: {text!r}", where="--on", hint=HINT)
    return Address(match["host"].strip("[]"), match["user"] or "", int(match["port"] or 0))
