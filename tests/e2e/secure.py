"""A Pulsar with TLS, authentication and authorization."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pulsar

from certificates import Authority
from servers import TO_BE_KILLED, Pulsar, free_port
from tokens import SECRET_KEY, token

ADMIN = "admin"
ROLE = "writer"  # may produce
STRANGER = "stranger"  # may nothing
PASSWORD = "pass word ü"

PROVIDER = "org.apache.pulsar.broker.authentication.AuthenticationProvider"


class SecurePulsar(Pulsar):
    """Knows tokens, passwords and certificates. Its certificate is for "localhost", the name that it gives itself, and
    for no address. A strict one talks TLS only with those who show a certificate of its authority."""

    def __init__(self, folder: Path, strict: bool = False) -> None:
        self.tls_port = free_port()
        self.tls_url = f"pulsar+ssl://localhost:{self.tls_port}"
        web_tls_port = free_port()
        self.web_tls_url = f"https://localhost:{web_tls_port}"
        self.authority = Authority(folder / "certificates", "authority")
        self.certificate = self.authority.for_server("broker", "DNS:localhost")
        passwords = folder / "htpasswd"
        hashed = subprocess.run(["openssl", "passwd", "-apr1", PASSWORD], check=True, capture_output=True, text=True)
        passwords.write_text(f"{ROLE}:{hashed.stdout.strip()}\n")
        settings = {
            "brokerServicePortTls": str(self.tls_port),
            "webServicePortTls": str(web_tls_port),
            "advertisedAddress": "localhost",
            "tlsCertificateFilePath": str(self.certificate.certificate),
            "tlsKeyFilePath": str(self.certificate.key),
            "tlsTrustCertsFilePath": str(self.authority.certificate),
            "tlsRequireTrustedClientCertOnConnect": str(strict).lower(),
            "authenticationEnabled": "true",
            "authenticationProviders": ",".join(PROVIDER + kind for kind in ("Token", "Basic", "Tls")),
            "authorizationEnabled": "true",
            "superUserRoles": ADMIN,
            "tokenSecretKey": SECRET_KEY,
            "basicAuthConf": passwords.as_uri(),
            "brokerClientAuthenticationPlugin": "org.apache.pulsar.client.impl.auth.AuthenticationToken",
            "brokerClientAuthenticationParameters": f"token:{token(ADMIN)}",
            # Tokens of seconds are looked at again.
            "authenticationRefreshCheckSeconds": "2",
            **(TO_BE_KILLED if strict else {}),
        }
        super().__init__(folder, settings=settings, admin_token=token(ADMIN))

    def wait_ready(self, seconds: float = 180) -> None:
        super().wait_ready(seconds)
        self.admin("POST", f"namespaces/public/default/permissions/{ROLE}", ["produce"])

    def client(self) -> pulsar.Client:
        """Reads everything, by the port without TLS."""
        logger = pulsar.FileLogger(pulsar.LoggerLevel.Warn, str(self.folder / "client.log"))
        return pulsar.Client(self.url, authentication=pulsar.AuthenticationToken(token(ADMIN)), logger=logger)
