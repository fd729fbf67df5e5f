"""A key pair of one job: its pod takes this key and no other. It lies in the user's cache, not with
the job, and goes when the pod does."""

import shutil
import subprocess
from pathlib import Path

from tesuji.core.errors import ComputeError
from tesuji.core.files import discard, user_cache

NAME = "id_ed25519"
TOOLS = "install OpenSSH's client: `apt install openssh-client`"


def folder_of(job: str) -> Path:
    """Where the key of a job lies; readable by its owner only."""
    return user_cache() / "ssh" / job


def refuse_without_tools() -> None:
    """ComputeError where OpenSSH's client is not here."""
    for tool in ("ssh", "ssh-keygen"):
        if shutil.which(tool) is None:
            raise ComputeError(f"there is no `{tool}` on this machine", hint=TOOLS)


def public_key(job: str) -> str:
    """The public line of a job's key, made when it is first asked for."""
    folder = folder_of(job)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    public = folder / f"{NAME}.pub"
    if not public.exists():
        (folder / NAME).unlink(missing_ok=True)
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", job, "-f", str(folder / NAME)]
        subprocess.run(made, check=True, capture_output=True)
    return public.read_text().strip()


def forget(job: str) -> None:
    """Take the key away; its pod is gone."""
    discard(folder_of(job))
