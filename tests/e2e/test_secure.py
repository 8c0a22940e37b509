"""The whole program with what its configuration file says of TLS and authentication."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

from program import Program
from secure import ROLE, SecurePulsar
from servers import wait_for
from stream import Table, Writer
from tokens import Issuer, token
from topic import Reader, assert_delivered

Configure = Callable[..., Path]


def assert_all_delivered(secure: SecurePulsar, table: Table, name: str) -> None:
    client = secure.client()
    assert_delivered(table.changes(), Reader(client, name).read_to_end())
    client.close()


def test_tls_and_oauth2(
    program: Program, configure: Configure, table: Table, secure: SecurePulsar, issuer: Issuer, name: str
) -> None:
    """Over the lives of some tokens, none of which is seen anywhere; nor is the client's secret."""
    issuer.seconds = 3
    key = program.folder / "key.json"
    key.write_text(issuer.credentials())
    config = configure(
        serviceUrl=secure.tls_url,
        tlsTrustCertsFilePath=str(secure.authority.certificate),
        authPlugin="org.apache.pulsar.client.impl.auth.oauth2.AuthenticationOAuth2",
        authParams=json.dumps({"issuerUrl": issuer.url, "privateKey": key.as_uri(), "audience": "urn:pulsar"}),
    )
    check = program.start("check", "-c", config)
    assert check.wait() == 0, check.stdout
    with Writer(table):
        run = program.run(config, "--log-level", "debug")
        wait_for("some tokens", lambda: issuer.issued >= 5)
    assert run.terminate() == 0
    program.catch_up(config)
    assert_all_delivered(secure, table, name)
    assert run.event("pulsar", "ready")
    said = "".join(run.stdout + run.stderr for run in program.runs)
    assert issuer.CLIENT_SECRET not in said
    assert "eyJ" not in said  # how every token begins


def test_tls_and_a_certificate_of_ones_own(
    program: Program, configure: Configure, table: Table, secure: SecurePulsar, name: str
) -> None:
    own = secure.authority.for_client(ROLE)
    config = configure(
        serviceUrl=secure.tls_url,
        tlsTrustCertsFilePath=str(secure.authority.certificate),
        authPlugin="tls",
        authParams=f"tlsCertFile:{own.certificate},tlsKeyFile:{own.key}",
    )
    table.put_many(100)
    program.catch_up(config)
    assert_all_delivered(secure, table, name)


def test_client_conf_and_secrets(
    program: Program, configure: Configure, table: Table, secure: SecurePulsar, name: str, tmp_path: Path
) -> None:
    """What is private or known already stays out of the configuration: in Pulsar's client.conf, and in `secrets`."""
    token_file = tmp_path / "token"
    token_file.write_text(token(ROLE) + "\n")
    conf = tmp_path / "client.conf"
    conf.write_text(
        "# for all tools\n"
        f"webServiceUrl={secure.web_url}\n"
        f"brokerServiceUrl={secure.tls_url}\n"
        "authPlugin=org.apache.pulsar.client.impl.auth.AuthenticationToken\n"
        f"authParams={token_file.as_uri()}\n"
        f"tlsTrustCertsFilePath={secure.authority.certificate}\n"
        "tlsEnableHostnameVerification=true\n"
        "useKeyStoreTls=false\n"
    )
    config = configure(serviceUrl="", clientConf=str(conf))
    source = json.loads(config.read_text())
    source["secrets"] = {"awsCredentialPluginParam": source["configs"].pop("awsCredentialPluginParam")}
    config.write_text(json.dumps(source))
    table.put_many(100)
    run = program.catch_up(config)
    assert_all_delivered(secure, table, name)
    assert "eyJ" not in run.stdout + run.stderr
