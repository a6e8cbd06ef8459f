"""Who may see what, when the dashboard stands on a server: sign-in through OIDC, three roles, a public mode.

On one's own machine nothing of this is configured and everything is open. docs/deployment.md says how to configure it:
sign-in by Streamlit's own ``[auth]`` in ``secrets.toml``, and there also::

    [access]
    public = true                  # without sign-in: read only
    role_claim = "roles"           # claim of the identity token that holds roles, else
    analysts = ["a@example.org"]   # roles by e-mail address
    actuaries = ["b@example.org"]
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import streamlit as st

from forecaster_dashboards.language import _

VIEWER, ANALYST, ACTUARY = "viewer", "analyst", "actuary"
ROLES = (VIEWER, ANALYST, ACTUARY)
# Least role for a page; pages that are not named are open to everyone admitted.
LEAST_ROLE = {"export": ANALYST}
PUBLIC = "FORECASTER_PUBLIC"


def role_of(claims: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Highest role of a signed-in person, by the token's claim or the e-mail address; a viewer else.

    An address counts only when the provider says that it is verified.
    """
    claimed = claims.get(str(settings.get("role_claim", "")))
    # A provider may send a text, a list or nothing.
    claimed = [claimed] if isinstance(claimed, str) else claimed if isinstance(claimed, list) else []
    address = str(claims.get("email", "")).lower() if claims.get("email_verified") is True else ""
    for role, listed in ((ACTUARY, "actuaries"), (ANALYST, "analysts")):
        if role in claimed or (address and address in [str(a).lower() for a in settings.get(listed, ())]):
            return role
    return VIEWER


def _settings() -> tuple[bool, Mapping[str, Any]]:
    """Whether sign-in is configured, and the settings of access."""
    try:
        secrets = st.secrets.to_dict() if st.secrets.load_if_toml_exists() else {}
    except (FileNotFoundError, st.errors.StreamlitSecretNotFoundError):
        return False, {}
    return "auth" in secrets, secrets.get("access", {})


def is_public() -> bool:
    """Whether anyone may read: set in the secrets or by the environment."""
    return os.environ.get(PUBLIC, "") == "1" or bool(_settings()[1].get("public"))


def role() -> str:
    """Role of this reader; everything is open where neither sign-in nor the public mode is configured."""
    signs_in, settings = _settings()
    if signs_in and st.user.is_logged_in:
        return role_of(st.user.to_dict(), settings)
    return VIEWER if signs_in or is_public() else ACTUARY


def may_open(page: str) -> bool:
    """Whether this reader may open a page."""
    return ROLES.index(role()) >= ROLES.index(LEAST_ROLE.get(page, VIEWER))


def may_save() -> bool:
    """Whether this reader may write to the run store."""
    return ROLES.index(role()) >= ROLES.index(ACTUARY)


def admitted() -> bool:
    """Let the reader in, or show how to sign in."""
    signs_in, _rest = _settings()
    if not signs_in or is_public() or st.user.is_logged_in:
        return True
    st.title(_("Will the fund last?"))
    st.markdown(_("Sign in to see the forecasts."))
    st.button(_("Sign in"), on_click=st.login, type="primary")
    return False


def account() -> None:
    """Button to sign in or out, where that is configured."""
    signs_in, _rest = _settings()
    if not signs_in:
        return
    if st.user.is_logged_in:
        st.button(_("Sign out"), on_click=st.logout)
    else:
        st.button(_("Sign in"), on_click=st.login)
