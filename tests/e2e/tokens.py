"""Bearer tokens for tests of authentication: JSON web tokens that a Pulsar with the same secret accepts, and a small
OAuth2 issuer that hands them out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = b"a secret of these tests, long enough for HMAC with SHA-256"
# As Pulsar's tokenSecretKey wants it.
SECRET_KEY = "data:;base64," + base64.b64encode(SECRET).decode()


def token(role: str, seconds: float | None = None, secret: bytes = SECRET) -> str:
    """A token for a role; with seconds, for so long. Pulsar reads whole seconds, so they are rounded up."""

    def part(content: Any) -> str:
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        return base64.urlsafe_b64encode(text).decode().rstrip("=")

    claims: dict[str, Any] = {"sub": role}
    if seconds is not None:
        claims["exp"] = int(time.time() + seconds + 0.999)
    signed = part({"alg": "HS256", "typ": "JWT"}) + "." + part(claims)
    return signed + "." + part(hmac.new(secret, signed.encode(), hashlib.sha256).digest())


class Issuer:
    """An OAuth2 server with one client, on a port that it keeps when it is stopped and started again."""

    CLIENT_ID = "a-client"
    CLIENT_SECRET = "s&cr=t %+ü"
    REFUSAL = "no such client, or not its secret"

    def __init__(self, role: str, seconds: float) -> None:
        self.role = role
        self.seconds = seconds  # how long a token is valid
        self.issued = 0
        self.requests: list[dict[str, str]] = []  # the forms that came
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.start()
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/.well-known/openid-configuration":
                    self.reply(200, {"issuer": issuer.url, "token_endpoint": issuer.url + "/oauth/token"})
                else:
                    self.reply(404, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(urllib.parse.parse_qsl(body, strict_parsing=True))
                issuer.requests.append(form)
                if self.path != "/oauth/token" or form.get("grant_type") != "client_credentials":
                    self.reply(400, {"error": "unsupported_grant_type"})
                elif (form.get("client_id"), form.get("client_secret")) != (issuer.CLIENT_ID, issuer.CLIENT_SECRET):
                    self.reply(401, {"error": "invalid_client", "error_description": issuer.REFUSAL})
                else:
                    issuer.issued += 1
                    access_token = token(issuer.role, issuer.seconds)
                    # Whole seconds, and no more than the token really has.
                    reply = {"access_token": access_token, "token_type": "Bearer", "expires_in": int(issuer.seconds)}
                    self.reply(200, reply)

            def reply(self, status: int, content: dict[str, Any]) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Nobody listens any more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def credentials(self, **changes: str) -> str:
        """The key file's content."""
        return json.dumps({"client_id": self.CLIENT_ID, "client_secret": self.CLIENT_SECRET, **changes})
