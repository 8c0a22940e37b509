"""Whether deduplication is on, as a real Pulsar's admin API tells it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from producer import Event, Producer, Run
from program import Program
from secure import PASSWORD, ROLE, SecurePulsar
from servers import ROOT, Pulsar, wait_for
from tokens import Issuer, token


def ask(run: Run, **more: str) -> Event:
    before = len(run.all("deduplication"))
    run.command("deduplication", **more)
    run.wait_for("an answer", lambda: len(run.all("deduplication")) > before)
    return run.all("deduplication")[-1]


def pulsar_admin(broker: Pulsar, command: str) -> None:
    """As it stands, with Pulsar's own tool."""
    program, *arguments = command.split()
    assert program == "pulsar-admin"
    environment = {**os.environ, "PULSAR_LOG_DIR": str(broker.folder / "admin"), "PULSAR_LOG_LEVEL": "warn"}
    tool = [str(broker.home / "bin" / program), "--admin-url", broker.web_url]
    subprocess.run([*tool, *arguments], check=True, capture_output=True, text=True, env=environment)


def test_the_commands_that_it_names_switch_it_on(producer: Producer, broker: Pulsar, name: str) -> None:
    """That for the namespace on a topic with partitions, and that for the topic on one without. The first is the document's."""
    (documented,) = re.findall(r"^    (pulsar-admin .*)", (ROOT / "docs" / "effectively-once.md").read_text(), re.MULTILINE)
    broker.create_namespace(name)
    broker.admin("PUT", f"persistent/public/{name}/parts/partitions", 2)
    for topic, which in (("parts", 0), ("plain", 1)):
        run = producer.start(topic=f"public/{name}/{topic}", web_service_url=broker.web_url)
        answer = ask(run)
        assert (answer["state"], answer["error"]) == ("off", "PULSAR_REFUSED"), answer
        commands = re.findall(r'"(pulsar-admin [^"]*)"', answer["text"])
        assert len(commands) == 2 and commands[0] == documented.replace("TENANT/NAMESPACE", f"public/{name}")
        pulsar_admin(broker, commands[which])
        wait_for(f"{commands[which]} to count", lambda: ask(run)["state"] == "on")
        run.finish()
        broker.admin("POST", f"namespaces/public/{name}/deduplication", False)


def test_a_topic_that_is_not_there_yet(producer: Producer, broker: Pulsar, name: str) -> None:
    """It will get what its namespace says, else what the broker says."""
    run = producer.start(web_service_url=broker.web_url)
    broker.create_namespace(name)
    missing = f"persistent://public/{name}/missing"
    assert "by the broker's default" in ask(run, topic=missing)["text"]
    broker.admin("POST", f"namespaces/public/{name}/deduplication", True)
    wait_for("the policy to count", lambda: ask(run, topic=missing)["state"] == "on")
    broker.admin("POST", f"namespaces/public/{name}/deduplication", False)
    wait_for("the policy to count", lambda: ask(run, topic=missing)["state"] == "off")
    assert "by its namespace's policy" in ask(run, topic=missing)["text"]
    assert "Namespace does not exist" in ask(run, topic=f"public/{name}-not/missing")["text"]
    run.finish()


@pytest.mark.parametrize("way", ["token", "basic", "oauth2", "tls"])
def test_who_may_produce_may_ask(way: str, producer: Producer, secure: SecurePulsar, issuer: Issuer, name: str) -> None:
    own = secure.authority.for_client(ROLE)
    key = producer.folder / "key.json"
    key.write_text(issuer.credentials())
    params = {
        "token": token(ROLE),
        "basic": f"{ROLE}:{PASSWORD}",
        "oauth2": json.dumps({"issuerUrl": issuer.url, "privateKey": key.as_uri()}),
        "tls": f"tlsCertFile:{own.certificate},tlsKeyFile:{own.key}",
    }[way]
    run = producer.start(
        service_url=secure.tls_url,
        web_service_url=secure.web_tls_url,
        tls_trust_certs=secure.authority.certificate,
        auth_plugin=way,
        auth_params=params,
    )
    answer = ask(run)
    assert answer["state"] == "off", answer
    # But not what the namespace says of a topic that is not there.
    answer = ask(run, topic=f"{name}-missing")
    assert (answer["state"], answer["error"]) == ("unknown", "PULSAR_DENIED"), answer
    run.finish()


def test_check_tells_it_to_who_wants_effectively_once(
    program: Program, configure: Callable[..., Path], broker: Pulsar, name: str
) -> None:
    broker.create_namespace(name)
    topic = f"persistent://public/{name}/topic"

    def check(code: int = 0, **configs: str) -> str:
        config = configure(topic=topic, **{"webServiceUrl": broker.web_url, **configs})
        run = program.start("check", "-c", config)
        assert run.wait() == code, run.stdout
        lines = [line for line in run.stdout.splitlines() if "  deduplication  " in line]
        return lines[0] if lines else ""

    assert check() == ""
    once = {"processingGuarantees": "EFFECTIVELY_ONCE"}
    assert check(4, **once).startswith(f"FAIL  deduplication  deduplication is off for {topic} by the broker's default; ")
    assert check(**{**once, "webServiceUrl": " "}).endswith("cannot be seen: webServiceUrl is not set")
    broker.admin("POST", f"namespaces/public/{name}/deduplication", True)
    assert check(**once) == f"ok    deduplication  on for {topic}"
