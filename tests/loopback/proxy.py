"""A cable between two ports of loopback that can be pulled, held, and cut after so many bytes."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from .listener import Listener


class Cable(Listener):
    """Carries bytes from `port` to `target`.

    Attributes:
        is_stalled: Nothing goes either way, and nobody is told.
        cut_after: It is pulled once so many more bytes have come back.
    """

    def __init__(self, target: int) -> None:
        super().__init__()
        self._target = target
        self.is_stalled = False
        self.cut_after: int | None = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            return
        there = asyncio.ensure_future(self._carry(reader, far_writer, is_back=False))
        back = asyncio.ensure_future(self._carry(far_reader, writer, is_back=True))
        try:
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (there, back):
                task.cancel()
            far_writer.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_back: bool
    ) -> None:
        with suppress(ConnectionError):
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
