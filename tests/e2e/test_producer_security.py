"""The producer proves who it is, and wants the broker to do the same."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from certificates import Authority, Pair, replace
from producer import Load, Producer, assert_receipts, assert_stored, numbered
from secure import PASSWORD, ROLE, STRANGER, SecurePulsar
from servers import wait_for
from tokens import Issuer, token
from topic import Reader

PLUGIN = "org.apache.pulsar.client.impl.auth."

Options = dict[str, Any]


@pytest.fixture
def topic(producer: Producer, secure: SecurePulsar) -> Producer:
    """This test's topic on the secure broker, reached by TLS. Who we are, each test adds."""
    producer.defaults.update(service_url=secure.tls_url, tls_trust_certs=secure.authority.certificate)
    return producer


def as_writer(**more: Any) -> Options:
    return {"auth_plugin": "token", "auth_params": f"token:{token(ROLE)}", **more}


def by_certificate(own: Pair) -> Options:
    params = f"tlsCertFile:{own.certificate},tlsKeyFile:{own.key}"
    return {"auth_plugin": PLUGIN + "AuthenticationTls", "auth_params": params}


def assert_works(topic: Producer, **options: Any) -> None:
    topic.send(numbered(0, 3, 1), **options)


def refused(topic: Producer, **options: Any) -> tuple[str, str]:
    """Error and text of a producer that must not come to be, and must say so well before it would give up trying."""
    run = topic.start(**{"create_timeout": 60_000, **options})
    run.wait(30)
    assert not run.all("ready")
    (failed,) = run.all("failed")
    return failed["error"], failed["text"]


# ---- TLS


def test_tls_with_a_trust_file(topic: Producer, secure: SecurePulsar, name: str) -> None:
    sent = list(numbered(0, 100, 5))
    run = topic.send(sent, **as_writer())
    client = secure.client()
    stored = Reader(client, name).read_to_end()
    client.close()
    assert_stored(sent, stored)
    assert_receipts(run, sent, stored)


def test_a_broker_of_an_unknown_authority_is_refused(topic: Producer, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "other")
    error, text = refused(topic, **as_writer(tls_trust_certs=other.certificate))
    assert error == "PULSAR_TLS", text
    assert str(other.certificate) in text


def test_a_broker_unknown_to_the_systems_store_is_refused(topic: Producer) -> None:
    del topic.defaults["tls_trust_certs"]
    error, text = refused(topic, **as_writer())
    assert error == "PULSAR_TLS", text
    assert "trust" in text


def test_a_broker_of_another_name_is_refused(topic: Producer, secure: SecurePulsar) -> None:
    error, text = refused(topic, **as_writer(service_url=f"pulsar+ssl://127.0.0.1:{secure.tls_port}"))
    assert error == "PULSAR_TLS", text
    assert "127.0.0.1" in text


def test_any_name_will_do_if_that_is_wanted(topic: Producer, secure: SecurePulsar) -> None:
    assert_works(topic, **as_writer(service_url=f"pulsar+ssl://127.0.0.1:{secure.tls_port}", tls_any_hostname=True))


def test_any_certificate_will_do_if_that_is_wanted(topic: Producer) -> None:
    del topic.defaults["tls_trust_certs"]
    assert_works(topic, **as_writer(tls_allow_insecure=True))


def test_tls_to_a_port_without_it_is_an_error(topic: Producer, secure: SecurePulsar) -> None:
    url = f"pulsar+ssl://localhost:{secure.broker_port}"
    _, text = refused(topic, **as_writer(service_url=url, create_timeout=1_000))
    assert "is it a port for TLS?" in text


def test_no_tls_to_a_port_with_it_is_an_error(topic: Producer, secure: SecurePulsar) -> None:
    url = f"pulsar://localhost:{secure.tls_port}"
    _, text = refused(topic, **as_writer(service_url=url, create_timeout=1_000))
    assert "does it want TLS?" in text


# ---- certificates of ours


def test_tls_authentication(topic: Producer, secure: SecurePulsar) -> None:
    assert_works(topic, **by_certificate(secure.authority.for_client(ROLE)))


def test_a_strangers_certificate_may_not_produce(topic: Producer, secure: SecurePulsar) -> None:
    error, text = refused(topic, **by_certificate(secure.authority.for_client(STRANGER)))
    assert error == "PULSAR_DENIED", text


def test_without_a_certificate_there_is_no_tls_authentication(topic: Producer) -> None:
    error, text = refused(topic)
    assert error == "PULSAR_AUTH", text


# ---- tokens


@pytest.mark.parametrize("form", ["token:", "bare", "file:", "env:"])
@pytest.mark.parametrize("plugin", ["token", PLUGIN + "AuthenticationToken"])
def test_a_token_wherever_it_is(topic: Producer, tmp_path: Path, form: str, plugin: str) -> None:
    text = token(ROLE)
    file = tmp_path / "token.jwt"
    file.write_text(text + "\n")  # as most editors and secrets managers write it
    params = {"token:": f"token:{text}", "bare": text, "file:": f"file://{file}", "env:": "env:A_TOKEN"}[form]
    run = topic.start(auth_plugin=plugin, auth_params=params, environment={"A_TOKEN": text})
    run.send(numbered(0, 3, 1))
    run.finish()


def test_a_token_of_another_secret_is_refused(topic: Producer) -> None:
    false = token(ROLE, secret=b"of somebody else, who is not asked to let anybody in")
    error, text = refused(topic, auth_plugin="token", auth_params=false)
    assert error == "PULSAR_AUTH", text
    assert false not in topic.runs[0].stdout_path.read_text() + topic.runs[0].stderr_path.read_text()


def test_a_strangers_token_may_not_produce(topic: Producer) -> None:
    error, text = refused(topic, auth_plugin="token", auth_params=token(STRANGER))
    assert error == "PULSAR_DENIED", text


def test_a_token_that_is_renewed_in_its_file_goes_on(topic: Producer, tmp_path: Path) -> None:
    """Over the lives of several tokens, on one connection: the broker asks for a new one when the old one ends."""
    file = tmp_path / "token"
    file.write_text(token(ROLE, seconds=3))
    run = topic.start(auth_plugin="token", auth_params=f"file://{file}")
    with Load(run):
        started = time.monotonic()
        while time.monotonic() < started + 9:
            new = tmp_path / "new"
            new.write_text(token(ROLE, seconds=3) + "\n")
            new.replace(file)
            run.wait_receipts(len(run.receipts) + 50)
    run.finish()
    assert not run.all("disconnected")


def test_a_token_that_ends_stops_the_stream_until_there_is_a_new_one(topic: Producer, tmp_path: Path) -> None:
    """Once it worked, wrong credentials are no reason to give up: they are renewed by somebody else."""
    file = tmp_path / "token"
    file.write_text(token(ROLE, seconds=2))
    run = topic.start(auth_plugin="token", auth_params=f"file://{file}", backoff_max=500)
    with Load(run) as load:
        run.event("disconnected")
        replace(file, write(tmp_path / "other", token(ROLE)))
        run.event("connected")
        run.wait_receipts(len(run.receipts) + 200)
    run.finish()
    assert len(run.receipts) == len(load.messages)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# ---- passwords


@pytest.mark.parametrize("params", [json.dumps({"userId": ROLE, "password": PASSWORD}), f"{ROLE}:{PASSWORD}"])
@pytest.mark.parametrize("plugin", ["basic", PLUGIN + "AuthenticationBasic"])
def test_a_password(topic: Producer, plugin: str, params: str) -> None:
    assert_works(topic, auth_plugin=plugin, auth_params=params)


def test_a_wrong_password_is_refused(topic: Producer) -> None:
    error, text = refused(topic, auth_plugin="basic", auth_params=f"{ROLE}:not-{PASSWORD}")
    assert error == "PULSAR_AUTH", text
    assert PASSWORD not in topic.runs[0].stdout_path.read_text() + topic.runs[0].stderr_path.read_text()


# ---- OAuth2


def as_client_of(issuer: Issuer, private_key: str) -> Options:
    params = {"issuerUrl": issuer.url, "privateKey": private_key, "audience": "urn:a pulsar"}
    params["type"] = "client_credentials"
    return {"auth_plugin": PLUGIN + "oauth2.AuthenticationOAuth2", "auth_params": json.dumps(params)}


def data_url(text: str) -> str:
    return "data:application/json;base64," + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("form", ["path", "file", "data"])
def test_oauth2_with_a_key_wherever_it_is(topic: Producer, issuer: Issuer, tmp_path: Path, form: str) -> None:
    file = write(tmp_path / "key.json", issuer.credentials())
    key = {"path": str(file), "file": f"file://{file}", "data": data_url(issuer.credentials())}[form]
    assert_works(topic, **as_client_of(issuer, key))
    assert issuer.issued == 1
    (form_sent,) = issuer.requests
    assert form_sent["audience"] == "urn:a pulsar"


def test_a_refused_client_hears_the_issuers_words(topic: Producer, issuer: Issuer) -> None:
    key = data_url(issuer.credentials(client_secret="not the secret"))
    error, text = refused(topic, **as_client_of(issuer, key))
    assert error == "PULSAR_AUTH", text
    assert issuer.REFUSAL in text
    assert "not the secret" not in text.replace(issuer.REFUSAL, "")


def test_oauth2_goes_on_over_the_lives_of_its_tokens(topic: Producer, issuer: Issuer) -> None:
    issuer.seconds = 6
    run = topic.start(**as_client_of(issuer, data_url(issuer.credentials())))
    with Load(run):
        wait_for("four tokens", lambda: issuer.issued >= 4)
        run.wait_receipts(len(run.receipts) + 100)
    run.finish()
    assert not run.all("disconnected")


def test_an_issuer_that_is_away_while_the_token_lives_changes_nothing(topic: Producer, issuer: Issuer) -> None:
    """It is away when the new token is due (well before the old one's end), and comes back before the old one's end."""
    issuer.seconds = 12
    run = topic.start(**as_client_of(issuer, data_url(issuer.credentials())))
    with Load(run):
        run.wait_receipts(100)
        end = time.monotonic() + 12
        issuer.stop()
        run.wait_for("the last seconds", lambda: time.monotonic() > end - 1)
        issuer.start()
        wait_for("another token", lambda: issuer.issued >= 2)
        run.wait_for("the old one's end", lambda: time.monotonic() > end + 2)
        run.wait_receipts(len(run.receipts) + 100)
    run.finish()
    assert not run.all("disconnected")


def test_oauth2_survives_an_issuer_that_is_away_for_too_long(topic: Producer, issuer: Issuer) -> None:
    issuer.seconds = 2
    run = topic.start(**as_client_of(issuer, data_url(issuer.credentials())), backoff_max=500)
    with Load(run) as load:
        run.wait_receipts(100)
        issuer.stop()
        run.event("disconnected")
        issuer.seconds = 60
        issuer.start()
        run.event("connected")
        run.wait_receipts(len(run.receipts) + 100)
    run.finish()
    assert len(run.receipts) == len(load.messages)


# ---- all of it lost and made anew


@pytest.mark.optimised_only  # a minute, most of it a JVM's
def test_a_broker_that_comes_back_with_new_certificates(producer: Producer, strict: SecurePulsar, name: str) -> None:
    """A broker that wants a certificate at the door. It is killed twice under load; while it is away the second time,
    authority and certificates are replaced everywhere. Files are read anew, so both streams go on: one as usual, and
    one with ids of its own into a namespace without duplicates."""
    mine = strict.authority.for_client(ROLE)
    trust = strict.folder / "trust.pem"
    replace(trust, strict.authority.certificate)
    strict.create_namespace("exact", deduplication=True)
    strict.admin("POST", f"namespaces/public/exact/permissions/{ROLE}", ["produce"])
    topics = (f"public/default/{name}", f"public/exact/{name}")
    for topic in topics:
        strict.admin("PUT", f"persistent/{topic}/partitions", 3)
    producer.defaults.update(service_url=strict.tls_url, topic=topics[0], tls_trust_certs=trust)

    refused(producer, **as_writer())  # without a certificate not even with a token

    # What comes while the broker is away, and is more than that, waits outside.
    producer.defaults.update(backoff_max=1_000, pending_messages=2_000)
    # The certificate is who the one is; the other shows it at the door, and then a token.
    usual = producer.start(**by_certificate(mine))
    options = as_writer(tls_certificate=mine.certificate, tls_key=mine.key)
    exact = producer.start(topic=topics[1], name="exact", explicit_ids=True, **options)
    with Load(usual) as usual_load, Load(exact, ids=True) as exact_load:
        for renew in (False, True):
            before = [(run, len(run.all("disconnected"))) for run in (usual, exact)]
            for run in (usual, exact):
                run.wait_receipts(len(run.receipts) + 300)
            strict.kill()
            for run, count in before:
                run.wait_for("the loss", lambda run=run, count=count: len(run.all("disconnected")) > count)
            if renew:
                new = Authority(strict.folder / "renewed", "renewed")
                strict.certificate.become(new.for_server("broker", "DNS:localhost"))
                mine.become(new.for_client(ROLE))
                replace(trust, new.certificate)
                replace(strict.authority.certificate, new.certificate)
            strict.start()
        for run in (usual, exact):
            run.wait_receipts(len(run.receipts) + 300)
    client = strict.client()
    for run, topic, load in zip((usual, exact), topics, (usual_load, exact_load)):
        run.finish()
        stored = Reader(client, topic, 3).read_to_end()
        repetitions = assert_stored(load.messages, stored)
        assert_receipts(run, load.messages, stored)
        print(f"{topic}: {len(load.messages)} messages, {repetitions} repeated")
        assert repetitions == 0 or run is usual
    client.close()
