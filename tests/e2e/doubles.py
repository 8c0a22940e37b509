"""The test doubles of tests/fakes as the programs that they also are."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from program import BINARY
from servers import Server, http


class Double(Server):
    """A test double of tests/fakes, on a port that it picks itself."""

    def __init__(self, name: str, folder: Path, scenario: str) -> None:
        self.name = name
        super().__init__(folder)
        self.scenario = folder / f"{name}.scenario"
        self.scenario.write_text(scenario)

    def command(self) -> list[str]:
        return [str(BINARY.parent / self.name), "--port", "0", "--scenario", str(self.scenario)]

    def is_ready(self) -> bool:
        return self.log.read_text().count(" on 127.0.0.1:") == (2 if self.name == "fake_broker" else 1)

    @property
    def address(self) -> str:
        return self.log.read_text().partition("listening on ")[2].split()[0]

    @property
    def control(self) -> str:
        """fake_aws is steered on its own port."""
        own = self.log.read_text().partition("control on ")[2]
        return own.split()[0] if own else self.address

    def ask(self, what: str) -> str:
        """GET /control/WHAT."""
        status, text = http("GET", f"http://{self.control}/control/{what}")
        assert status == 200, text
        return text

    def tell(self, lines: str) -> None:
        """Scenario lines, now."""
        request = urllib.request.Request(f"http://{self.control}/control", data=lines.encode(), method="POST")
        with urllib.request.urlopen(request, timeout=20) as reply:
            assert reply.status == 200
