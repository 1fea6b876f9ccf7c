"""Real Ray nodes on this machine.

Each node has separate processes, ports and folders. Only its processes are ended, by process id.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RAY = Path(sys.executable).with_name("ray")
STORE = 100 * 2**20
RESERVED = range(10000, 20000)  # Ray's own workers listen here


def free_port() -> int:
    """A port that nobody listens on just now."""
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            if listener.getsockname()[1] not in RESERVED:
                return listener.getsockname()[1]


def environment() -> dict[str, str]:
    """What nodes and drivers of one cluster must share: its token."""
    return {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
    }


@dataclass
class RayNode:
    """The processes that `ray start` left running.

    They share one session of the operating system, and nothing else belongs to that session.
    """

    session: int
    address: str
    folder: Path
    dashboard: str | None = None

    @classmethod
    def start(
        cls,
        folder: Path,
        env: dict[str, str],
        *options: object,
        head: RayNode | None = None,
        dashboard: bool = False,
    ) -> RayNode:
        """Start a head, or another node of the cluster of `head`.

        Folders must have short names, because they contain sockets.
        """
        address, page = (head.address if head else f"127.0.0.1:{free_port()}"), free_port()
        words = [
            RAY,
            "start",
            "--node-ip-address",
            "127.0.0.1",
            "--temp-dir",
            folder,
            "--object-store-memory",
            STORE,
            "--disable-usage-stats",
            *options,
        ]
        words += (
            ["--address", address]
            if head
            else [
                "--head",
                "--port",
                address.split(":")[1],
                "--include-dashboard",
                str(dashboard).lower(),
                "--dashboard-port",
                page,
                "--ray-client-server-port",
                free_port(),
            ]
        )
        log = folder.with_suffix(".log")
        with log.open("w") as out:
            process = subprocess.Popen(
                [*map(str, words), "--dashboard-agent-listen-port", str(free_port())],
                stdout=out,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,
            )
        node = cls(process.pid, address, folder, f"http://127.0.0.1:{page}" if dashboard else None)
        try:
            assert process.wait(timeout=90) == 0, log.read_text()
        except BaseException:
            node.end()
            raise
        return node

    def processes(self) -> dict[int, str]:
        """Process id -> command line, of everything that belongs to the node."""
        commands = {}
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.getsid(int(path.name)) == self.session:
                    commands[int(path.name)] = (
                        (path / "cmdline")
                        .read_bytes()
                        .replace(b"\0", b" ")
                        .decode(errors="replace")
                        .strip()
                    )
        return commands

    def raylet(self) -> int:
        """The process whose death is the node's."""
        return next(
            pid
            for pid, words in self.processes().items()
            if words.split(" ")[0].endswith("/raylet")
        )

    def workers(self) -> list[int]:
        """Processes that run trials."""
        return [
            pid
            for pid, words in self.processes().items()
            if words.startswith("ray::") and "Trainable." in words
        ]

    def end(self) -> None:
        """Kills what belongs to the node, by process id, until nothing is left."""
        deadline = time.monotonic() + 20
        while (
            left := [pid for pid, words in self.processes().items() if words]
        ) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)


@contextlib.contextmanager
def cluster(
    folder: Path, env: dict[str, str], *options: object, nodes: int = 2, dashboard: bool = False
) -> Iterator[list[RayNode]]:
    """A head and further nodes, all with the same options."""
    folder.mkdir(parents=True, exist_ok=True)
    started: list[RayNode] = []
    try:
        for i in range(nodes):
            started.append(
                RayNode.start(
                    folder / f"n{i}",
                    env,
                    *options,
                    head=started[0] if started else None,
                    dashboard=dashboard,
                )
            )
        yield started
    finally:
        for node in started:
            node.end()
