"""A phone on loopback: the device's side of adb's protocol, with faults that tests switch on.

The real adb client and server speak to it as to a phone over the network: messages and streams
(adb/protocol.txt of the Android sources), the shell protocol with exit codes (shell_protocol.h),
`sync:` with STAT, LST2, STA2, SEND, RECV and LIST (SYNC.TXT), and `reboot:`. Its commands run on
this machine in a folder of their own; only files in that folder are pushed and pulled.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .listener import Listener

CNXN, OPEN, OKAY, WRTE, CLSE, AUTH = (
    int.from_bytes(name, "little")
    for name in (b"CNXN", b"OPEN", b"OKAY", b"WRTE", b"CLSE", b"AUTH")
)
VERSION = 0x01000001  # from here on the sum of the data is not checked
AUTH_TOKEN = 1
LONGEST_PAYLOAD = 256 * 1024
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)


@dataclass
class Faults:
    """What is wrong with the phone.

    Attributes:
        is_unauthorised: It never accepts a key.
        is_hanging: Commands start and neither print nor end.
        is_old: It has no shell protocol: one stream through a terminal, and no exit codes.
        is_full: Nothing more can be pushed.
        truncated_after: After so many bytes of output a command's stream breaks off.
        cable_after: After so many bytes of output, or of a file pushed, the cable is pulled.
        reboot_s: For how long a restart takes.
    """

    is_unauthorised: bool = False
    is_hanging: bool = False
    is_old: bool = False
    is_full: bool = False
    truncated_after: int | None = None
    cable_after: int | None = None
    reboot_s: float = 0.5


class Phone(Listener):
    """A phone that adb can connect to; what runs on it goes on when its cable is pulled.

    Attributes:
        root: Where its files are, and its commands run.
        programs: A folder ahead of this machine's on its commands' path.
        reboots: How often it was restarted.
        on_restarted: Called when it is there again.
    """

    def __init__(self, root: Path, programs: Path) -> None:
        super().__init__()
        self.root = root
        self.programs = programs
        self.faults = Faults()
        self.reboots = 0
        self.on_restarted: Callable[[], None] = lambda: None

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def restart(self) -> None:
        """Go, end every command, and come back after a while."""
        await self._unlisten()
        self.reboots += 1
        await asyncio.sleep(self.faults.reboot_s)
        await self._listen()
        await asyncio.to_thread(self.on_restarted)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _Connection(self, reader, writer).serve()


class _Connection:
    """One connection of the adb server, with its streams."""

    def __init__(
        self, phone: Phone, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.phone = phone
        self._reader = reader
        self._writer = writer
        self._streams: dict[int, _Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._opened = 0
        self._sent = 0

    def abort(self) -> None:
        """Break off, as when the cable is pulled."""
        self._writer.transport.abort()

    async def send(self, command: int, first: int, second: int, data: bytes = b"") -> None:
        head = struct.pack("<6I", command, first, second, len(data), 0, command ^ 0xFFFFFFFF)
        self._writer.write(head + data)
        with suppress(ConnectionError):
            await self._writer.drain()

    def close(self, stream: int) -> None:
        self._streams.pop(stream, None)

    def count(self, size: int) -> None:
        """Pull the cable once as much has gone over it as the fault says."""
        self._sent += size
        limit = self.phone.faults.cable_after
        if limit is not None and self._sent > limit:
            self.abort()
            raise ConnectionResetError

    async def serve(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._answer()
        for stream in self._streams.values():
            stream.feed(None)
        for task in self._tasks:
            task.cancel()

    async def _answer(self) -> None:
        head = await self._reader.readexactly(24)
        command, first, second, size, _, magic = struct.unpack("<6I", head)
        if magic != command ^ 0xFFFFFFFF:
            raise ConnectionResetError
        data = await self._reader.readexactly(size) if size else b""
        if command in (CNXN, AUTH):
            await self._greet()
        elif command == OPEN:
            self._open(first, data.rstrip(b"\0"))
        elif command == WRTE and second in self._streams:
            self._streams[second].feed(data)
            await self.send(OKAY, second, first)
        elif command == OKAY and second in self._streams:
            self._streams[second].is_taken.set()
        elif command == CLSE and second in self._streams:
            self._streams.pop(second).feed(None)

    async def _greet(self) -> None:
        if self.phone.faults.is_unauthorised:
            await self.send(AUTH, AUTH_TOKEN, 0, os.urandom(20))
            return
        features = "stat_v2" if self.phone.faults.is_old else "shell_v2,cmd,stat_v2"
        facts = {
            "ro.product.name": "loop",
            "ro.product.model": "Loop",
            "ro.product.device": "loop",
        }
        banner = "".join(f"{key}={value};" for key, value in facts.items())
        text = f"device::{banner}features={features}"
        await self.send(CNXN, VERSION, LONGEST_PAYLOAD, text.encode())

    def _open(self, remote: int, service: bytes) -> None:
        self._opened += 1
        stream = _Stream(self, self._opened, remote)
        self._streams[self._opened] = stream
        task = asyncio.create_task(self._run(stream, os.fsdecode(service)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, stream: _Stream, service: str) -> None:
        await self.send(OKAY, stream.local, stream.remote)
        with suppress(EOFError, ConnectionError):
            if service.startswith(("shell,", "shell:")):
                await _Shell(stream, self.phone).serve(service)
            elif service.startswith("sync:"):
                await _Sync(stream, self.phone).serve()
            elif service.startswith("reboot:"):
                stream.restart = asyncio.ensure_future(self.phone.restart())
                await asyncio.shield(stream.restart)
        self.close(stream.local)
        await self.send(CLSE, stream.local, stream.remote)


class _Stream:
    """One stream: each piece is sent when the one before has been taken."""

    def __init__(self, connection: _Connection, local: int, remote: int) -> None:
        self.connection = connection
        self.local = local
        self.remote = remote
        self.is_taken = asyncio.Event()
        self.restart: asyncio.Future[None] | None = None
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._rest = b""
        self._lock = asyncio.Lock()

    def feed(self, data: bytes | None) -> None:
        """Take what came; None is the end, also of what is being written."""
        self._pieces.put_nowait(data)
        if data is None:
            self.is_taken.set()

    async def write(self, data: bytes) -> None:
        async with self._lock:
            for start in range(0, len(data), LONGEST_PAYLOAD):
                piece = data[start : start + LONGEST_PAYLOAD]
                self.connection.count(len(piece))
                self.is_taken.clear()
                await self.connection.send(WRTE, self.local, self.remote, piece)
                await self.is_taken.wait()

    async def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            piece = await self._pieces.get()
            if piece is None:
                raise EOFError
            self.connection.count(len(piece))
            self._rest += piece
        found, self._rest = self._rest[:size], self._rest[size:]
        return found


class _Shell:
    """`shell`: with the shell protocol, or as before Android 7."""

    def __init__(self, stream: _Stream, phone: Phone) -> None:
        self._stream = stream
        self._phone = phone
        self._printed = 0

    async def serve(self, service: str) -> None:
        head, _, line = service.partition(":")
        if self._phone.faults.is_hanging:
            await asyncio.Event().wait()
        has_protocol = "v2" in head.split(",")
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", line),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE if has_protocol else asyncio.subprocess.STDOUT,
            cwd=self._phone.root,
            env={**os.environ, "PATH": f"{self._phone.programs}:{os.environ['PATH']}"},
            start_new_session=True,
        )
        feeding = asyncio.create_task(self._feed(process, has_protocol))
        try:
            await self._answer(process, has_protocol)
        finally:
            feeding.cancel()
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGHUP)
            # Its pipes stay open otherwise where this is cancelled.
            process._transport.close()  # type: ignore[attr-defined]

    async def _answer(self, process: asyncio.subprocess.Process, has_protocol: bool) -> None:
        streams = [(process.stdout, STDOUT), (process.stderr, STDERR)]
        await asyncio.gather(
            *(self._pump(pipe, kind, has_protocol) for pipe, kind in streams if pipe is not None)
        )
        code = await process.wait()
        if has_protocol:
            code = 128 - code if code < 0 else code
            await self._stream.write(struct.pack("<BIB", EXIT, 1, code))

    async def _pump(self, pipe: asyncio.StreamReader, kind: int, has_protocol: bool) -> None:
        while data := await pipe.read(60_000):
            limit = self._phone.faults.truncated_after
            if limit is not None and self._printed + len(data) > limit:
                data = data[: max(0, limit - self._printed)]
                await self._write(data, kind, has_protocol)
                raise EOFError
            self._printed += len(data)
            await self._write(data, kind, has_protocol)

    async def _write(self, data: bytes, kind: int, has_protocol: bool) -> None:
        if has_protocol:
            await self._stream.write(struct.pack("<BI", kind, len(data)) + data)
        else:
            await self._stream.write(data.replace(b"\n", b"\r\n"))

    async def _feed(self, process: asyncio.subprocess.Process, has_protocol: bool) -> None:
        pipe = process.stdin
        if pipe is None:
            return
        with suppress(EOFError, ConnectionError):
            while has_protocol:
                kind, size = struct.unpack("<BI", await self._stream.read(5))
                data = await self._stream.read(size)
                if kind == CLOSE_STDIN:
                    break
                if kind == STDIN:
                    pipe.write(data)
                    await pipe.drain()
            if not has_protocol:
                await self._stream.read(1 << 40)
        pipe.close()


class _Sync:
    """`sync:`, which copies files."""

    def __init__(self, stream: _Stream, phone: Phone) -> None:
        self._stream = stream
        self._phone = phone

    async def serve(self) -> None:
        while True:
            kind, size = struct.unpack("<4sI", await self._stream.read(8))
            name = os.fsdecode(await self._stream.read(size))
            if kind == b"QUIT":
                return
            try:
                await self._answer(kind, name)
            except OSError as error:
                await self._fail(f"{kind.decode()} failed: {os.strerror(error.errno or 0)}")

    async def _answer(self, kind: bytes, name: str) -> None:
        if kind == b"STAT":
            await self._stat(name)
        elif kind in (b"LST2", b"STA2"):
            await self._stat_v2(kind, name)
        elif kind == b"SEND":
            await self._take(name)
        elif kind == b"RECV":
            await self._give(name)
        elif kind == b"LIST":
            await self._list(name)
        else:
            await self._fail(f"unknown request {kind!r}")

    def _path(self, name: str) -> Path:
        path = Path(os.path.normpath(self._phone.root / name))
        if not path.is_relative_to(self._phone.root):
            raise PermissionError(errno.EACCES, "outside")
        return path

    async def _stat(self, name: str) -> None:
        try:
            found = self._path(name).stat()
            facts = (found.st_mode, found.st_size, int(found.st_mtime))
        except OSError:
            facts = (0, 0, 0)
        await self._stream.write(b"STAT" + struct.pack("<3I", *facts))

    async def _stat_v2(self, kind: bytes, name: str) -> None:
        try:
            path = self._path(name)
            found = path.stat() if kind == b"STA2" else path.lstat()
        except OSError as error:
            await self._stream.write(
                kind + struct.pack("<IQQIIIIQqqq", error.errno or 5, *([0] * 10))
            )
            return
        facts = (found.st_dev, found.st_ino, found.st_mode, found.st_nlink, found.st_uid,
                 found.st_gid, found.st_size, int(found.st_atime), int(found.st_mtime),
                 int(found.st_ctime))  # fmt: skip
        await self._stream.write(kind + struct.pack("<IQQIIIIQqqq", 0, *facts))

    async def _take(self, text: str) -> None:
        """A file; after an error what still comes is read and dropped, as the real one does."""
        name, _, mode = text.rpartition(",")
        failure, content = "", bytearray()
        try:
            path = self._path(name)
        except PermissionError as error:
            failure = f"couldn't create file: {os.strerror(error.errno or 0)}"
        while True:
            kind, size = struct.unpack("<4sI", await self._stream.read(8))
            if kind == b"DONE":
                break
            content += await self._stream.read(size)
            if self._phone.faults.is_full and not failure:
                failure = f"write failed: {os.strerror(errno.ENOSPC)}"
                await self._fail(failure)
        if failure:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(int(mode) & 0o777)
        await self._stream.write(b"OKAY" + struct.pack("<I", 0))

    async def _give(self, name: str) -> None:
        content = self._path(name).read_bytes()
        for start in range(0, len(content), 65_536):
            piece = content[start : start + 65_536]
            await self._stream.write(b"DATA" + struct.pack("<I", len(piece)) + piece)
        await self._stream.write(b"DONE" + struct.pack("<I", 0))

    async def _list(self, name: str) -> None:
        for path in sorted(self._path(name).iterdir()):
            found, label = path.lstat(), os.fsencode(path.name)
            facts = (found.st_mode, found.st_size, int(found.st_mtime), len(label))
            await self._stream.write(b"DENT" + struct.pack("<4I", *facts) + label)
        await self._stream.write(b"DONE" + struct.pack("<4I", 0, 0, 0, 0))

    async def _fail(self, said: str) -> None:
        await self._stream.write(b"FAIL" + struct.pack("<I", len(said)) + said.encode())
