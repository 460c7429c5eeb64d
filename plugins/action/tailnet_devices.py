# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(tailnet_devices): a cluster's devices are recorded at its birth, and go with it."""

from __future__ import annotations

import base64
import socket
import time
import typing as t
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS, state_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.tailnet import TAILNET, tailnet_client
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api, require
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import (
    Facts,
    Joined,
    change_facts,
    read_facts,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._tailnet.devices import (
    Device,
    joined,
    kept,
    others,
    taken,
)

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._tailnet.api import Client, Tailnet

PAUSE: t.Final = 2.0  # seconds between two looks for machines that join
API_SECONDS: t.Final = 5.0
OPERATOR: t.Final = "tailscale"  # the namespace of the Tailscale operator, which notes its devices in its Secrets


class ActionModule(ControllerAction):
    secret_result: t.ClassVar[bool] = True
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **STATE_OPTIONS,
        "tailnet": TAILNET,
        "nodes": {"type": "list", "elements": "str", "default": []},
        "state": {"type": "str", "choices": ["checked", "recorded", "operator", "removed"], "required": True},
        "kubeconfig": {"type": "path"},
        "vault_url": {"type": "str", "default": ""},
        "remove": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 120},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        client = tailnet_client(params["tailnet"])
        if client is None:
            return {"devices": [], "others": [], "taken": []}
        if params["state"] == "checked":
            return self._checked(client)
        state = state_of(self, params)
        if params["state"] == "recorded":
            return self._recorded(params, state, client)
        if params["state"] == "operator":
            return self._operator(params, state)
        return self._removed(params, state, client)

    @staticmethod
    def _checked(client: Client) -> dict[str, t.Any]:
        """Raise where the client could not do what a birth and a death ask of it."""
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._tailnet.api import Tailnet

        with Tailnet(client) as tailnet:
            tailnet.refuse_lacking_scopes()
            tailnet.devices()
        return {"devices": [], "others": [], "taken": []}

    # --------------------------------------------------------------------------------------------- at the birth

    def _recorded(self, params: dict[str, t.Any], state: State, client: Client) -> dict[str, t.Any]:
        """Note which device each node has become that was given a key."""
        facts = read_facts(state)
        waited = {
            node: each.minted for node, each in facts.joined.items() if not each.device and node in params["nodes"]
        }
        found: dict[str, Device] = {}
        if waited and not self.check_mode:
            found = self._awaited(waited, facts.devices, params, client)
            ids = {node: Joined(device.id, waited[node]) for node, device in found.items()}
            change_facts(state, lambda before: replace(before, joined={**before.joined, **ids}))
        missing = sorted(waited.keys() - found.keys()) if not self.check_mode else []
        late = (
            f"{', '.join(missing)}: no device of this name has joined the tailnet within {params['timeout']} s. Is "
            "Tailscale's extension in the schematic? It is looked for again by the next run."
        )
        return {
            "devices": [_row(each) for each in found.values()],
            "others": [],
            "taken": [],
            "warnings": [late] if missing else [],
        }

    def _awaited(
        self, waited: Mapping[str, float], known: Collection[str], params: Mapping[str, t.Any], client: Client
    ) -> dict[str, Device]:
        """The devices that nodes become, as far as they do in time. C(waited): when each one's key was minted."""
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._tailnet.api import SECONDS, Tailnet

        found: dict[str, Device] = {}
        deadline = Deadline(params["timeout"])
        with Tailnet(client, params["timeout"] + SECONDS) as tailnet:
            while True:
                devices = [each for each in tailnet.devices() if each.id not in known]
                for node in waited.keys() - found.keys():
                    device = joined(devices, node, params["tailnet"]["tags"], waited[node])
                    if device is not None:
                        found[node] = device
                        self.progress(f"{node} is {device.label} in the tailnet")
                if waited.keys() <= found.keys() or not deadline.left:
                    return found
                time.sleep(min(PAUSE, deadline.left))

    # --------------------------------------------------------------------------------------------- at the death

    def _operator(self, params: dict[str, t.Any], state: State) -> dict[str, t.Any]:
        """Note the devices that the cluster's own operator has made, while it can still be asked."""
        ids: list[str] = []
        warnings = []
        try:
            ids = _operators(str(params["kubeconfig"] or ""))
        except BootstrapError as error:
            warnings.append(
                f"The devices of the cluster's own operator could not be read: {error} They are left alone."
            )
        if ids and not self.check_mode:
            change_facts(state, lambda facts: replace(facts, left=tuple(dict.fromkeys((*facts.left, *ids)))))
        return {"devices": [{"id": each} for each in ids], "others": [], "taken": [], "warnings": warnings}

    def _removed(self, params: dict[str, t.Any], state: State, client: Client) -> dict[str, t.Any]:
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._tailnet.api import Tailnet

        facts = read_facts(state)
        with Tailnet(client) as tailnet:
            devices = tailnet.devices()
            wanted = [device for device in devices if device.id in {*facts.devices, *params["remove"]}]
            gone, warnings = self._remove(tailnet, wanted, params["vault_url"])
            unknown = [each for each in params["remove"] if each not in {device.id for device in devices}]
            if unknown:
                warnings.append(f"tazlab_tailnet_remove: the tailnet has no device with the id {', '.join(unknown)}.")
            left = [device for device in devices if device not in gone]
        if not self.check_mode:
            present = {device.id for device in left}
            change_facts(state, lambda before: before.without(_absent(before, present)))
        strangers = others(left, params["tailnet"]["tags"], facts.devices)
        for device in strangers:
            self.progress(f"{device.label} carries the tags and is left alone: it is not known as this cluster's")
        names = taken(left, params["nodes"])
        for device in names:
            self.progress(
                f"the name {device.short_name} is still taken by {device.label}: the next birth gets another. "
                "Where you are sure that it is of no use, remove that device in the tailnet's admin console"
            )
        return {
            "changed": bool(gone),
            "devices": [_row(each) for each in gone],
            "others": [_row(each) for each in strangers],
            "taken": [_row(each) for each in names],
            "warnings": warnings,
        }

    def _remove(self, tailnet: Tailnet, wanted: list[Device], vault_url: str) -> tuple[list[Device], list[str]]:
        """Remove each that may be removed. Returns those, and why others were kept."""
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._tailnet.api import is_here

        host = urlsplit(vault_url).hostname or ""
        addresses = _addresses(host)
        gone, warnings = [], []
        for device in wanted:
            why = kept(device, is_here, host, addresses)
            if why:
                warnings.append(f"{device.label} is not removed from the tailnet: {why}.")
                continue
            if not self.check_mode:
                tailnet.remove(device.id)
            gone.append(device)
            self.progress(f"{device.label} {'would be' if self.check_mode else 'is'} removed from the tailnet")
        return gone, warnings


def _absent(facts: Facts, present: Collection[str]) -> set[str]:
    return {device for device in facts.devices if device not in present}


def _operators(kubeconfig: str) -> list[str]:
    """The ids that the Tailscale operator notes in the Secrets of its devices, its own among them."""
    if not Path(kubeconfig).expanduser().is_file():
        raise BootstrapError(f"{kubeconfig} is not there.")
    with Api(kubeconfig) as api:
        answer = api.get(f"/api/v1/namespaces/{OPERATOR}/secrets", seconds=API_SECONDS)
        require(answer, api.server, f"the Secrets of namespace {OPERATOR}")
    found = []
    for item in answer.body.get("items") or []:
        encoded = (item.get("data") or {}).get("device_id")
        if encoded:
            found.append(base64.b64decode(encoded).decode(errors="replace").strip())
    return found


def _addresses(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)} if host else set()
    except OSError:
        return set()


def _row(device: Device) -> Mapping[str, t.Any]:
    return {"id": device.id, "name": device.name, "hostname": device.hostname}
