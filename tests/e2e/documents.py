"""What the documentation shows as commands, and a shell that runs them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from program import BINARY, plain_environment
from servers import ROOT


def commands(document: str) -> list[str]:
    """What stands behind "$ " in the blocks of kind console."""
    text = (ROOT / "docs" / document).read_text()
    blocks = re.findall(r"^ *```console\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [line.strip()[2:] for block in blocks for line in block.splitlines() if line.strip().startswith("$ ")]


def shell(command: str, folder: Path, **variables: str) -> subprocess.Popen[str]:
    environment = {**plain_environment(), "PATH": f"{BINARY.parent}:{os.environ['PATH']}", **variables}
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "bash", "-c", f"exec {command}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
