"""A real ssh server on 127.0.0.1 (asyncssh), for the system's `ssh`: a machine that one has.

What a client asks for runs as a process of this machine, its home a folder of the server's own, in
a clean environment: as sshd does, it hands on nothing of its own but what `env` names. `python
ssh_server.py '{...}'` is the whole machine: end it with `end`, and whatever it ran ends, too.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

MARK = "STAND_IN_MACHINE"  # in the environment of every process that runs "there"


@dataclass
class Machine:
    """`folder` holds `home/`, the machine's key and `authorized_keys`; `port` 0 is any free one."""

    folder: str
    port: int = 0
    env: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return Path(self.folder, "home")


def new_key(path: Path) -> str:
    """Make a key pair; its public line."""
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)]
    subprocess.run(words, check=True)
    return path.with_name(path.name + ".pub").read_text()


def start(machine: Machine, keys: str) -> "subprocess.Popen[bytes]":
    """Start the machine; it is reached once `port` stands in its folder."""
    folder = Path(machine.folder)
    machine.home.mkdir(parents=True, exist_ok=True)
    if not (folder / "host_key").exists():
        new_key(folder / "host_key")
    (folder / "authorized_keys").write_text(keys)
    (folder / "port").unlink(missing_ok=True)
    words = [sys.executable, str(Path(__file__).resolve()), json.dumps(asdict(machine))]
    env = {**os.environ, MARK: machine.folder}
    log = (folder / "sshd.log").open("ab")
    return subprocess.Popen(words, env=env, stderr=log, stdin=subprocess.DEVNULL)


def port_of(machine: Machine, seconds: float = 20) -> int:
    """The port that a machine listens at, waited for."""
    deadline = time.monotonic() + seconds
    while not (text := _read(Path(machine.folder, "port"))):
        assert time.monotonic() < deadline, _read(Path(machine.folder, "sshd.log"))
        time.sleep(0.02)
    return int(text)


def end(machine: Machine) -> None:
    """Switch the machine off: everything that ran there is gone."""
    while running := running_on(machine):
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def running_on(machine: Machine) -> list[int]:
    """The processes of a machine, the server itself among them."""
    mark = f"{MARK}={machine.folder}".encode()
    return [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and mark in _environment(folder) and not _is_dead(folder)
    ]


def _environment(folder: Path) -> list[bytes]:
    with contextlib.suppress(OSError):
        return (folder / "environ").read_bytes().split(b"\0")
    return []


def _is_dead(folder: Path) -> bool:
    return ") Z" in _read(folder / "stat")


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""


@dataclass
class Running:
    """A machine that runs, and how `ssh` finds it: `config` names it `host`."""

    machine: Machine
    port: int
    config: Path
    host: str = "stand-in"

    @property
    def home(self) -> Path:
        return self.machine.home

    def words(self, command: str) -> list[str]:
        return ["ssh", "-F", str(self.config), self.host, command]

    def jobs(self) -> list[int]:
        """What runs there beside the server."""
        return [pid for pid in running_on(self.machine) if pid != _server(self.machine)]

    def cut(self) -> None:
        """The network is gone and comes back: connections break, what runs goes on."""
        cut(self.machine)

    def restart(self) -> None:
        """As `cut`, and the machine has read `authorized_keys` again."""
        os.kill(_server(self.machine), signal.SIGKILL)
        keys = Path(self.machine.folder, "authorized_keys").read_text()
        start(self.machine, keys)
        assert port_of(self.machine) == self.port


def cut(machine: Machine) -> None:
    """Break all connections to a machine."""
    os.kill(_server(machine), signal.SIGUSR1)


def _server(machine: Machine) -> int:
    return int(_read(Path(machine.folder, "pid")))


@contextlib.contextmanager
def ssh_machine(folder: Path, env: dict[str, str] | None = None) -> Iterator[Running]:
    """A machine with a key, a known host and a config of its own; nothing of ~/.ssh is read."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = Machine(str(folder), env=env or {})
    start(machine, new_key(folder / "client_key"))
    try:
        machine.port = port_of(machine)
        host_key = (folder / "host_key.pub").read_text()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{machine.port} {host_key}")
        config = folder / "config"
        config.write_text(_config(folder, machine.port))
        yield Running(machine, machine.port, config)
    finally:
        end(machine)


def _config(folder: Path, port: int) -> str:
    return (
        f"Host stand-in\n  HostName 127.0.0.1\n  Port {port}\n  User me\n  IdentitiesOnly yes\n"
        f"  IdentityFile {folder}/client_key\n  UserKnownHostsFile {folder}/known_hosts\n"
    )


async def _serve(machine: Machine) -> None:
    import asyncssh

    folder = Path(machine.folder)
    clean = {"HOME": str(machine.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    env = {**clean, "OMP_NUM_THREADS": "1", **machine.env, MARK: machine.folder}

    async def run(asked: "asyncssh.SSHServerProcess[bytes]") -> None:
        words = ["sh", "-c", asked.command or "true"]
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            *words, cwd=machine.home, env=env, stdin=pipe, stdout=pipe, stderr=pipe
        )
        await asked.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
        code = await child.wait()
        await asked.stdout.drain()
        asked.exit(code if code >= 0 else 128 - code)

    connections: set[asyncssh.SSHServerConnection] = set()

    class Known(asyncssh.SSHServer):
        """Remembers who is connected."""

        def connection_made(self, conn: "asyncssh.SSHServerConnection") -> None:
            connections.add(conn)
            self.conn = conn

        def connection_lost(self, exc: Exception | None) -> None:
            connections.discard(self.conn)

    def cut_all() -> None:
        for conn in list(connections):
            conn.abort()

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, cut_all)
    server = await asyncssh.listen(
        "127.0.0.1",
        machine.port,
        server_host_keys=[str(folder / "host_key")],
        authorized_client_keys=str(folder / "authorized_keys"),
        server_factory=Known,
        process_factory=run,
        encoding=None,
        reuse_address=True,
    )
    (folder / "pid").write_text(str(os.getpid()))
    half = folder / "port.half"
    half.write_text(str(server.get_port()))
    half.rename(folder / "port")
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(_serve(Machine(**json.loads(sys.argv[1]))))
