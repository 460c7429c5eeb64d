# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a cluster as the options of a task and the inventory's variables for Vault describe it. Private."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import from_variables, plain
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import declared_providers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import Directory, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.vault_home import COPY, VaultHome
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import (
    NoVault,
    TokenPlace,
    VaultSettings,
    expand,
    vault_settings,
)

DIRECTORY: t.Final = "directory"
VAULT: t.Final = "vault"
BACKENDS: t.Final = (DIRECTORY, VAULT)
DEFAULT_PATH: t.Final = "tazlab-k8s/state/{cluster}"
TOKEN_FILE: t.Final = ".config/tazlab/state-token-{cluster}"  # noqa: S105
TOKEN_IN_ANCHOR: t.Final = "state-token.txt"  # noqa: S105
TOKEN_VARIABLE: t.Final = "TAZLAB_STATE_TOKEN"  # noqa: S105  # a name
SECONDS: t.Final = 10.0  # for all that is asked of Vault at once, where the inventory says nothing
UNSTORED: t.Final = "unstored"  # below the state directory: what waits for Vault
SEEN: t.Final = "seen"  # there, too: what Vault had last, but for the secrets

STATE_HOME: t.Final[dict[str, t.Any]] = {
    "type": "dict",
    "no_log": False,  # but for its token
    "options": {
        "backend": {"type": "str", "choices": [*BACKENDS], "default": DIRECTORY},
        "cluster": {"type": "str", "default": ""},
        "path": {"type": "str"},
        "token": {"type": "str", "no_log": True},
        "anchor": {"type": "list", "elements": "dict"},
        "new_secrets": {"type": "str", "no_log": False},
    },
}

# What the actions take that need the cluster's state; the documentation is doc_fragments/state.py.
STATE_OPTIONS: t.Final[dict[str, t.Any]] = {"state_dir": {"type": "path", "required": True}, "state_home": STATE_HOME}

# What is asked of the inventory's variables for Vault.
VARIABLES: t.Final = ("url", "ca_cert", "validate_certs", "namespace", "mount_point", "timeout", "fields", "anchor")


@dataclass(frozen=True)
class InVault:
    """How the state in Vault is reached."""

    settings: VaultSettings
    seconds: float
    cluster: str
    providers: t.Any = field(default=(), repr=False)
    new_allowed: bool = False

    def ask(self, work: t.Callable[[t.Any], t.Any]) -> t.Any:
        return self.at(self.settings, work)

    def at(self, settings: VaultSettings, work: t.Callable[[t.Any], t.Any]) -> t.Any:
        """Let work talk to Vault at another path than the state's own."""
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import bounded

        return bounded(settings, self.seconds, work)

    def home(self, directory: Path) -> VaultHome:
        return VaultHome(
            cluster=self.cluster,
            settings=self.settings,
            ask=self.ask,
            unstored=Directory(directory / UNSTORED),
            seen=Directory(directory / SEEN),
            anchor=self.providers,
            new_allowed=self.new_allowed,
        )


def in_vault(action: ControllerAction, home: Mapping[str, t.Any] | None) -> InVault | None:
    """How the state in Vault is reached; None where it is kept in the directory."""
    if not home or home.get("backend") != VAULT:
        return None
    own, cluster = Path.home(), home["cluster"]
    templar = action._templar
    variables = plain(from_variables(VARIABLES, templar.available_variables, templar.template))
    path = str(home.get("path") or DEFAULT_PATH.format(cluster=cluster or "default"))
    anchor = expand(variables.get("anchor") or ANCHOR, own)
    place = _token_place(home, own, anchor)
    token = place.token("The token of the cluster's state", "Put the token alone there, on one line.")
    options = {**variables, "path": path, "token": token}
    settings = vault_settings(options, environ=os.environ, home=own)
    if isinstance(settings, NoVault):
        raise BootstrapError(f"The cluster's state is to be in Vault. {settings.message}", code=settings.reason)
    providers = home.get("anchor")
    return InVault(
        replace(settings, token_source=place.label),
        float(variables.get("timeout") or SECONDS),
        cluster,
        declared_providers(
            providers if providers is not None else [{"type": "file"}],
            fields=(COPY,),
            anchor=str(anchor),
            environ=os.environ,
            home=own,
        ),
        new_allowed(home),
    )


def new_allowed(home: Mapping[str, t.Any] | None) -> bool:
    """Whether somebody has said that new secrets are meant, by the cluster's name."""
    cluster = (home or {}).get("cluster")
    return bool(cluster) and (home or {}).get("new_secrets") == cluster


def state_of(action: ControllerAction, params: Mapping[str, t.Any]) -> State:
    """The cluster's state, as the options C(state_dir) and C(state_home) say."""
    directory = Path(params["state_dir"])
    vault = in_vault(action, params["state_home"])
    return State(directory, vault.home(directory) if vault else None)


def _token_place(home: Mapping[str, t.Any], own: Path, anchor: Path) -> TokenPlace:
    name = TOKEN_FILE.format(cluster=home.get("cluster") or "default")
    file, kept = own / name, anchor / TOKEN_IN_ANCHOR
    for place in (
        TokenPlace("the bundle's field", raw=home.get("token") or None),
        TokenPlace(f"environment {TOKEN_VARIABLE}", raw=os.environ.get(TOKEN_VARIABLE), variable=TOKEN_VARIABLE),
        TokenPlace(f"file ~/{name}", file, read_text(file)),
        TokenPlace(f"file {kept}", kept, read_text(kept, within=anchor)),
    ):
        if place.problem:
            raise BootstrapError(f"The token of the cluster's state from {place.label}: the file {place.problem}.")
        if place.has_value:
            return place
    raise BootstrapError(
        "No token for the cluster's state in Vault. Tried the field that tazlab_state.token_field names, the variable "
        f"{TOKEN_VARIABLE}, ~/{name} and {kept}. Have one made: ansible-playbook -i INVENTORY "
        "tazlab.bootstrap.publish --tags access",
        code="no_token",
    )
