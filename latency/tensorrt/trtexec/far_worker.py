"""The process that times cases through trtexec on another device.

`python -m elat.latency.tensorrt.trtexec.far_worker CARD` speaks the JSON lines of
`elat.latency.worker` with its parent, and the transport of CARD with the device.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import TextIO

from ....devices.device import device_of
from ....devices.reach import transport_to
from ...serving import serve_standard_streams
from .far import FarHost
from .worker import TrtexecWorker


def main() -> None:
    """Serve standard input and output, for the device whose card is the argument."""
    device = device_of(json.loads(sys.argv[1]), "the card")
    host = FarHost(transport_to(device), device.id, device.gates)

    def serve(stdin: TextIO, stdout: TextIO) -> None:
        with suppress(BrokenPipeError):
            TrtexecWorker(stdout, host).serve(iter(stdin))

    serve_standard_streams(serve)


if __name__ == "__main__":
    main()
