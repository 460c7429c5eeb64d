# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the program by which a kubeconfig's user logs in. The library's own way has no bound, and hides failures.

Private: other collections must not import it.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import shlex
import typing as t
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.command import run
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml, documents

SECONDS: t.Final = 20.0
LIMIT: t.Final = 1024 * 1024
# Secrets of ours that are none of the program's business.
WITHHELD: t.Final = ("VAULT_TOKEN", "BAO_TOKEN")
# What in a kubeconfig is a path, relative to the kubeconfig's directory.
_PATHS: t.Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


def logged_in(kubeconfig: Path) -> dict[str, t.Any] | None:
    """The kubeconfig with what the program gave in its place; None where its user logs in otherwise.

    What is wrong with the kubeconfig itself is for its reader to tell.
    """
    try:
        (found,) = documents(kubeconfig.read_bytes())
        context = _named(found["contexts"], found["current-context"], "context")
        user = _named(found["users"], context["user"], "user")
        plugin = user.get("exec")
    except (NotYaml, OSError, KeyError, TypeError, ValueError):
        return None
    if not isinstance(plugin, Mapping):
        return None
    given = _ask(kubeconfig, plugin)
    config: dict[str, t.Any] = copy.deepcopy(found)
    for entry in (*config["clusters"], *config["users"]):
        inner = entry.get("cluster") or entry.get("user") or {}
        inner |= {key: str(kubeconfig.parent / inner[key]) for key in _PATHS if inner.get(key)}
    own = _named(config["users"], context["user"], "user")
    own.pop("exec")
    own |= given
    return config


def _named(entries: t.Any, name: t.Any, what: str) -> dict[str, t.Any]:
    (found,) = [entry[what] for entry in entries if entry["name"] == name]
    return t.cast("dict[str, t.Any]", found)


def _ask(kubeconfig: Path, plugin: Mapping[str, t.Any]) -> dict[str, t.Any]:
    command = str(plugin.get("command") or "")
    program = str(kubeconfig.parent / command) if "/" in command else command
    argv = [program, *map(str, plugin.get("args") or [])]
    spec = {"interactive": False}
    about = {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": spec}
    environment = {name: value for name, value in os.environ.items() if name not in WITHHELD}
    environment |= {str(one["name"]): str(one["value"]) for one in plugin.get("env") or []}
    try:
        ended = run(
            argv,
            env={**environment, "KUBERNETES_EXEC_INFO": json.dumps(about)},
            seconds=SECONDS,
            limit=LIMIT,
            listen=False,
        )
    except OSError:
        hint = str(plugin.get("installHint") or "").strip()
        raise _failed(kubeconfig, command, f"cannot be started: is it installed? {hint}".rstrip()) from None
    if ended.status is None:
        raise _failed(kubeconfig, command, f"gave no answer within {SECONDS:.0f} s")
    if ended.status:
        raise _failed(kubeconfig, command, f"ended with status {ended.status}")
    try:
        status = json.loads(ended.output)["status"]
        given = {"token": str(status["token"])} if status.get("token") else {}
        if status.get("clientCertificateData") and status.get("clientKeyData"):
            given |= {
                "client-certificate-data": _encoded(status["clientCertificateData"]),
                "client-key-data": _encoded(status["clientKeyData"]),
            }
    except (ValueError, KeyError, TypeError, AttributeError):
        given = {}
    if not given:
        raise _failed(kubeconfig, command, "printed no ExecCredential with a token or a client certificate")
    return given


def _encoded(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()


def _failed(kubeconfig: Path, command: str, what: str) -> BootstrapError:
    return BootstrapError(
        f"kubeconfig {kubeconfig}: its user logs in by the program {command}, which {what}. Try it by hand: "
        f"kubectl --kubeconfig {shlex.quote(str(kubeconfig))} version",
        code="login_failed",
        subject=str(kubeconfig),
    )
