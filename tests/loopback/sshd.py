"""A real sshd on loopback with keys, port and folder of its own, behind a cable, with faults."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .listener import free_port
from .proxy import Cable

_SSHD = "/usr/sbin/sshd"
HOST, STRANGER, UNKNOWN_KEY = "loop", "loop-stranger", "loop-unknown-key"

_GATE = r"""#!/bin/sh
faults={folder}/faults
PATH={folder}/bin:$PATH
export PATH
if [ -e "$faults/hang" ]; then exec sleep 20; fi
if [ -e "$faults/full" ]; then PATH={folder}/full:$PATH; fi
if [ -e "$faults/terminal" ]; then sh -c "$SSH_ORIGINAL_COMMAND" 2>&1 | sed 's/$/\r/'; exit; fi
exec sh -c "$SSH_ORIGINAL_COMMAND"
"""
# The real cat says what it says where a file system is full.
_FULL = "#!/bin/sh\nexec /bin/cat >/dev/full\n"


@dataclass(frozen=True)
class SshServer:
    """A running server; `config` makes ssh reach it as `HOST`.

    As `STRANGER` it is asked with a key that it does not know, as `UNKNOWN_KEY` it shows one that
    this user does not know.
    """

    folder: Path
    cable: Cable

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """`hang`, `full` or `terminal` for as long as the block lasts."""
        path = self.folder / "faults" / name
        path.touch()
        try:
            yield
        finally:
            path.unlink()


def missing_reason() -> str | None:
    """Why no sshd can be started here."""
    programs = [_SSHD, shutil.which("ssh"), shutil.which("ssh-keygen")]
    if not all(program and Path(program).exists() for program in programs):
        return "there is no sshd; install it with: apt-get install openssh-server"
    if os.getuid() == 0 and not Path("/run").is_dir():
        return "there is no /run, where root's sshd keeps its empty folder"
    return None


@contextmanager
def running_sshd() -> Iterator[SshServer]:
    # A short path: sockets of kept connections are below it.
    folder = Path(tempfile.mkdtemp(prefix="elat-sshd-"))
    port = free_port()
    _write_settings(folder, port)
    process = subprocess.Popen(
        [_SSHD, "-D", "-E", str(folder / "log"), "-f", str(folder / "sshd_config")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process, folder / "log")
        with Cable(port) as cable:
            _write_config(folder, cable.port)
            yield SshServer(folder, cable)
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _write_settings(folder: Path, port: int) -> None:
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "user", "stranger", "other-host"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)],
            check=True,
            stdin=subprocess.DEVNULL,
        )
    shutil.copy(folder / "user.pub", folder / "authorised")
    for name in ("faults", "full", "run", "bin"):
        (folder / name).mkdir(mode=0o700)
    gate, full = folder / "gate", folder / "full" / "cat"
    gate.write_text(_GATE.replace("{folder}", str(folder)))
    full.write_text(_FULL)
    for program in (gate, full):
        program.chmod(0o755)
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorised",
        "PidFile": folder / "pid",
        "ForceCommand": gate,
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "StrictModes": "no",
        "UsePAM": "no",
        "UseDNS": "no",
        # Not the user's own start-up files, which may take long or print.
        "SetEnv": f"HOME={folder} ELAT_LOCKS={folder / 'locks'}",
        "LogLevel": "ERROR",
    }
    _write_pairs(folder / "sshd_config", settings)


def _write_config(folder: Path, port: int) -> None:
    key, other = ((folder / name).read_text() for name in ("host.pub", "other-host.pub"))
    (folder / "known").write_text(f"[127.0.0.1]:{port} {key}")
    (folder / "known-other").write_text(f"[127.0.0.1]:{port} {other}")
    shared = {
        "HostName": "127.0.0.1",
        "Port": port,
        "User": pwd.getpwuid(os.getuid()).pw_name,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
    }
    hosts = {
        HOST: {"IdentityFile": folder / "user", "UserKnownHostsFile": folder / "known"},
        STRANGER: {"IdentityFile": folder / "stranger", "UserKnownHostsFile": folder / "known"},
        UNKNOWN_KEY: {
            "IdentityFile": folder / "user",
            "UserKnownHostsFile": folder / "known-other",
        },
    }
    lines = [
        f"Host {name}\n" + "".join(f"  {k} {v}\n" for k, v in {**shared, **given}.items())
        for name, given in hosts.items()
    ]
    (folder / "config").write_text("".join(lines))


def _write_pairs(path: Path, pairs: dict[str, object]) -> None:
    path.write_text("".join(f"{name} {value}\n" for name, value in pairs.items()))


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"sshd does not listen: {log.read_text()}")
