"""What listens to the program: a socket in systemd's place, and a prober and scraper of its HTTP address."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from servers import http, wait_for


class NotifySocket:
    """Keeps every line that comes, with the time when it came."""

    def __init__(self, path: Path | str) -> None:
        """A path, or the name of an abstract socket, which begins with '@'."""
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.path[1:] if self.path.startswith("@") else self.path)
        self._socket.setblocking(False)
        self._lines: list[tuple[float, str]] = []

    def lines(self) -> list[str]:
        return [line for _, line in self._received()]

    def times(self, line: str) -> list[float]:
        return [at for at, text in self._received() if text == line]

    def wait(self, line: str, seconds: float = 30) -> None:
        wait_for(f"{line} at NOTIFY_SOCKET", lambda: line in self.lines(), seconds)

    def _received(self) -> list[tuple[float, str]]:
        while True:
            try:
                message = self._socket.recv(65536)
            except BlockingIOError:
                return self._lines
            self._lines += ((time.monotonic(), line) for line in message.decode().splitlines())

    def close(self) -> None:
        self._socket.close()


class Probe:
    """Asks the program's httpListen."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, path: str) -> tuple[int, str]:
        return http("GET", f"http://{self.address}{path}")

    def wait(self, path: str, status: int, part: str = "", seconds: float = 60) -> None:
        def look() -> bool:
            answer = self.get(path)  # status 0 while nobody listens
            return answer[0] == status and part in answer[1]

        wait_for(f"{status} {part!r} at {path}", look, seconds)

    def metrics(self) -> dict[str, float]:
        """By name and labels, as Prometheus' own parser reads them."""
        status, text = self.get("/metrics")
        assert status == 200
        return {
            sample.name + "".join(f"{{{key}={value}}}" for key, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
