"""Sign-in by OIDC in Chromium, against a provider of the tests' own: who sees what, and what is logged."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from playwright.sync_api import Browser, Page, expect

from dashboard_server import CHARTS, PATIENCE, free_port, served

pytestmark = pytest.mark.browser
CLIENT = "the-dashboard"
expect.set_options(timeout=PATIENCE)


class Provider(ThreadingHTTPServer):
    """An identity provider that signs in whoever comes, with the claims that the test has put here."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.key = RSAKey.generate_key(2048, {"kid": "only"})
        self.claims: dict[str, object] = {}
        self.nonces: dict[str, str] = {}

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def token(self, nonce: str) -> str:
        now = int(time.time())
        fixed = {"iss": self.issuer, "aud": CLIENT, "sub": "someone", "iat": now, "exp": now + 600, "nonce": nonce}
        return jwt.encode({"alg": "RS256", "kid": "only"}, {**fixed, **self.claims}, self.key)


class _Answers(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        found = urlsplit(self.path)
        issuer = self.server.issuer
        if found.path == "/.well-known/openid-configuration":
            names = {"authorization": "authorize", "token": "token"}
            self._say(
                {f"{name}_endpoint": f"{issuer}/{path}" for name, path in names.items()}
                | {"issuer": issuer, "jwks_uri": f"{issuer}/keys", "id_token_signing_alg_values_supported": ["RS256"]}
            )
        elif found.path == "/keys":
            self._say({"keys": [self.server.key.as_dict(private=False)]})
        elif found.path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(found.query).items()}
            code = f"code-{len(self.server.nonces)}"
            self.server.nonces[code] = asked["nonce"]
            self.send_response(302)
            back = urlencode({"code": code, "state": asked["state"]})
            self.send_header("Location", f"{asked['redirect_uri']}?{back}")
            self.end_headers()
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        token = self.server.token(self.server.nonces.pop(body["code"][0]))
        self._say({"access_token": "a", "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def _say(self, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def sign_in(page: Page) -> None:
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(CHARTS)).to_have_count(1)


def test_sign_in_gives_the_role_of_the_claims_and_the_log_names_nobody(
    browser: Browser, provider: Provider, tmp_path: Path
):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    secrets = tmp_path / ".streamlit" / "secrets.toml"
    secrets.parent.mkdir()
    settings = {
        "redirect_uri": f"{address}/oauth2callback",
        "cookie_secret": "a secret of the tests alone",
        "client_id": CLIENT,
        "client_secret": "known to both",
        "server_metadata_url": f"{provider.issuer}/.well-known/openid-configuration",
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    access = '[access]\nrole_claim = "roles"\nactuaries = ["b@example.org"]'
    secrets.write_text("\n".join(["[auth]", *lines, access]), encoding="utf-8")
    with served(tmp_path, port, FORECASTER_LOG="json") as log:
        context = browser.new_context()
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(address)
        expect(page.get_by_text("Sign in to see the forecasts.")).to_be_visible()
        assert page.locator(CHARTS).count() == 0
        provider.claims = {"email": "a@example.org", "email_verified": True, "roles": ["analyst"]}
        sign_in(page)
        expect(page.get_by_role("link", name="Export", exact=True)).to_be_visible()
        # An address that nobody has verified gives nobody's rights.
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("Sign in to see the forecasts.")).to_be_visible()
        provider.claims = {"email": "b@example.org", "email_verified": False}
        sign_in(page)
        expect(page.get_by_role("link", name="Evidence", exact=True)).to_be_visible()
        assert page.get_by_role("link", name="Export", exact=True).count() == 0
        context.close()
    told = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    assert [line["role"] for line in told if line["event"] == "page"] == ["analyst", "viewer"]
    assert "example.org" not in json.dumps(told)
