# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes join a tailnet at their birth, and this cluster's devices go with it: by their ids, and nobody else's."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._tailnet.api import Client, Tailnet
from lab.bundle import bundle
from lab.playbook import Run, run_playbook
from lab.supervisor import Lab
from lab.tailnet import TailnetApi
from lab.tls import Authority

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
PAIR = {"NODES_CLIENT_ID": "canary-nodes-id", "NODES_CLIENT_SECRET": "canary-nodes-secret"}
TAG = "tag:k8s"


class Extension(threading.Thread):
    """STAND-IN for the extension tailscale: a machine that has been configured joins with its key."""

    def __init__(self, lab: Lab, api: TailnetApi) -> None:
        super().__init__(daemon=True)
        self.lab, self.api, self.ended = lab, api, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.2):
            for machine in self.lab.nodes.machines():
                key = re.search(r"TS_AUTHKEY=(tskey-auth-\w+)", machine.config_text)
                unused = {each.key for each in self.api.tailnet.keys if not each.used}
                if key and key[1] in unused:
                    self.api.tailnet.join(machine.hostname, key[1])


@dataclass
class World:
    """A lab whose nodes join a tailnet."""

    lab: Lab
    home: Path
    api: TailnetApi
    inventory: Path

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Run:
        return run_playbook(
            PLAYBOOKS / playbook,
            home=self.home,
            inventory=self.inventory,
            arguments=arguments,
            variables=variables,
            environment={"PATH": self.lab.environment()["PATH"]},
            timeout=600,
        )

    def names(self) -> list[str]:
        return sorted(device.name for device in self.api.tailnet.devices)

    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.lab.state / "facts.json").read_text())
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("tailnet")
    with (
        Lab(directory / "lab") as lab,
        TailnetApi(lab.authority, PAIR["NODES_CLIENT_ID"], PAIR["NODES_CLIENT_SECRET"]) as api,
    ):
        lab.vault.write_bundle({**lab.values, **PAIR})
        inventory = lab.variables()
        inventory["all"]["vars"] |= {
            "tazlab_fields": {name: {} for name in (*bundle(""), *PAIR)},
            "tazlab_tailnet": {
                "tags": [TAG],
                "client_id_field": "NODES_CLIENT_ID",
                "client_secret_field": "NODES_CLIENT_SECRET",
                "url": api.url,
                "ca_cert": str(lab.authority.ca_file),
            },
        }
        path = directory / "inventory.yml"
        path.write_text(yaml.safe_dump(inventory))
        extension = Extension(lab, api)
        extension.start()
        yield World(lab, directory / "home", api, path)
        extension.ended.set()
        extension.join(timeout=10)


@pytest.mark.sweep("a whole birth")
@pytest.mark.kube
def test_nodes_join_once_and_their_devices_go_with_the_cluster(world: World) -> None:
    api, tailnet = world.api, world.api.tailnet
    # A scope that the client lacks is named before anything is made.
    api.scope = "devices:core"
    lacking = world.play("site.yml")
    assert lacking.returncode != 0
    assert "The OAuth client of the tailnet lacks the scope auth_keys." in lacking.output
    assert "Preflight found 1 problem; nothing was changed." in lacking.output
    api.scope = "auth_keys devices:core"

    checked = world.play("site.yml", "--check")
    assert checked.returncode == 0, checked.output[-4000:]
    assert tailnet.keys == [], "none is minted in check mode"

    # Two that are not this cluster's: one bears a node's name, the other the tag.
    laptop = tailnet.add("cp-1", ["tag:other"])
    stranger = tailnet.add("other-node", [TAG])
    born = world.play("site.yml", "-vvvv")
    assert born.returncode == 0, born.output[-6000:]
    assert [key.used for key in tailnet.keys] == [True, True], "one for each node, which served"
    assert not any(key.key in born.output for key in tailnet.keys)
    assert PAIR["NODES_CLIENT_SECRET"] not in born.output
    nodes = {device.hostname: device.node_id for device in tailnet.devices if TAG in device.tags and device != stranger}
    assert {name: each["device"] for name, each in world.facts()["joined"].items()} == nodes
    again = world.play("site.yml")
    assert again.stats()["changed"] == 0, again.output[-4000:]
    assert len(tailnet.keys) == 2, "a node that has joined gets none"

    # The cluster's own operator has made a device, and notes it in its Secret.
    proxy = tailnet.add("grafana", [TAG])
    (cluster,) = world.lab.nodes.clusters()
    note = base64.b64encode(proxy.node_id.encode()).decode()
    metadata = {"name": "ts-grafana-0", "namespace": "tailscale"}
    cluster.client().create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"device_id": note}})
    # The machine of Vault is in the tailnet as well: here that is this machine.
    vault = tailnet.add("vault", [TAG], address="127.0.0.1")

    plan = world.play("destroy.yml", "--check")
    assert plan.returncode == 0, plan.output
    assert tailnet.removed == []
    # An answer that is not the tailnet's does not make a device forgotten; the same command goes on.
    api.portal = True
    unheard = world.play("destroy.yml", tazlab_destroy="lab")
    api.portal = False
    assert unheard.returncode != 0
    assert "answered without a list of devices. Run this again" in unheard.output
    assert {name: each["device"] for name, each in world.facts()["joined"].items()} == nodes
    gone = world.play("destroy.yml", "-e", f"tazlab_tailnet_remove={vault.node_id}", tazlab_destroy="lab")
    assert gone.returncode == 0, gone.output[-4000:]
    assert set(tailnet.removed) == {*nodes.values(), proxy.node_id}
    assert world.names() == sorted(device.name for device in (laptop, stranger, vault))
    assert (
        f"vault.tail1234.ts.net (id {vault.node_id}) is not removed from the tailnet: it is this machine."
        in gone.output
    )
    assert f"the name cp-1 is still taken by cp-1.tail1234.ts.net (id {laptop.node_id})" in gone.output
    assert f"other-node.tail1234.ts.net (id {stranger.node_id}) carries the tags and is left alone" in gone.output
    assert world.facts()["joined"] == {}
    # What somebody names by its id goes, too.
    both = f"tazlab_tailnet_remove={stranger.node_id},n4711CNTRL"
    named = world.play("destroy.yml", "-e", both, tazlab_destroy="lab")
    assert named.returncode == 0, named.output
    assert stranger.node_id in tailnet.removed
    assert "tazlab_tailnet_remove: the tailnet has no device with the id n4711CNTRL." in named.output
    assert laptop in tailnet.devices


def test_what_the_client_may_not_do_is_told_with_the_scope(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with TailnetApi(authority, "id", "secret") as api:

        def asked(text: str = "secret") -> Tailnet:  # of a stand-in
            return Tailnet(Client(api.url, "id", text, authority.ca_pem))

        api.scope = "auth_keys"
        with asked() as tailnet, pytest.raises(BootstrapError, match="lacks the scope devices:core:read"):
            tailnet.devices()
        with asked() as tailnet, pytest.raises(BootstrapError, match=r"lacks the scope devices:core\."):
            tailnet.remove("1")
        api.scope = "devices:core"
        with asked() as tailnet, pytest.raises(BootstrapError, match="lacks the scope auth_keys"):
            tailnet.mint([TAG], "x")
        api.scope = "all"
        with pytest.raises(BootstrapError, match="refused the OAuth client"), asked("wrong"):
            pass
    api.scope = "auth_keys devices:core"
    with TailnetApi(authority, "id", "secret") as api, Tailnet(Client(api.url, "id", "secret", authority.ca_pem)) as it:
        with pytest.raises(BootstrapError, match="Only tags that the OAuth client itself has"):
            it.mint(["tag:foreign"], "x")
        assert it.mint([TAG], "x").startswith("tskey-auth-")
        assert not it.remove("4711"), "it is gone already"
