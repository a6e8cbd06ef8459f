"""Sign-in by OIDC in Chromium, against a provider of its own process: who sees what, and what is logged."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard_server import CHARTS, PATIENCE, served, stands_still
from ports import free_port

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE)
# The actuary is known by a verified address, the impostor gives the same address and nobody has verified it.
PEOPLE = (
    {"sub": "analyst", "email": "a@example.org", "email_verified": True, "roles": ["analyst"]},
    {"sub": "actuary", "email": "b@example.org", "email_verified": True},
    {"sub": "impostor", "email": "b@example.org", "email_verified": False},
)
ACCESS = '[access]\nrole_claim = "roles"\nactuaries = ["b@example.org"]'


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """Address of the provider: its discovery, keys, codes and signed tokens are those of a kept library."""
    port = free_port()
    people = [f"--user-claims={json.dumps(claims)}" for claims in PEOPLE]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce=true", *people]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        address = f"http://127.0.0.1:{port}"
        for _ in range(PATIENCE // 250):
            try:
                urllib.request.urlopen(f"{address}/.well-known/openid-configuration", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, "the provider did not start"
                time.sleep(0.25)
        yield address
        process.terminate()


def sign_in(page: Page, name: str) -> None:
    """From the button through the provider's own page and back to the fund's page."""
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name=f"Authorize as {name}").first.click()
    expect(page.locator(CHARTS)).to_have_count(1)
    stands_still(page)


def sign_out(page: Page) -> None:
    """Signs out of the dashboard and, on its own page, of the provider too, which sends back."""
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="End session").click()
    expect(page.get_by_text("Sign in to see the forecasts.")).to_be_visible()


def may_download(page: Page) -> bool:
    expect(page.get_by_role("link", name="Evidence", exact=True)).to_be_visible()
    return page.get_by_role("link", name="Export", exact=True).count() == 1


def may_save(page: Page) -> bool:
    page.get_by_role("link", name="Levers", exact=True).click()
    # What stands before the saved scenarios is of this page alone; then nothing more is to come.
    expect(page.get_by_role("heading", name="Compare", exact=True)).to_be_visible()
    stands_still(page)
    return page.get_by_text("Saved scenarios", exact=True).count() == 1


def test_sign_in_gives_the_role_of_the_claims_and_the_log_names_nobody(browser: Browser, issuer: str, tmp_path: Path):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    secrets = tmp_path / ".streamlit" / "secrets.toml"
    secrets.parent.mkdir()
    settings = {
        "redirect_uri": f"{address}/oauth2callback",
        "cookie_secret": "a secret of the tests alone",
        "client_id": "the-dashboard",
        "client_secret": "known to both",
        "server_metadata_url": f"{issuer}/.well-known/openid-configuration",
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    secrets.write_text("\n".join(["[auth]", *lines, ACCESS]), encoding="utf-8")
    with served(tmp_path, port, FORECASTER_LOG="json", FORECASTER_STORE=str(tmp_path / "runs")) as log:
        context = browser.new_context()
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(address)
        expect(page.get_by_text("Sign in to see the forecasts.")).to_be_visible()
        stands_still(page)
        assert page.locator(CHARTS).count() == 0
        sign_in(page, "analyst")
        assert may_download(page)
        assert not may_save(page)
        sign_out(page)
        sign_in(page, "actuary")
        assert may_download(page)
        assert may_save(page)
        sign_out(page)
        sign_in(page, "impostor")
        assert not may_download(page)
        # Nor by the page's own address.
        page.goto(f"{address}/export")
        expect(page.get_by_text("This page is not open to you here.")).to_be_visible()
        context.close()
    told = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    roles = [line["role"] for line in told if line["event"] == "page"]
    assert list(dict.fromkeys(roles)) == ["analyst", "actuary", "viewer"]
    assert "example.org" not in json.dumps(told)
