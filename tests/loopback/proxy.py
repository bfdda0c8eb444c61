"""A cable between two ports of loopback that can be pulled, held, and cut after so many bytes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from .ports import free_port


class Cable:
    """Carries bytes from `port` to `target` while it is in a `with` block.

    Attributes:
        port: Where to connect to.
        is_stalled: Nothing goes either way, and nobody is told.
        cut_after: It is pulled once so many more bytes have come back.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = free_port()
        self.is_stalled = False
        self.cut_after: int | None = None

    def __enter__(self) -> Cable:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.plug_in()
        return self

    def __exit__(self, *_: object) -> None:
        self.pull()
        self._await(self._settle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def plug_in(self) -> None:
        """Take connections, on the same port as before."""
        self._await(self._listen())

    def pull(self) -> None:
        """Break every connection and take none."""
        self._await(self._unlisten())

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _unlisten(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    async def _settle(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._writers |= ends
        there = asyncio.ensure_future(self._carry(reader, far_writer, is_back=False))
        back = asyncio.ensure_future(self._carry(far_reader, writer, is_back=True))
        try:
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (there, back):
                task.cancel()
            for end in ends:
                end.transport.abort()
            self._writers -= ends

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_back: bool
    ) -> None:
        try:
            while data := await reader.read(65_536):
                while self.is_stalled:
                    await asyncio.sleep(0.02)
                if is_back and self.cut_after is not None:
                    self.cut_after -= len(data)
                    if self.cut_after < 0:
                        self.cut_after = None
                        return
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            return

    def _await(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
