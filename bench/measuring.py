"""What all benchmarks share: how they speak and how servers run around them."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from doubles import Double
from program import CREDENTIALS
from servers import Server

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/bench/stream/2026-01-01T00:00:00.000"


def aws_config(aws: Double, folder: Path, application: str, **configs: Any) -> dict[str, Any]:
    """What the program needs to read the whole of ARN's stream from a double; all else has its default."""
    return {
        "awsDynamodbStreamArn": ARN,
        "awsEndpoint": f"http://{aws.address}",
        "dynamoEndpoint": f"http://{aws.address}",
        "awsCredentialPluginParam": CREDENTIALS,
        "applicationName": application,
        "initialPositionInStream": "TRIM_HORIZON",
        "stateDirectory": str(folder / "state"),
        **configs,
    }


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
