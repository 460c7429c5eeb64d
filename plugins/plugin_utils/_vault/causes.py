# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps Vault from answering, by the cause of a failure and by HTTP status, each in our own words. Private.

No text of a library or server gets into a message: it may quote what we sent.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.causes import Cause, cause_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings


class VaultFailure(Exception):
    """Why a request to Vault gave nothing.

    C(answered): something did answer on that address. C(bad_token): the answer proves that the token is not accepted.
    """

    def __init__(
        self,
        reason: str,
        *,
        answered: bool = False,
        status: int | None = None,
        retry_after: float | None = None,
        bad_token: bool = False,
        errors: t.Any = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.answered = answered
        self.status = status
        self.retry_after = retry_after
        self.bad_token = bad_token
        self.errors = errors  # Vault's own words: they may quote what was sent


# Nothing was sent, and the next moment may be better: a server that restarts, a tailnet that comes up.
RETRIED: t.Final = frozenset({"refused", "no_route", "unresolved_now"})
PAUSE: t.Final = 0.2

MESSAGES: t.Final[dict[str, str]] = {
    "unresolved": "The name {host} does not resolve.{tailnet} Check url and DNS.",
    "unresolved_now": "No name server answered for {host}.{tailnet} Check this machine's DNS and network.",
    "no_route": "There is no route to {address}.{tailnet} Check this machine's network and any VPN.",
    "refused": "{address} refused the connection: nothing listens there. Is Vault running, and is the port right?",
    "closed": "{address} closed the connection without an answer. Is it Vault, and does it expect TLS on that port?",
    "timeout": "{address} gave no answer within {timeout:g} s.{tailnet} Is Vault overloaded, or does a firewall "
    "swallow the packets? A longer timeout helps only if it is slow.",
    "proxy": "The proxy that the environment names (VAULT_PROXY_ADDR, HTTPS_PROXY, HTTP_PROXY) does not lead to "
    "{address}. Correct it, or, but for VAULT_PROXY_ADDR, add {host} to NO_PROXY.",
    "tls_unknown_ca": "The certificate of {address} is not signed by a CA that is trusted here ({ca}). Give Vault's CA "
    "as ca_cert, or keep its copy in the anchor.",
    "tls_wrong_name": "The certificate of {address} is for another name than {host}. Use a name from the certificate "
    "in url.",
    "tls_expired": "The certificate of {address}, or its CA's, has expired or is not valid yet. Renew it, and check "
    "the clock here.",
    "tls_not_tls": "{address} does not speak TLS. Is the port right, and does the url have to begin with http?",
    "tls_client": "{address} demands a client certificate, or accepts another one alone. Set VAULT_CLIENT_CERT and "
    "VAULT_CLIENT_KEY (or BAO_...) to the files of one that it accepts.",
    "tls": "TLS with {address} failed. Does the server offer TLS 1.2 or newer?",
    "needs_tls": "{address} expects TLS, and url begins with http. Write https.",
    "sealed": "Vault at {address} is sealed. Unseal it.",
    "not_initialised": "Vault at {address} is not initialised: it is a new server, or it has lost its storage.",
    "unavailable": "Vault at {address} answered with HTTP {status}: it is not able to serve. Look into its log.",
    "quota": "Vault at {address} refuses more requests for now (HTTP 429, a quota), also after the waiting time it "
    "asked for, as far as timeout allows. Raise the quota or the timeout.",
    "forbidden": "Vault at {address} answered permission denied (HTTP 403). Either the token ({token}) is wrong, "
    "expired or revoked, or its policy does not allow to read {secret_path}{namespace}, or path begins with data/ by "
    "mistake.",
    "forbidden_token": "Vault at {address} does not accept the token ({token}) (HTTP 403): it is wrong, "
    "expired or revoked, or belongs to another namespace or server{namespace}. Make a new one.",
    "forbidden_path": "Vault at {address} knows the token ({token}) but does not let it read {secret_path}{namespace} "
    "(HTTP 403). Either its policy lacks that path, or mount_point or path is wrong (path must not begin with data/).",
    "wrapped": "Vault at {address} knows the token ({token}) as a wrapping token: it stands for what {creation_path} "
    "made, and can be used once, to unwrap that. It was not used. Unwrap it and put what comes out into its place, or "
    "set unwrap (tazlab_vault_unwrap) to have it done in memory, for this run alone.",
    "unwrapped": "Vault at {address} gave no token for the wrapping token ({token}), which stood for something else of "
    "{creation_path}, or was used meanwhile. Wrap the answer of what makes a token.",
    "login_refused": "Vault at {address} refused the {token}{namespace} (HTTP {status}): {hint}. Check what the login "
    "takes (role_id, and secret_id or jwt), and auth_mount_point: Vault answers so, too, where nothing is "
    "mounted.",
    "not_found": "Vault at {address} has nothing at {secret_path}{namespace} (HTTP 404). Either path or mount_point is "
    "wrong, or nothing was written there yet, or that version never existed, or the mount is KV version 1, not 2.",
    "no_mount": "Vault at {address} has nothing mounted at {mount}{namespace} (HTTP 404). Correct mount_point or "
    "namespace.",
    "not_kv2": "What Vault at {address} has at {secret_path}{namespace} is not a secret of KV version 2. Is the mount "
    "KV version 1?",
    "deleted": "Version {version} of {secret_path} was deleted in Vault on {when}. Name an older version, or undelete "
    "it with a token that may: {undelete}",
    "destroyed": "Version {version} of {secret_path} is destroyed in Vault: its data is gone. Write it anew, or name "
    "another version.",
    "redirected": "{address} redirects elsewhere (HTTP {status}), which is not followed since the token would go "
    "along. It is a standby that does not forward, or a login page. Give the address of the active server as url.",
    "secondary": "{address} is a standby or disaster recovery server of Vault (HTTP {status}), which does not serve "
    "this. Give the address of the active server as url.",
    "too_large": "The answer of {address} is larger than 1 MiB, which no bundle is. Is it Vault?",
    "not_vault": "{address} answered with something that is not Vault's (HTTP {status}). A proxy or another service "
    "may stand in between: check url.",
    "rejected": "Vault at {address} does not accept the request (HTTP {status}). Check namespace, mount_point, path "
    "and version.",
    "unknown": "Asking {address} failed in a way that is not known here.",
}


# For who changes something: {what} is what was asked, such as C(write secret/data/...). Other reasons are said alike.
CHANGING: t.Final[dict[str, str]] = {
    "forbidden": "Vault at {address} does not allow to {what} (HTTP 403). Either the token ({token}) is wrong, expired "
    "or revoked, or its policies lack that.",
    "rejected": "Vault at {address} does not accept the request to {what} (HTTP {status}). Its log says why.",
    "timeout": "{address} gave no answer in time. Is Vault overloaded, or does a firewall stand between?",
}


def explain(reason: str, settings: VaultSettings, *, what: str = "", **details: t.Any) -> str:
    """The message for a reason: what was tried, what came back, and the next step. C(what) was asked, to change it."""
    host = settings.host
    message = CHANGING.get(reason) if what else None
    return (message or MESSAGES[reason]).format_map(
        {
            "what": what,
            "address": settings.address,
            "host": host,
            "tailnet": " Is this machine on the tailnet (tailscale status)?" if host.endswith(".ts.net") else "",
            "secret_path": settings.secret_path,
            "mount": f"{settings.mount_point}/",
            "namespace": f" in namespace {settings.namespace}" if settings.namespace else "",
            "token": settings.token_source,
            "ca": settings.ca_source,
            "status": "?",
            "version": "?",
            "when": "?",
            "undelete": "?",
            "hint": "?",
            "creation_path": "?",
            "timeout": 0,
            **{key: value for key, value in details.items() if value is not None},
        }
    )


def failure_of(error: BaseException) -> VaultFailure:
    """What a library raised, as a failure of ours."""
    cause = cause_of(error)
    return VaultFailure(_REASONS.get(cause, cause.value), answered=cause.answered)


# Where the reason that users see has another name than the cause.
_REASONS: t.Final = {Cause.NOT_HTTP: "not_vault"}
_STATUS: t.Final[dict[int, str]] = {
    400: "rejected",
    403: "forbidden",
    404: "not_found",
    405: "rejected",
    429: "quota",
    472: "secondary",
    473: "secondary",
    500: "unavailable",
    501: "not_initialised",
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
}


def answer_failure(status: int, headers: Mapping[str, str], body: bytes) -> VaultFailure | None:
    """What an answer means that is not a success. Only JSON as Vault writes it is believed to be Vault's."""
    if 300 <= status < 400:
        return VaultFailure("redirected", answered=True, status=status)
    if status == 400 and b"HTTP request to an HTTPS server" in body[:200]:
        return VaultFailure("needs_tls", answered=True, status=status)
    answer = _vault_json(body)
    retry_after = _retry_after(headers.get("Retry-After")) if status in (429, 503) else None
    if answer is None:
        return VaultFailure("not_vault", answered=True, status=status)
    if status == 200 or (status == 404 and _has_metadata(answer)):
        return None
    if status == 404 and answer.get("errors"):
        return VaultFailure("no_mount", answered=True, status=status)
    return VaultFailure(
        _STATUS.get(status, "rejected"),
        answered=True,
        status=status,
        retry_after=retry_after,
        bad_token=status == 403 and _refuses_the_token(answer.get("errors")),
        errors=answer.get("errors"),
    )


def _refuses_the_token(errors: t.Any) -> bool:
    """Whether a 403 is about the token itself. Vault adds "invalid token" then, since 1.17; OpenBao answers before it
    looks at any policy, and only what a policy denies is counted ("1 error occurred: ..."). No proof: it may be either.
    """
    return isinstance(errors, list) and any(
        isinstance(error, str) and (error == "permission denied" or "invalid token" in error) for error in errors
    )


def _vault_json(body: bytes) -> dict[str, t.Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    known = ("data", "errors", "auth", "sealed")
    return answer if isinstance(answer, dict) and any(key in answer for key in known) else None


def _has_metadata(answer: Mapping[str, t.Any]) -> bool:
    """KV v2 answers 404 for a deleted version, too, with what it knows of it."""
    data = answer.get("data")
    return isinstance(data, dict) and isinstance(data.get("metadata"), dict)


def _retry_after(value: str | None) -> float | None:
    """The seconds a server asks us to wait. A date instead of a number is not used: clocks differ."""
    return float(value) if value is not None and value.strip().isdecimal() else None
