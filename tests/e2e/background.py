"""What a test does again and again beside what it is about."""

from __future__ import annotations

import threading
from typing import TypeVar

B = TypeVar("B", bound="Background")


class Background:
    """Does its turn again and again, in a thread of its own, from start() to stop() or as long as a `with` lasts. What goes
    wrong in there is raised in the test's thread, by stop() or assert_well()."""

    def __init__(self, pause: float) -> None:
        """pause: seconds before each turn."""
        self._pause = pause
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def turn(self) -> None:
        raise NotImplementedError

    def stuck(self) -> str:
        """What to say when a turn does not come to its end."""
        return "it does not stop"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), self.stuck()
        self.assert_well()

    def assert_well(self) -> None:
        if self._failure is not None:
            raise self._failure

    def __enter__(self: B) -> B:
        self.start()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self.stop()
        else:  # which says more
            self._stopping.set()

    def _run(self) -> None:
        try:
            while not self._stopping.wait(self._pause):
                self.turn()
        except BaseException as failure:
            self._failure = failure
