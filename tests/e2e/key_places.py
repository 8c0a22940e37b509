"""The places where AWS's clients get keys from, on loopback: instance metadata, a container's endpoint, and behind a
proxy, as the only way to them without AWS's addresses, STS and SSO."""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from certificates import Authority

METADATA = "/latest/meta-data/iam/security-credentials/"


def iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


class KeyPlaces:
    """Every place gives an access key by its own name, e.g. CONTAINER, or for a role the last part of its ARN. Only the
    right token gets it, and what was asked is kept."""

    METADATA_TOKEN = "a-metadata-token"
    CONTAINER_TOKEN = "a-container-token"
    SSO_TOKEN = "an-sso-token"
    FORBIDDEN = "FORBIDDEN"  # a role that nobody may assume
    REFUSAL = "VARIABLE is not authorized to perform: sts:AssumeRole"

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        hosts = [f"DNS:{host}.us-east-1.amazonaws.com" for host in ("sts", "portal.sso")]
        own = authority.for_server("places", "DNS:localhost", *hosts)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(own.certificate, own.key)
        self.tunnels: list[str] = []  # where the proxy led to
        self.roles: list[dict[str, str]] = []  # the forms of STS requests that were answered
        self.seconds = 3600.0  # how long keys are valid
        self.suffix = ""  # of the container's access key
        self.given: list[str] = []  # access keys, in their order
        places = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_CONNECT(self) -> None:
                places.tunnels.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.connection = places._tls.wrap_socket(self.connection, server_side=True)
                self.rfile = self.connection.makefile("rb")
                self.wfile = self.connection.makefile("wb", buffering=0)
                self.close_connection = False
                while not self.close_connection:
                    self.handle_one_request()

            def do_PUT(self) -> None:
                if self.path == "/latest/api/token":
                    self.reply(200, places.METADATA_TOKEN.encode())
                else:
                    self.reply(404)

            def do_GET(self) -> None:
                url = urllib.parse.urlsplit(self.path)
                if url.path.startswith(METADATA):
                    self.expect("x-aws-ec2-metadata-token", places.METADATA_TOKEN, places.metadata(url.path))
                elif url.path == "/container":
                    self.expect("Authorization", places.CONTAINER_TOKEN, places.keys(f"CONTAINER{places.suffix}"))
                elif url.path == "/federation/credentials":
                    self.expect("x-amz-sso_bearer_token", places.SSO_TOKEN, places.sso(url.query))
                else:
                    self.reply(404)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(urllib.parse.parse_qsl(body))
                if form.get("Action") == "AssumeRole":
                    # By whom, from the signature.
                    authorization = self.headers.get("Authorization", "")
                    form["by"] = authorization.partition("Credential=")[2].partition("/")[0]
                    form["agent"] = self.headers["User-Agent"]
                places.roles.append(form)
                if form["RoleArn"].endswith(places.FORBIDDEN):
                    error = f"<Error><Code>AccessDenied</Code><Message>{places.REFUSAL}</Message></Error>"
                    self.reply(403, f"<ErrorResponse>{error}</ErrorResponse>".encode(), "text/xml")
                else:
                    self.reply(200, places.assumed(form), "text/xml")

            def expect(self, header: str, value: str, content: Any) -> None:
                if self.headers.get(header) != value:
                    self.reply(401)
                else:
                    self.reply(200, content.encode() if isinstance(content, str) else json.dumps(content).encode())

            def reply(self, status: int, body: bytes = b"", kind: str = "application/json") -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
        plain, tls = self._servers
        tls.socket = self._tls.wrap_socket(tls.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"http://127.0.0.1:{plain.server_port}"
        self.tls_host = f"localhost:{tls.server_port}"  # without the way by the proxy
        for server in self._servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def keys(self, access_key: str) -> dict[str, str]:
        self.given.append(access_key)
        return {
            "AccessKeyId": access_key,
            "SecretAccessKey": "a-secret",
            "Token": "a-session",
            "Expiration": iso(self.seconds),
        }

    def metadata(self, path: str) -> Any:
        if path == METADATA:
            return "a-role"
        return {"Code": "Success", "LastUpdated": iso(0), "Type": "AWS-HMAC", **self.keys("INSTANCE")}

    def sso(self, query: str) -> Any:
        wanted = dict(urllib.parse.parse_qsl(query))
        return {
            "roleCredentials": {
                "accessKeyId": f"SSO-{wanted['account_id']}-{wanted['role_name']}",
                "secretAccessKey": "a-secret",
                "sessionToken": "a-session",
                "expiration": int((time.time() + self.seconds) * 1000),
            }
        }

    def assumed(self, form: dict[str, str]) -> bytes:
        action = form["Action"]
        keys = self.keys(form["RoleArn"].rpartition("/")[2])
        members = "".join(
            f"<{name}>{value}</{name}>"
            for name, value in {**keys, "SessionToken": keys.pop("Token")}.items()
            if name != "Token"
        )
        return (
            f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
            f"<Credentials>{members}</Credentials></{action}Result></{action}Response>"
        ).encode()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
