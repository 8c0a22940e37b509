"""The Helm chart: what it renders is what Kubernetes knows, and a pod of it delivers."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Callable

import kubernetes_validate
import pytest
import yaml

from documents import commands
from image import Image
from listener import Probe
from program import BINARY
from servers import ROOT, free_port, place
from stream import Table
from topic import Reader, assert_delivered

# Nothing here depends on how the program is compiled, and the image holds a build of its own.
pytestmark = pytest.mark.optimised_only

CHART = ROOT / "packaging" / "helm" / "ddb2pulsar"
FULL = ROOT / "tests" / "e2e" / "chart-values.yaml"
OLDEST, NEWEST = "1.25", "1.37"

Object = dict[str, Any]


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([place("D2P_HELM"), *arguments], capture_output=True, text=True)


def render(*arguments: str | Path) -> dict[str, Object]:
    """By kind, of which there is one each."""
    done = helm("template", "orders", CHART, *arguments)
    assert done.returncode == 0, done.stderr
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    by_kind = {one["kind"]: one for one in objects}
    assert len(by_kind) == len(objects)
    return by_kind


VALUES = [
    pytest.param([], {"ConfigMap", "Deployment", "PodDisruptionBudget", "ServiceAccount"}, id="default"),
    pytest.param(
        ["-f", FULL],
        {"ConfigMap", "Deployment", "PodDisruptionBudget", "PodMonitor", "Secret", "ServiceAccount"},
        id="full",
    ),
    pytest.param(
        ["--set=replicas=1,serviceAccount.create=false,secrets.existing=mine"], {"ConfigMap", "Deployment"}, id="least"
    ),
]


@pytest.mark.parametrize(("values", "kinds"), VALUES)
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_what_is_rendered(values: list[str | Path], kinds: set[str], version: str) -> None:
    objects = render(*values)
    assert set(objects) == kinds
    for kind, one in objects.items():
        if kind != "PodMonitor":  # not Kubernetes' own
            kubernetes_validate.validate(one, version, strict=True)
    linted = helm("lint", "--strict", CHART, *values)
    assert linted.returncode == 0, linted.stdout


def test_all_values_are_checked_and_used() -> None:
    """The full values leave none out, and each is seen in what is rendered."""
    values, full = (yaml.safe_load(path.read_text()) for path in (CHART / "values.yaml", FULL))
    assert set(full) | {"secrets"} == set(values)
    text = helm("template", "orders", CHART, "-f", FULL).stdout

    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for one in value.values() for leaf in leaves(one)]
        if isinstance(value, list):
            return [leaf for one in value for leaf in leaves(one)]
        return [value]

    for leaf in leaves(full):
        assert isinstance(leaf, bool) or str(leaf) in text, leaf
    for wrong in ("replicas=two", "replica=2", "image.repository=", "httpPort=80", "serviceAccount.roleArn=reader"):
        assert "values don't meet the specifications" in helm("template", "orders", CHART, "--set", wrong).stderr, wrong


def test_the_pods_are_restricted() -> None:
    """Kubernetes' own pod security standard of that name, and some more."""
    pod = render()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC", "automountServiceAccountToken"))
    assert all({"configMap", "secret", "emptyDir"} & set(volume) for volume in pod["volumes"])


def test_the_plain_manifests_are_fresh() -> None:
    rendered = subprocess.run([ROOT / "packaging/kubernetes/render"], capture_output=True, text=True, check=True).stdout
    assert (ROOT / "packaging/kubernetes/ddb2pulsar.yaml").read_text() == rendered, "packaging/kubernetes/render > it"


def volumes_of(objects: dict[str, Object], folder: Path) -> dict[str, Path]:
    """The pod's volumes, filled as Kubernetes does, by where its container wants them."""
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    places = {}
    for wanted in pod["containers"][0]["volumeMounts"]:
        volume = volumes[wanted["name"]]
        files = objects["ConfigMap"]["data"] if "configMap" in volume else {}
        files = objects["Secret"]["stringData"] if "secret" in volume else files
        place_ = folder / wanted["name"]
        place_.mkdir()
        place_.chmod(0o777)
        for name, text in files.items():
            (place_ / name).write_text(text)
        places[wanted["mountPath"]] = place_
    return places


def test_a_pod_delivers(
    image: Image,
    configure: Callable[..., Path],
    table: Table,
    reader: Reader,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its container as the chart describes it: arguments, variables, user, files and probes. The keys are a Secret."""
    table.put_many(40)
    changes = table.changes()
    source = json.loads(configure().read_text())
    source["configs"].pop("stateDirectory")
    keys = json.loads(source["configs"].pop("awsCredentialPluginParam"))
    profile = f"[default]\naws_access_key_id={keys['accessKey']}\naws_secret_access_key={keys['secretKey']}\n"
    values = {
        "config": source,
        "httpPort": free_port(),
        "secrets": {"files": {"aws": profile}},
        "env": [{"name": "AWS_SHARED_CREDENTIALS_FILE", "value": "/var/run/secrets/ddb2pulsar/aws"}],
    }
    (tmp_path / "values.yaml").write_text(json.dumps(values))
    objects = render("-f", tmp_path / "values.yaml")
    for where, volume in volumes_of(objects, tmp_path).items():
        monkeypatch.setitem(image.tree.binds, where, volume)
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    identity = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    variables = [image.settings["ENV"], *(f"{one['name']}={one['value']}" for one in container["env"])]
    words = [*json.loads(image.settings["ENTRYPOINT"]), *container["args"]]
    probe = Probe(f"127.0.0.1:{container['ports'][0]['containerPort']}")
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(image.tree.command(*variables, *words, user=identity), stdout=file, stderr=file)
    try:
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe.wait(container[name]["httpGet"]["path"], 200)
        reader.read_until("all changes", lambda: len(reader.distinct()) == len(changes))
        assert probe.metrics()["ddb2pulsar_records_acknowledged_total"] == len(changes)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{log.read_text()}") from None
    finally:
        image.tree.end(process)
    assert process.returncode == 0, log.read_text()
    assert_delivered(changes, reader.read_to_end())


def test_the_guides_command_and_values(tmp_path: Path) -> None:
    """Rendered, where a cluster would be asked."""
    (values,) = re.findall(r"^```yaml\n# values.yaml\n(.*?)^```$", (ROOT / "docs/installing.md").read_text(), re.M | re.S)
    (tmp_path / "values.yaml").write_text(values)
    (tmp_path / "token").write_text("secret")
    (tmp_path / "packaging").symlink_to(ROOT / "packaging")
    (command,) = [step for step in commands("installing.md") if step.startswith("helm ")]
    words = command.replace("upgrade --install", "template").split()
    done = subprocess.run([place("D2P_HELM"), *words[1:]], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    objects = {one["kind"]: one for one in yaml.safe_load_all(done.stdout) if one}
    assert objects["Secret"]["stringData"] == {"token": "secret"}
    configuration = tmp_path / "source.yaml"
    configuration.write_text(objects["ConfigMap"]["data"]["source.yaml"])
    shown = subprocess.run([BINARY, "config", "show", "-c", configuration], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
