"""Boards and servers over ssh, by the OpenSSH client with a connection that is kept.

Why the client and not a library such as asyncssh: what people have set up works at once (hosts,
keys, agents, hardware keys, jump hosts of ~/.ssh/config); it is a program with two streams, which
is what a worker is spoken to through; and over a kept connection (`ControlMaster`) a command costs
no handshake. What it does badly, exit code 255 for whatever went wrong, is not relied on.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field

from ...core.artefact import sha256_of
from ...core.config import Settings, parse
from ...core.errors import (
    DeviceMissingError,
    DeviceOfflineError,
    DeviceUnauthorisedError,
    TransportError,
    UnavailableError,
)
from . import links
from .link import Link, LinkState, Seen
from .process import run_process
from .quoting import quoted

FOLDER = ".cache/elat"
REBOOT = ("sudo", "-n", "reboot")
HOST = r"^(ssh://)?[A-Za-z0-9_][A-Za-z0-9_.@:%\[\]-]*$"
_MISSING = "The OpenSSH client is not installed; install it with: sudo apt install openssh-client"
_KEPT_S = 60
_CLOSE_S = 5.0
_LONGEST_BASE = 45
"""Of a path of a socket 107 bytes are heard; names below take up to 60 of them."""
_REFUSED = (
    "permission denied",
    "host key verification failed",
    "host identification has changed",
    "too many authentication failures",
    "no matching host key",
)
_UNRESOLVED = ("could not resolve hostname", "name or service not known")


class _Section(Settings):
    host: str = Field(pattern=HOST)
    folder: str = Field(default=FOLDER, min_length=1)
    config: Path | None = None
    reboot: Annotated[tuple[str, ...], Field(min_length=1)] = REBOOT
    connect_timeout_s: int = Field(default=10, gt=0)


@links.register("ssh")
class SshLink(Link):
    """The machine that ssh calls `host`, whose login shell is a POSIX shell.

    Args:
        host: A name of `~/.ssh/config`, `user@machine`, or `ssh://user@machine:port`.
        folder: Work folder; a relative one is below the login folder.
        config: An ssh configuration to use in place of the user's.
        reboot: The command that restarts the machine.
        connect_timeout_s: For how long a connection is tried.
        identity: File of the private key to use; by default as the configuration says.
    """

    def __init__(
        self,
        host: str,
        folder: str = FOLDER,
        config: Path | None = None,
        reboot: Sequence[str] = REBOOT,
        connect_timeout_s: int = 10,
        identity: str | None = None,
    ) -> None:
        self._host = host
        self._folder = folder
        self._config = config
        self._reboot = tuple(reboot)
        self._connect_timeout_s = connect_timeout_s
        self._identity = () if identity is None else ("-i", identity, "-oIdentitiesOnly=yes")

    @classmethod
    def of(cls, section: Mapping[str, Any], where: str) -> Self:
        found = parse(_Section, section, where)
        return cls(found.host, found.folder, found.config, found.reboot, found.connect_timeout_s)

    @property
    def prefix(self) -> str:
        return f"ssh {self._host}"

    @property
    def folder(self) -> str:
        return self._folder

    @property
    def name(self) -> str:
        return self._host

    @property
    def machine(self) -> str:
        """Which machine that is by the ssh configuration, whoever logs in: `host:port`.

        Where the configuration cannot be asked, the host as it was given.
        """
        words = ["ssh", *self._config_words(), "-G", "--", self._host]
        if self.unavailable_reason() or (ended := run_process(words, _CLOSE_S)).exit_code != 0:
            return self._host
        lines = (line.partition(" ") for line in ended.stdout.decode(errors="replace").split("\n"))
        said = {name: value for name, _, value in lines}
        jump = said.get("proxyjump", "none").rpartition("@")[2]
        way = "" if jump == "none" else f" by {jump}"
        return f"{said.get('hostname', self._host)}:{said.get('port', 22)}{way}"

    def unavailable_reason(self) -> str | None:
        return _MISSING if shutil.which("ssh") is None else None

    def words_here(self, words: Sequence[str]) -> list[str]:
        line = quoted(words)
        if not self._is_kept() and (seen := self.look()).state is not LinkState.DEVICE:
            raise self.refusal(seen)
        return [*self._ssh("no"), "--", self._host, line]

    def send_words(self, source: Path, target: str) -> list[str] | None:
        return None

    def receive_words(self, source: str, target: Path) -> list[str] | None:
        return None

    def look(self) -> Seen:
        # What it says goes to a file: the process that keeps the connection holds a pipe open.
        with tempfile.TemporaryFile() as stderr, self._lock():
            words = [*self._ssh("auto"), "--", self._host, "true"]
            ended = run_process(words, 2.0 * self._connect_timeout_s, stderr=stderr)
            stderr.seek(0)
            lines = stderr.read().decode(errors="replace").split("\n")
        said = next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
        if ended.exit_code == 0:
            return Seen(LinkState.DEVICE, said)
        self.close()
        if ended.is_late:
            return Seen(LinkState.OFFLINE, "it is silent")
        if any(words in said.lower() for words in _REFUSED):
            return Seen(LinkState.UNAUTHORISED, said)
        if any(words in said.lower() for words in _UNRESOLVED):
            return Seen(LinkState.MISSING, said)
        return Seen(LinkState.OFFLINE, said)

    def refusal(self, seen: Seen) -> TransportError:
        if "host key" in seen.said.lower():
            return DeviceUnauthorisedError(
                f"{self._host} shows a key that this user does not know ({seen.said}); compare "
                f"it, and log in once by hand: {self.prefix}"
            )
        if seen.state is LinkState.UNAUTHORISED:
            return DeviceUnauthorisedError(
                f"{self._host} does not let this user in ({seen.said}); log in once by hand, and "
                f"give it your key: ssh-copy-id {self._host}"
            )
        if seen.state is LinkState.MISSING:
            return DeviceMissingError(
                f"Nothing is called {self._host} ({seen.said}); repair the card's host, then: "
                f"{self.prefix} true"
            )
        return DeviceOfflineError(
            f"{self._host} does not answer ({seen.said}); see that it is on and in the network, "
            f"then: {self.prefix} true"
        )

    def reboot_words(self) -> list[str]:
        return self.words_here(self._reboot)

    def close(self) -> None:
        # `stop`, for `exit` would end what others do over the same connection.
        if self.unavailable_reason() is None:
            run_process([*self._ssh("no"), "-O", "stop", "--", self._host], _CLOSE_S)
            self._socket().unlink(missing_ok=True)

    def _socket(self) -> Path:
        """Where the process that keeps the connection listens; short, as such paths must be."""
        way = "\n".join([self._host, str(self._config), *self._identity])
        return _control_folder() / sha256_of(way)[:20]

    def _is_kept(self) -> bool:
        """Whether a process keeps a connection, which may be dead nevertheless."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket())) == 0

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Lets one process at a time make the kept connection."""
        with self._socket().with_suffix(".lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _ssh(self, control_master: str) -> list[str]:
        """The client with the options that make it fit for programs.

        Raises:
            UnavailableError: There is no client.
        """
        program = shutil.which("ssh")
        if program is None:
            raise UnavailableError(_MISSING)
        options = {
            "BatchMode": "yes",
            "ClearAllForwardings": "yes",
            "ConnectTimeout": str(self._connect_timeout_s),
            "ControlMaster": control_master,
            "ControlPath": str(self._socket()),
            "ControlPersist": str(_KEPT_S),
            "EscapeChar": "none",
            "ForwardAgent": "no",
            "ForwardX11": "no",
            "RemoteCommand": "none",
            "RequestTTY": "no",
            "ServerAliveCountMax": "3",
            "ServerAliveInterval": "5",
        }
        given = (f"-o{name}={value}" for name, value in options.items())
        return [program, *self._config_words(), *self._identity, *given]

    def _config_words(self) -> list[str]:
        return [] if self._config is None else ["-F", str(self._config)]


def _control_folder() -> Path:
    """A folder for the sockets of kept connections that only this user can enter.

    Raises:
        UnavailableError: Somebody else made one of its name.
    """
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    bases = [base for base in (own, tempfile.gettempdir()) if base and Path(base).is_dir()]
    short = (base for base in bases if len(os.fsencode(base)) <= _LONGEST_BASE)
    folder = Path(next(short, "/tmp")) / f"elat-ssh-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_ours or stat.S_IMODE(found.st_mode) & 0o077:
        raise UnavailableError(
            f"{folder} is open to other users, who could speak for this one; delete it: "
            f"rm -r {folder}"
        )
    return folder
