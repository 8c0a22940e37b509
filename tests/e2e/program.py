"""The program under test: its configuration file, and one object for each time it runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from servers import ACCESS_KEY, REGION, ROOT, SECRET_KEY, end_of, wait_for

BINARY = (ROOT / os.environ.get("DDB2PULSAR_BUILD", "build") / "ddb2pulsar").resolve()
CREDENTIALS = json.dumps({"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY})


# What keeps tests short. Not for demo and benchmarks, which show what a user gets.
QUICK = {"failoverTime": "3000", "minPollInterval": "50", "maxPollInterval": "200"}


def source_config(
    *,
    stream_arn: str,
    dynamodb_url: str,
    pulsar_url: str,
    topic: str,
    application: str,
    state: Path,
    producer: dict[str, Any] | None = None,
    **configs: Any,
) -> dict[str, Any]:
    """A file as for `pulsar-admin sources create --source-config-file`, with what a real Pulsar and a DynamoDB Local
    need; all else has its default. Numbers are strings, as people write them there."""
    config: dict[str, Any] = {
        "tenant": "public",
        "namespace": "default",
        "name": application,
        "topicName": topic,
        "configs": {
            "awsDynamodbStreamArn": stream_arn,
            "awsRegion": REGION,
            "awsEndpoint": dynamodb_url,
            "dynamoEndpoint": dynamodb_url,
            "awsCredentialPluginName": "",
            "awsCredentialPluginParam": CREDENTIALS,
            "applicationName": application,
            "initialPositionInStream": "TRIM_HORIZON",
            "serviceUrl": pulsar_url,
            "stateDirectory": str(state),
            **configs,
        },
    }
    if producer is not None:
        config["producerConfig"] = producer
    return config


def plain_environment() -> dict[str, str]:
    """Without the variables that the program takes for its configuration."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DDB2PULSAR_")}


class Run:
    """One process of the program. Its output is in files beside each other."""

    def __init__(self, folder: Path, number: int, arguments: list[str], environment: dict[str, str]) -> None:
        self.arguments = arguments
        self.stdout_path = folder / f"run-{number}.stdout"
        self.stderr_path = folder / f"run-{number}.stderr"
        with self.stdout_path.open("wb") as out, self.stderr_path.open("wb") as err:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", str(BINARY), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**plain_environment(), **environment},
            )

    @property
    def stdout(self) -> str:
        return self.stdout_path.read_text()

    @property
    def stderr(self) -> str:
        return self.stderr_path.read_text(errors="replace")

    def events(self) -> list[dict[str, Any]]:
        """The log so far, with --log-format json. A line that is being written is left out."""
        complete = self.stderr.rpartition("\n")[0]
        return [json.loads(line) for line in complete.split("\n") if line.startswith("{")]

    def event(self, area: str, name: str) -> dict[str, Any] | None:
        """The first log line of this kind so far."""
        return next((e for e in self.events() if (e["area"], e["event"]) == (area, name)), None)

    def is_running(self) -> bool:
        return self.process.poll() is None

    def wait(self, seconds: float = 60) -> int:
        """The exit code; a process that does not end in time fails the test."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds:.0f} s:\n{end_of(self.stderr_path)}") from None

    def terminate(self, seconds: float = 60) -> int:
        """SIGTERM, and the exit code of the clean stop that it asks for."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def succeed(self, seconds: float = 60) -> None:
        """Waits for the end, which must be exit code 0."""
        code = self.wait(seconds)
        assert code == 0, f"exit code {code}:\n{end_of(self.stderr_path)}"

    def check(self) -> None:
        """A sanitizer's report fails the test, whatever else happened."""
        assert "Sanitizer" not in self.stderr, end_of(self.stderr_path, 200)


class Program:
    """Runs the program, any number of times, with files in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: list[Run] = []

    def write(self, config: dict[str, Any], name: str = "source.json") -> Path:
        path = self.folder / name
        path.write_text(json.dumps(config, indent=4) + "\n")
        return path

    def start(self, *arguments: str | Path, environment: dict[str, str] | None = None) -> Run:
        run = Run(self.folder, len(self.runs) + 1, [str(a) for a in arguments], environment or {})
        self.runs.append(run)
        return run

    def run(self, config: Path, *arguments: str) -> Run:
        return self.start("run", "-c", config, "--log-format", "json", *arguments)

    def catch_up(self, config: Path, *arguments: str, seconds: float = 60) -> Run:
        """Runs until everything that is in the stream is delivered."""
        run = self.run(config, "--until-caught-up", *arguments)
        run.succeed(seconds)
        return run

    def assert_well(self) -> None:
        """Fails when a run has ended by itself with an error."""
        for run in self.runs:
            code = run.process.poll()
            assert code in (None, 0, -signal.SIGKILL), f"exit code {code}:\n{end_of(run.stderr_path)}"

    def close(self) -> None:
        for run in self.runs:
            if run.is_running():
                run.kill()
        for run in self.runs:
            run.check()


def wait_for_event(run: Run, area: str, name: str, seconds: float = 60) -> dict[str, Any]:
    """The first log line of this kind, once it is there. Fails at once when the program ends before."""

    def look() -> dict[str, Any] | None:
        running = run.is_running()
        found = run.event(area, name)
        assert found or running, f"ended before it logged {area} {name}:\n{end_of(run.stderr_path)}"
        return found

    return wait_for(f"log line {area} {name}", look, seconds)
