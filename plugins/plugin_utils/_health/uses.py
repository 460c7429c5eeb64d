# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What uses a credential of the bundle once, reading only. Private: other collections must not import it.

Each raises C(BootstrapError) when the credential does not serve, and C(Untried) when that cannot be told.
"""

from __future__ import annotations

import ssl
import time
import typing as t
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.causes import Cause, cause_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Aside, Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, Untried, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.git import Glance, Remote
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import SECRETS, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.secrets import difference
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.causes import explain
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import NoVault, VaultSettings

SECONDS: t.Final = 30
CONNECT: t.Final = 10


def git(settings: Mapping[str, t.Any], password: str) -> str:
    """The token reads the branch that Flux follows."""
    for name in ("url", "branch"):
        if not settings.get(name):
            raise Untried(f"tazlab_flux has no {name}")
    remote = Remote(
        url=str(settings["url"]),
        branch=str(settings["branch"]),
        username=str(settings.get("username") or "git"),
        password=password,
        ca_pem=_pem(settings.get("ca_cert")),
    )
    with Glance(remote, Deadline(SECONDS)) as seen:
        return f"branch {remote.branch} is at {seen.commit[:10]}"


def _pem(given: t.Any) -> str:
    """The option holds the CA, or names the file that does."""
    text = str(given or "")
    if not text or "-----BEGIN" in text:
        return text
    content = read_text(Path(text).expanduser())
    if content.text is None:
        raise BootstrapError(f"tazlab_flux.ca_cert: {text} {content.problem or 'does not exist'}.")
    return content.text


def tailscale(token_url: str, ca_cert: str, client_id: str, client_secret: str) -> str:
    """Tailscale gives a short-lived token for the pair; it is not used."""
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.transport import bounded_session, tls_context

    host = urlsplit(token_url).hostname or token_url
    context = tls_context(_pem(ca_cert) or None, validate=True)
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    try:
        with bounded_session(token_url, time.monotonic() + SECONDS, context) as session:
            answer = session.post(token_url, data=form, allow_redirects=False)
    except Exception as error:  # noqa: BLE001  # whatever a library raises may quote the secret
        reason = cause_of(error).value.replace("_", " ")
        raise BootstrapError(f"{host} was not reached ({reason}). Check this machine's network.") from None
    if answer.status_code == 200 and "access_token" in answer.text:
        return "a token was granted"
    if answer.status_code in (400, 401, 403):
        raise BootstrapError(
            f"{host} refused the OAuth client ({answer.status_code}). Make a new one in the admin console, then rotate "
            "both of its fields.",
            code="forbidden",
            status=answer.status_code,
        )
    raise BootstrapError(f"{host} answered with HTTP {answer.status_code}, which says nothing of the OAuth client.")


def secretbox(state: State, key: str) -> str:
    """The key is the one with which the cluster was born."""
    content = state.read(SECRETS)
    if content is None:
        return "well formed; no cluster was born yet"
    problem = difference(content, state.place(SECRETS), key)
    if problem:
        raise refusal([problem])
    return "the one of secrets.yaml"


def authority(settings: VaultSettings | NoVault, ca_pem: str) -> str:
    """The CA verifies the very server that the bundle comes from."""
    if isinstance(settings, NoVault):
        raise Untried(settings.message)
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.transport import handshake, tls_context

    if urlsplit(settings.url).scheme != "https":
        raise Untried("Vault's url is http")
    try:
        context = tls_context(ca_pem, validate=True)
    except ssl.SSLError:
        raise BootstrapError("The TLS library cannot read these certificates.") from None

    asking = Aside(lambda: handshake(settings.url, context, settings.tls_server_name, CONNECT, listen=False))
    asking.wait(CONNECT)
    if asking.results:
        return f"verifies {settings.address}"
    try:
        raise asking.errors[0] if asking.errors else TimeoutError
    except OSError as error:
        cause = cause_of(error)
        if not cause.of_tls:
            raise Untried(f"{settings.address} does not answer") from None
        if cause is Cause.TLS_UNKNOWN_CA:
            raise BootstrapError(
                f"It did not sign the certificate of {settings.address}. Put the CA that did into the bundle and the "
                "anchor."
            ) from None
        raise BootstrapError(explain(cause.value, settings)) from None
