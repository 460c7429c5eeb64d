# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with Vault and with the anchor, and what comes of it: the tests run this table, the docs print it.

C(./dev run python -m lab.faults) writes docs/secret_faults.md anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "secret_faults.md"


@dataclass(frozen=True)
class VaultFault:
    """A situation, and the reason that is reported for it."""

    name: str
    situation: str
    reason: str


VAULT_FAULTS = (
    VaultFault("unresolved", "The name does not resolve", "unresolved"),
    VaultFault("unresolved-now", "No name server answers", "unresolved_now"),
    VaultFault("tailnet", "A name of a tailnet (`*.ts.net`) does not resolve", "unresolved"),
    VaultFault("no-route", "No route to the address", "no_route"),
    VaultFault("refused", "The connection is refused", "refused"),
    VaultFault("hangs", "The connection is taken and never answered", "timeout"),
    VaultFault("drips", "The answer comes with a byte a second", "timeout"),
    VaultFault("closes", "The connection is closed without an answer", "closed"),
    VaultFault("unknown-ca", "TLS: the certificate's CA is not trusted", "tls_unknown_ca"),
    VaultFault("wrong-name", "TLS: the certificate is for another name", "tls_wrong_name"),
    VaultFault("expired", "TLS: the certificate has expired", "tls_expired"),
    VaultFault("client-certificate", "TLS: the listener demands a client certificate", "tls_client"),
    VaultFault("plain-http", "Plain HTTP on a port that url calls https", "tls_not_tls"),
    VaultFault("needs-tls", "TLS on a port that url calls http", "needs_tls"),
    VaultFault("sealed", "Sealed", "sealed"),
    VaultFault("not-initialised", "Not initialised", "not_initialised"),
    VaultFault("standby", "A standby that does not forward", "redirected"),
    VaultFault("redirect", "A redirect to another host", "redirected"),
    VaultFault("quota", "A quota is reached (HTTP 429)", "quota"),
    VaultFault("html-429", "HTML from a proxy, with HTTP 429", "not_vault"),
    VaultFault("broken", "HTTP 500", "unavailable"),
    VaultFault("secondary", "HTTP 472 or 473, from a server that is not the active one", "secondary"),
    VaultFault("bad-token", "HTTP 403, and the token is not known", "forbidden_token"),
    VaultFault("no-policy", "HTTP 403, and the token is known", "forbidden_path"),
    VaultFault("forbidden", "HTTP 403, and with `renew: never` nobody asks for the token", "forbidden"),
    VaultFault("blind", "HTTP 403, and the token may not look itself up", "forbidden"),
    VaultFault("old-bad-token", "HTTP 403 in the words of a Vault older than 1.17, whatever is wrong", "forbidden"),
    VaultFault(
        "new-bad-token", "HTTP 403 in the words of Vault 1.17 and newer for a token it does not know", "forbidden_token"
    ),
    VaultFault("wrapped", "A wrapping token is given as the token", "wrapped"),
    VaultFault("unwrapped", "What was unwrapped is no token", "unwrapped"),
    VaultFault("login", "A login is refused, or there is nothing to log in to (HTTP 400 or 403)", "login_refused"),
    VaultFault("data-prefix", "The path begins with `data/` by mistake", "forbidden_path"),
    VaultFault("absent", "HTTP 404: nothing at that path", "not_found"),
    VaultFault("kv1", "KV version 1 at that mount", "not_found"),
    VaultFault("kv1-shape", "KV version 1 with a secret at just that raw path", "not_kv2"),
    VaultFault("no-mount", "HTTP 404: nothing mounted there", "no_mount"),
    VaultFault("deleted", "The newest version is deleted", "deleted"),
    VaultFault("destroyed", "The newest version is destroyed", "destroyed"),
    VaultFault("no-namespace", "The namespace does not exist", "no_mount"),
    VaultFault("html", "HTML from a proxy", "not_vault"),
    VaultFault("html-403", "HTML from a proxy, with HTTP 403", "not_vault"),
    VaultFault("truncated", "JSON that is cut off", "not_vault"),
    VaultFault("echo", "JSON that echoes the request, token included", "not_vault"),
    VaultFault("huge", "An answer of 10 MiB", "too_large"),
)
# These are told before anything is asked.
BEFORE_ASKING = (
    ("No token at all", "no_token", "No token for Vault. Tried ... Put the scoped token into one of them."),
    ("No address at all", "no_url", "No address of Vault: set url (tazlab_vault_url), or VAULT_ADDR."),
)


@dataclass(frozen=True)
class AnchorFault:
    """What the anchor has for GITHUB_TOKEN, and what comes of it: a value, C(missing), or an error of this text."""

    name: str
    situation: str
    outcome: str
    text: str = ""


VALUE, MISSING, ERROR = "value", "missing", "error"
ANCHOR_FAULTS = (
    AnchorFault("no-directory", "The directory is missing", MISSING, "no such file"),
    AnchorFault("no-file", "The file is missing", MISSING, "no such file"),
    AnchorFault("empty", "The file is empty", MISSING, "empty"),
    AnchorFault("blank", "Blanks and line ends only", MISSING, "empty"),
    AnchorFault("mode-0000", "Mode 0000 (not for root)", ERROR, "cannot be read: permission denied"),
    AnchorFault(
        "world-readable", "Readable by everybody: a warning, unless it holds certificates only", VALUE, "chmod 600"
    ),
    AnchorFault(
        "link-out", "A symbolic link out of the directory", ERROR, "is a symbolic link that leaves its directory"
    ),
    AnchorFault("link-in", "A symbolic link inside of the directory", VALUE),
    AnchorFault("link-nowhere", "A symbolic link to nothing", ERROR, "is a symbolic link to nothing"),
    AnchorFault("link-loop", "A symbolic link to itself", ERROR, "is a symbolic link to itself"),
    AnchorFault("fifo", "A FIFO (it is never opened)", ERROR, "is a FIFO, not a regular file"),
    AnchorFault("socket", "A socket", ERROR, "is a socket, not a regular file"),
    AnchorFault("directory", "A directory in the file's place", ERROR, "is a directory, not a regular file"),
    AnchorFault("latin-1", "Invalid UTF-8", ERROR, "is not UTF-8 text"),
    AnchorFault("utf-16", "UTF-16, as some shells on Windows write", ERROR, "is not UTF-8 text"),
    AnchorFault("bom", "A byte order mark before the token", VALUE),
    AnchorFault("crlf", "CRLF after the token", VALUE),
    AnchorFault("nul", "A NUL inside of the token", ERROR, "holds a control character inside"),
    AnchorFault("large", "1 MiB", ERROR, "is larger than 256 KiB, which no secret is"),
    AnchorFault("quotes-around", "Quotes and blanks around the token", VALUE),
    AnchorFault("quote-inside", "A quote inside of the token", ERROR, "holds a quote inside"),
    AnchorFault("blank-inside", "A blank inside of the token", ERROR, "holds a blank inside"),
    AnchorFault("two-lines", "Two lines", ERROR, "has more than one line, and a token has one"),
    AnchorFault("txt", "The file's name ends in `.txt`", VALUE),
)
OUTCOMES = {
    VALUE: "the value is used",
    MISSING: "missing: the next source is asked",
    ERROR: "error; where Vault gave the field, only a drift warning",
}


def page(messages: dict[str, str]) -> str:
    """The page of the documentation."""
    return "\n".join(_lines(messages)) + "\n"


def _lines(messages: dict[str, str]) -> Iterator[str]:
    yield "# What can go wrong with the secrets, and what comes of it"
    yield ""
    yield "This page is written from the table that the tests run (`tests/lab/faults.py`)."
    yield ""
    yield "## Vault"
    yield ""
    yield (
        "Each of these keeps the bundle from coming. With `on_unavailable: fail` the task fails with the message; with "
        "`empty` the message is a warning, and the environment and the recovery anchor answer. `reason` is the return "
        "value `vault.reason`."
    )
    yield ""
    yield "| situation | reason | message |"
    yield "|---|---|---|"
    for situation, reason, message in BEFORE_ASKING:
        yield f"| {situation} | `{reason}` | {message} |"
    for fault in VAULT_FAULTS:
        yield f"| {fault.situation} | `{fault.reason}` | {_readable(messages[fault.reason])} |"
    yield ""
    yield "## The recovery anchor"
    yield ""
    yield "Each for the file of the field `GITHUB_TOKEN`, which Vault did not give."
    yield ""
    yield "| situation | outcome | text |"
    yield "|---|---|---|"
    for anchor in ANCHOR_FAULTS:
        yield f"| {anchor.situation} | {OUTCOMES[anchor.outcome]} | {anchor.text} |"


def _readable(message: str) -> str:
    message = message.replace("{tailnet}", " Is this machine on the tailnet (tailscale status)? (for `*.ts.net`)")
    message = message.replace("{namespace}", "")
    return re.sub(r"\{(\w+)(?::g)?\}", r"*\1*", message).replace("*secret_path*", "*path*")


if __name__ == "__main__":
    import runpy

    runpy.run_path(str(Path(__file__).resolve().parents[1] / "conftest.py"))
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.causes import MESSAGES

    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(MESSAGES))
