"""What all benchmarks share: how they speak and how servers run around them."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import Iterator

from servers import Server


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def result(bench: str, value: float, unit: str, better: str) -> None:
    print(json.dumps({"bench": bench, "value": round(value, 3), "unit": unit, "better": better}), flush=True)


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait_ready()
        yield
    finally:
        for server in servers:
            server.kill()
