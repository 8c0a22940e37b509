"""Certificates for tests of TLS, made by the openssl command while they run."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both PEM files."""

    certificate: Path
    key: Path

    def become(self, other: Pair) -> None:
        """Takes the content of another pair, each file in one step, as a tool that renews certificates does."""
        replace(self.certificate, other.certificate)
        replace(self.key, other.key)


def replace(path: Path, source: Path) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(source.read_bytes())
    os.replace(new, path)


class Authority:
    """Signs certificates."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._own = self._make(name, "/CN=Authority " + name, "basicConstraints=critical,CA:TRUE")
        self.certificate = self._own.certificate

    def for_server(self, name: str, *alternatives: str) -> Pair:
        """alternatives: where the server may be, such as "DNS:localhost" or "IP:127.0.0.1"."""
        return self._issue(name, "extendedKeyUsage=serverAuth", "subjectAltName=" + ",".join(alternatives))

    def for_client(self, role: str) -> Pair:
        """Pulsar takes the common name as the role."""
        return self._issue(role, "extendedKeyUsage=clientAuth")

    def _issue(self, name: str, *extensions: str) -> Pair:
        signer = ["-CA", self._own.certificate, "-CAkey", self._own.key]
        return self._make(name, f"/CN={name}", "basicConstraints=CA:FALSE", *extensions, signer=signer)

    def _make(self, name: str, subject: str, *extensions: str, signer: list[str | Path] | None = None) -> Pair:
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        command: list[str | Path] = ["openssl", "req", "-x509", "-days", "2", "-nodes", "-subj", subject]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-out", pair.certificate, "-keyout", pair.key, *(signer or [])]
        for extension in extensions:
            command += ["-addext", extension]
        self.folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        return pair
