"""Keys come from every place where AWS's clients look for them, and `check` names it."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

from certificates import Authority
from doubles import Double
from key_places import KeyPlaces, iso
from program import BINARY, Program, Run
from servers import wait_for
from test_doubles import ARN, PARENT

ROLE = "arn:aws:iam::123456789012:role/"


@pytest.fixture
def places(tmp_path: Path) -> Iterator[KeyPlaces]:
    places = KeyPlaces(Authority(tmp_path / "authority", "ours"))
    yield places
    places.close()


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Double]:
    double = Double("fake_aws", tmp_path, f"stream {ARN} hash id view NEW_AND_OLD_IMAGES\nshard {PARENT}\nfill {PARENT} 100 600\n")
    double.start()
    yield double
    double.kill()


class Account:
    """A machine without any keys but those that a test puts there, and a service that takes one key only."""

    def __init__(self, program: Program, aws: Double, places: KeyPlaces) -> None:
        self.program = program
        self.aws = aws
        self.home = program.folder / "home"
        (self.home / ".aws").mkdir(parents=True)
        self.environment = {
            "HOME": str(self.home),
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CA_BUNDLE": str(places.authority.certificate),
            "HTTPS_PROXY": places.url,
        }
        self.configs: dict[str, Any] = {}

    def write(self, name: str, text: str) -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def config(self) -> Path:
        return self.program.write(
            {
                "awsDynamodbStreamArn": ARN,
                "awsEndpoint": f"http://{self.aws.address}",
                "dynamoEndpoint": f"http://{self.aws.address}",
                "initialPositionInStream": "TRIM_HORIZON",
                "sink": "none",
                "stateDirectory": str(self.program.folder / "state"),
                **self.configs,
            }
        )

    def accept(self, access_key: str) -> None:
        self.aws.tell(f"credentials {access_key}\n")

    def assert_source(self, access_key: str, source: str) -> None:
        self.accept(access_key)
        check = self.program.start("check", "-c", self.config(), environment=self.environment)
        assert check.wait() == 0, check.stdout
        assert f"ok    credentials    {source}\n" in check.stdout
        assert "a-secret" not in check.stdout + check.stderr


@pytest.fixture
def account(program: Program, aws: Double, places: KeyPlaces, monkeypatch: pytest.MonkeyPatch) -> Account:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return Account(program, aws, places)


def test_environment(account: Account) -> None:
    account.environment.update(AWS_ACCESS_KEY_ID="VARIABLE", AWS_SECRET_ACCESS_KEY="a-secret")
    account.assert_source("VARIABLE", "environment variables")


def test_credentials_file(account: Account) -> None:
    account.write(".aws/credentials", "[default]\naws_access_key_id = FILE\naws_secret_access_key = a-secret\n")
    account.assert_source("FILE", 'profile "default"')


def test_named_profile(account: Account) -> None:
    account.write(".aws/config", "[profile team]\naws_access_key_id = TEAM\naws_secret_access_key = a-secret\n")
    account.environment["AWS_PROFILE"] = "team"
    account.assert_source("TEAM", 'profile "team"')


def test_roles_of_profiles(account: Account, places: KeyPlaces) -> None:
    """A role that is assumed by a role that is assumed with a profile's keys."""
    account.write(
        ".aws/config",
        f"[default]\nrole_arn = {ROLE}OUTER\nsource_profile = between\nexternal_id = x\nrole_session_name = s\n"
        f"[profile between]\nrole_arn = {ROLE}INNER\nsource_profile = keys\n"
        "[profile keys]\naws_access_key_id = TEAM\naws_secret_access_key = a-secret\n",
    )
    account.assert_source("OUTER", 'profile "default"')
    inner, outer = places.roles
    assert (inner["by"], outer["by"]) == ("TEAM", "INNER")
    assert (outer["ExternalId"], outer["RoleSessionName"]) == ("x", "s")


@pytest.mark.parametrize(("source", "by"), [("EcsContainer", "CONTAINER"), ("Ec2InstanceMetadata", "INSTANCE")])
def test_a_profiles_role_by_keys_of_another_place(account: Account, places: KeyPlaces, source: str, by: str) -> None:
    account.write(".aws/config", f"[profile role]\nrole_arn = {ROLE}ROLE\ncredential_source = {source}\n")
    account.environment["AWS_PROFILE"] = "role"
    if by == "CONTAINER":
        in_a_container(account, places)
    else:
        account.environment.update(AWS_EC2_METADATA_DISABLED="false", AWS_EC2_METADATA_SERVICE_ENDPOINT=places.url)
    account.assert_source("ROLE", 'profile "role"')
    assert places.roles[0]["by"] == by


def test_process(account: Account) -> None:
    answer = {"Version": 1, "AccessKeyId": "PROCESS", "SecretAccessKey": "a-secret", "Expiration": iso(3600)}
    keys = account.write("keys.json", json.dumps(answer))
    account.write(".aws/config", f"[default]\ncredential_process = cat {keys}\n")
    account.assert_source("PROCESS", 'profile "default"')


def test_sso(account: Account, places: KeyPlaces) -> None:
    account.write(
        ".aws/config",
        "[default]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = Reader\n"
        "[sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.example\n",
    )
    token = {"accessToken": places.SSO_TOKEN, "expiresAt": iso(3600), "startUrl": "https://corp.example", "region": "us-east-1"}
    account.write(f".aws/sso/cache/{hashlib.sha1(b'corp').hexdigest()}.json", json.dumps(token))
    account.assert_source("SSO-111122223333-Reader", 'SSO of profile "default"')


def test_web_identity(account: Account, places: KeyPlaces) -> None:
    account.environment.update(
        AWS_WEB_IDENTITY_TOKEN_FILE=str(account.write("token", "a-web-token")),
        AWS_ROLE_ARN=ROLE + "POD",
        AWS_ROLE_SESSION_NAME="a-session-name",
    )
    account.assert_source("POD", "web identity")
    form = places.roles[0]
    assert form["Action"] == "AssumeRoleWithWebIdentity"
    assert (form["WebIdentityToken"], form["RoleSessionName"]) == ("a-web-token", "a-session-name")


def test_container(account: Account, places: KeyPlaces) -> None:
    """As EKS Pod Identity does it."""
    account.environment.update(
        AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{places.url}/container",
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(account.write("token", places.CONTAINER_TOKEN)),
    )
    account.assert_source("CONTAINER", "container's endpoint")


def test_instance_metadata(account: Account, places: KeyPlaces) -> None:
    account.environment.update(AWS_EC2_METADATA_DISABLED="false", AWS_EC2_METADATA_SERVICE_ENDPOINT=places.url)
    account.assert_source("INSTANCE", "instance metadata")


def test_the_java_connectors_role(account: Account, places: KeyPlaces) -> None:
    account.environment.update(AWS_ACCESS_KEY_ID="VARIABLE", AWS_SECRET_ACCESS_KEY="a-secret")
    account.configs = {
        "awsCredentialPluginName": "org.apache.pulsar.io.aws.STSAssumeRoleProviderPlugin",
        "awsCredentialPluginParam": json.dumps({"roleArn": ROLE + "JAVA", "roleSessionName": "s", "externalId": "x"}),
    }
    account.assert_source("JAVA", "role by environment variables")
    assert set(places.tunnels) == {"sts.us-east-1.amazonaws.com:443"}
    form = places.roles[0]
    assert (form["by"], form["RoleSessionName"], form["ExternalId"]) == ("VARIABLE", "s", "x")
    assert re.fullmatch(r"ddb2pulsar/\S+ pulsar-dynamodb", form["agent"])


def test_a_role_with_session_tags_at_an_address_of_its_own(account: Account, places: KeyPlaces) -> None:
    account.environment.update(
        AWS_ACCESS_KEY_ID="VARIABLE", AWS_SECRET_ACCESS_KEY="a-secret", AWS_ENDPOINT_URL_STS=places.url
    )
    param = {"roleArn": ROLE + "TAGGED", "tags": {"Team": "orders & more", "Stage": "ü"}, "transitiveTagKeys": ["Team"]}
    account.configs = {
        "awsCredentialPluginName": "STSAssumeRoleProviderPlugin",
        "awsCredentialPluginParam": json.dumps(param),
    }
    account.assert_source("TAGGED", "role by environment variables")
    assert places.tunnels == []
    form = places.roles[0]
    assert form["RoleSessionName"] == "ddb2pulsar"
    assert {name: value for name, value in form.items() if "Tag" in name} == {
        "Tags.member.1.Key": "Team",
        "Tags.member.1.Value": "orders & more",
        "Tags.member.2.Key": "Stage",
        "Tags.member.2.Value": "ü",
        "TransitiveTagKeys.member.1": "Team",
    }


@pytest.mark.parametrize("no_proxy", ["", "example.com,localhost"])
def test_no_proxy(account: Account, places: KeyPlaces, no_proxy: str) -> None:
    account.environment.update(
        AWS_ACCESS_KEY_ID="VARIABLE",
        AWS_SECRET_ACCESS_KEY="a-secret",
        AWS_ENDPOINT_URL_STS=f"https://{places.tls_host}",
        NO_PROXY=no_proxy,
    )
    account.configs = {
        "awsCredentialPluginName": "STSAssumeRoleProviderPlugin",
        "awsCredentialPluginParam": json.dumps({"roleArn": ROLE + "R"}),
    }
    account.assert_source("R", "role by environment variables")
    assert set(places.tunnels) == (set() if no_proxy else {places.tls_host})


def test_a_role_that_is_refused_says_why(account: Account, places: KeyPlaces) -> None:
    account.environment.update(AWS_ACCESS_KEY_ID="VARIABLE", AWS_SECRET_ACCESS_KEY="a-secret")
    account.configs = {
        "awsCredentialPluginName": "STSAssumeRoleProviderPlugin",
        "awsCredentialPluginParam": json.dumps({"roleArn": ROLE + places.FORBIDDEN}),
    }
    check = account.program.start("check", "-c", account.config(), environment=account.environment)
    assert check.wait() == 3
    assert f"the role {ROLE + places.FORBIDDEN} cannot be assumed by environment variables: AccessDenied: " in check.stdout
    assert places.REFUSAL in check.stdout
    assert "a-secret" not in check.stdout + check.stderr


def test_a_plugin_of_ones_own(account: Account) -> None:
    account.configs = {
        "awsCredentialPluginName": str(BINARY.resolve().parent / "examples" / "credentials_plugin.so"),
        "awsCredentialPluginParam": str(account.write("keys", "PLUGIN\na-secret\n")),
    }
    account.assert_source("PLUGIN", "plugin")


def test_a_failure_says_what_was_tried(account: Account) -> None:
    account.write(".aws/config", f"[default]\ncredential_process = {sys.executable} -c 1\n")
    check = account.program.start("check", "-c", account.config(), environment=account.environment)
    assert check.wait() == 3
    for words in ("AWS_ACCESS_KEY_ID not set", 'profile "default" (', "(off by AWS_EC2_METADATA_DISABLED)"):
        assert words in check.stdout


def test_a_bundle_that_is_none(account: Account) -> None:
    account.environment["AWS_CA_BUNDLE"] = str(account.write("bundle.pem", "no certificate"))
    check = account.program.start("check", "-c", account.config(), environment=account.environment)
    assert check.wait() == 3
    assert f"FAIL  credentials    AWS_CA_BUNDLE {account.home}/bundle.pem: no bundle of trusted certificates" in check.stdout


def test_the_lease_tables_own_credentials_have_errors_of_their_own(account: Account, places: KeyPlaces) -> None:
    account.environment.update(AWS_ACCESS_KEY_ID="VARIABLE", AWS_SECRET_ACCESS_KEY="a-secret")
    account.configs = {
        "leaseTable.awsCredentialPluginName": "STSAssumeRoleProviderPlugin",
        "leaseTable.awsCredentialPluginParam": json.dumps({"roleArn": ROLE + "TABLE"}),
    }
    account.assert_source("VARIABLE TABLE", "environment variables; lease table: role by environment variables")
    account.configs["leaseTable.awsCredentialPluginParam"] = json.dumps({"roleArn": ROLE + places.FORBIDDEN})
    check = account.program.start("check", "-c", account.config(), environment=account.environment)
    assert check.wait() == 3
    assert "FAIL  credentials    the lease table's credentials: the role " in check.stdout


def test_no_secret_is_seen_anywhere(account: Account, program: Program) -> None:
    """In logs of every level, results, errors, and what others see of the process, also when the service refuses the keys."""
    secrets = {"secretKey": "s3cret-of-aws", "sessionToken": "s3cret-of-the-session"}
    account.configs = {"authPlugin": "token"}
    account.environment["DDB2PULSAR_AWS_CREDENTIAL_PLUGIN_PARAM"] = json.dumps({"accessKey": "SEEN", **secrets})
    account.environment["DDB2PULSAR_AUTH_PARAMS"] = "token:s3cret-of-pulsar"
    account.accept("SEEN")
    config = account.config()

    def start(*arguments: str) -> Run:
        return program.start(*arguments, "-c", config, "--log-level", "debug", environment=account.environment)

    run = start("run", "--log-format", "json")
    wait_for("the shard", lambda: run.event("shard", "open"))
    seen = [Path(f"/proc/{run.process.pid}/{name}").read_text() for name in ("cmdline", "comm", "status")]
    assert run.terminate() == 0, run.stderr
    for command in ("check", "status", "shards"):
        assert start(command).wait() == 0
    program.start("config", "show", "-c", config, environment=account.environment).wait()
    account.accept("ANOTHER")
    assert start("check").wait() == 3
    seen += [text for each in program.runs for text in (each.stdout, each.stderr)]
    assert len(seen) == 15 and "***" in "".join(seen)
    assert not [text for text in seen if "s3cret" in text]


def in_a_container(account: Account, places: KeyPlaces) -> None:
    account.environment.update(
        AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{places.url}/container",
        AWS_CONTAINER_AUTHORIZATION_TOKEN=places.CONTAINER_TOKEN,
    )


def test_keys_are_renewed_before_they_expire(account: Account, places: KeyPlaces) -> None:
    in_a_container(account, places)
    places.seconds = 4
    account.accept("CONTAINER CONTAINER-2")
    run = account.program.start("run", "-c", account.config(), "--log-format", "json", environment=account.environment)
    wait_for("the shard", lambda: run.event("shard", "open"))
    places.suffix = "-2"
    # When they have been asked for twice, the first ones have long been in use.
    wait_for("newer keys, twice", lambda: places.given.count("CONTAINER-2") >= 2)
    account.accept("CONTAINER-2")
    account.aws.tell(f"fill {PARENT} 100 600\nclose {PARENT}\nstream-status DISABLED\n")
    wait_for("the end of the shard", lambda: run.event("shard", "ended") or not run.is_running())
    assert run.terminate() == 0, run.stderr
    assert run.event("source", "ended")["delivered"] == 200


def test_keys_that_the_service_calls_expired_are_renewed_at_once(account: Account, places: KeyPlaces) -> None:
    in_a_container(account, places)
    account.accept("CONTAINER CONTAINER-2")
    run = account.program.start("run", "-c", account.config(), "--log-format", "json", environment=account.environment)
    wait_for("the shard", lambda: run.event("shard", "open"))
    places.suffix = "-2"
    account.aws.tell("fail GetRecords 1 400 ExpiredTokenException\n")
    wait_for("newer keys", lambda: places.given[-1] == "CONTAINER-2")
    account.aws.tell(f"fill {PARENT} 100 600\nclose {PARENT}\nstream-status DISABLED\n")
    wait_for("the end of the shard", lambda: run.event("shard", "ended") or not run.is_running())
    assert run.terminate() == 0, run.stderr
    assert run.event("source", "ended")["delivered"] == 200
    assert places.given == ["CONTAINER", "CONTAINER-2"]
