# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that nobody here made is taken over: nothing is restarted, and nothing changed that was not shown."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.adopt import from_file, from_machines, prove
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import cluster_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Talosctl
from lab import gitops
from lab.factory import PLAIN_SCHEMATIC
from lab.kubeclient import Client, KubeError
from lab.leaks import Canaries
from lab.process import wait_until
from lab.supervisor import CLUSTER_VARS, Lab
from tests.integration.test_existing import World, by_hand

ROOT = Path(__file__).resolve().parents[2]
NAME = "tazlab-k8s"  # what create.sh called it
CONTRACT = "v1.8"
NODES = {"cp-1": 11, "worker-1": 21}


class Living(World):
    """A lab with a cluster as create.sh and Terraform made it, and an inventory for it."""

    @property
    def theirs(self) -> Path:
        """The files of whoever made it."""
        return self.home / ".talos"

    def talosctl(self, *words: str) -> bytes:
        program = str(self.lab.tools / "talosctl")
        return subprocess.run([program, *words], cwd=self.theirs, capture_output=True, check=True).stdout

    def client(self) -> Client:
        (cluster,) = self.lab.nodes.clusters()
        return cluster.client()

    def picture(self) -> dict[str, Any]:
        """What must not change: the machines' configurations and runs, and what lies in Kubernetes."""
        (cluster,) = self.lab.nodes.clusters()
        stored = {
            key: value
            for key, value in cluster.etcd_values().items()
            if re.match(r"/registry/(secrets|configmaps|namespaces)/(external-secrets|tailscale|flux-system)", key)
            and "kube-root-ca" not in key
        }
        return {
            "configurations": sorted(machine.config_text for machine in self.lab.nodes.machines()),
            "runs": {vm.name: (vm.running, vm.started_at) for vm in self.lab.proxmox.vms()},
            "stored": stored,
        }

    def tags(self) -> dict[int, str]:
        return {vm.vmid: str(vm.config.get("tags", "")) for vm in self.lab.proxmox.vms()}

    def retag(self, vmid: int, tags: str, name: str) -> None:
        """Change a VM as somebody at the console does."""
        vm = self.lab.proxmox.pve.vm(vmid)
        vm.config |= {"tags": tags, "name": name}
        vm.name = name


def secret(namespace: str, name: str, values: dict[str, str]) -> dict[str, Any]:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "data": data,
    }


def talos(living: Living) -> None:
    """As create.sh: talosctl by hand, with the contract of years ago."""
    lab = living.lab
    endpoint = f"https://{lab.address(11)}:6443"
    living.theirs.mkdir(parents=True)
    living.talosctl("gen", "secrets", "--output-file", "secrets.yaml")
    text = (living.theirs / "secrets.yaml").read_text()
    key = lab.values["TALOS_SECRETBOX_KEY"]
    text = re.sub(r"(secretboxencryptionsecret:) \S+", rf"\1 {key}", text)
    (living.theirs / "secrets.yaml").write_text(text)
    settings = living.variables["tazlab_talos"]
    installer = (
        f"{settings['factory_url'].partition('://')[2]}/nocloud-installer/{PLAIN_SCHEMATIC}:{settings['version']}"
    )
    for name, number in NODES.items():
        kind = "worker" if "worker" in name else "controlplane"
        # create.sh mints a key for each node, with which its extension joins the tailnet once.
        login = {"apiVersion": "v1alpha1", "kind": "ExtensionServiceConfig", "name": "tailscale"}
        patches: list[dict[str, Any]] = [
            {"machine": {"network": {"hostname": name}}},
            {**login, "environment": ["TS_AUTHKEY=tskey-auth-canary"]},
        ]
        if kind == "controlplane":
            patches.append({"cluster": {"coreDNS": {"disabled": True}}})
        living.talosctl(
            *("gen", "config", NAME, endpoint, "--with-secrets", "secrets.yaml", "--talos-version", CONTRACT),
            *("--kubernetes-version", settings["kubernetes_version"], "--install-image", installer),
            *("--install-disk", "/dev/sda", "--with-docs=false", "--with-examples=false", "--output-types", kind),
            *("--output", f"{name}.yaml", "--force"),
            *(word for patch in patches for word in ("--config-patch", json.dumps(patch))),
        )
        address = lab.address(number)
        living.talosctl("apply-config", "--insecure", "--nodes", address, "--file", f"{name}.yaml")
    living.talosctl(
        *("gen", "config", NAME, endpoint, "--with-secrets", "secrets.yaml", "--output-types", "talosconfig"),
        *("--output", "config", "--force"),
    )
    first = lab.address(11)
    reach = ("--talosconfig", "config", "--endpoints", first, "--nodes", first)

    def bootstrapped() -> bool:
        done = subprocess.run(
            [str(lab.tools / "talosctl"), *reach, "bootstrap"], cwd=living.theirs, capture_output=True, check=False
        )
        return done.returncode == 0

    wait_until(bootstrapped, "etcd is bootstrapped", 60)

    def answers() -> bool:
        try:
            return bool(lab.nodes.clusters()) and living.client().find("v1", "Namespace", "default") is not None
        except (OSError, KubeError):
            return False

    wait_until(answers, "Kubernetes answers", 60)


def kubernetes(living: Living) -> None:
    """As Terraform: its manifests by its field manager, its typed resources by HashiCorp's; and Flux as its CLI."""
    lab, client = living.lab, living.client()
    for name in ("external-secrets", "tailscale", "flux-system"):
        path = client.path("v1", "Namespace")
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        client.request("POST", path, body, query={"fieldManager": "HashiCorp"})
    values = lab.values
    for namespace, name, data in (
        ("external-secrets", "vault-ca-cert", {"ca.crt": values["VAULT_CA_CRT"]}),
        ("external-secrets", "vault-eso-token", {"token": "an older token"}),
        (
            "tailscale",
            "tailscale-operator-oauth",
            {
                "clientId": values["TAILSCALE_OPERATOR_CLIENT_ID"],
                "clientSecret": values["TAILSCALE_OPERATOR_CLIENT_SECRET"],
            },
        ),
    ):
        path = client.path("v1", "Secret", namespace)
        client.request("POST", path, secret(namespace, name, data), query={"fieldManager": "HashiCorp"})
    variables = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "cluster-vars", "namespace": "flux-system"},
        "data": {**CLUSTER_VARS, "domain": "older.example"},
    }
    client.apply(variables, manager="Terraform")
    for document in [*gitops.flux_components(), *gitops.flux_sync(lab.git.url)]:
        if document["kind"] in ("Namespace", "CustomResourceDefinition"):
            client.apply(document, manager="flux")


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        inventory = lab.variables()
        for group in inventory["all"]["children"].values():
            for host in group["hosts"].values():
                host["proxmox_node"] = "pve1"
        for name, number in NODES.items():
            by_hand(lab, name, 1000 + number, lab.address(number), 1)
        for name in NODES:
            lab.nodes.wait(name, "maintenance")
        made = Living(lab, tmp_path_factory.mktemp("home"), inventory)
        talos(made)
        kubernetes(made)
        yield made


@pytest.mark.sweep("a whole birth")
@pytest.mark.kube
def test_a_cluster_that_others_made_is_taken_over(living: Living) -> None:
    lab = living.lab
    before = living.picture()

    # Its name is not the inventory's: nothing is taken over by mistake.
    run = living.play("adopt.yml", "--check")
    assert run.returncode != 0
    assert "the machines are configured as cluster tazlab-k8s, and this is lab." in run.output
    assert "Set tazlab_talos.cluster_name: tazlab-k8s" in run.output
    living.variables["tazlab_talos"]["cluster_name"] = NAME

    in_memory = set(Path("/dev/shm").glob("tazlab-*"))  # of a run that was killed, perhaps
    check = living.play("adopt.yml", "--check", "-vvvvv", "--diff")
    assert check.returncode == 0, check.output
    hidden = {name: value for name, value in lab.values.items() if name.endswith(("SECRET", "TOKEN", "KEY"))}
    assert Canaries(hidden).names_in(check.output.encode()) == set()
    assert not lab.state.exists()
    assert living.picture() == before
    assert set(Path("/dev/shm").glob("tazlab-*")) <= in_memory
    table = check.stdout.partition("what differs from the inventory")[2]
    assert "Adopting: nothing would restart" in table
    assert "VMs that would be marked: cp-1, worker-1" in table
    assert re.search(r"\n  VM cp-1\n    cores is 1, wanted 2 +is left so\n", table), table
    assert re.search(r"\n  seed Secret external-secrets/vault-eso-token\n    ~ data\.token +is applied\n", table)
    assert re.search(r"\n  seed Secret external-secrets/vault-ca-cert\n    field manager +is applied\n", table)
    assert re.search(r"\n  seed ConfigMap flux-system/cluster-vars\n    ~ data\.domain +is applied\n", table)
    assert re.search(r"\n  Flux\n    not there: ServiceAccount +is made\n", table)
    assert "\n  node " not in table, "its configuration is what its contract and the inventory give"
    assert max(len(line) for line in table.partition("VMs that")[0].splitlines()) <= 80

    # A patch of the inventory is shown by its path, with what it starts anew.
    patch = {"cluster": {"apiServer": {"extraArgs": {"v": "3"}}}}
    living.variables["tazlab_talos_patches"]["control_plane"] = [patch]
    table = living.play("adopt.yml", "--check").stdout
    assert re.search(r"\n  node cp-1\n    \+ cluster\.apiServer\.extraArgs\.v +kube-apiserver starts anew\n", table), (
        table
    )
    living.variables["tazlab_talos_patches"]["control_plane"] = []

    adopted = living.play("adopt.yml")
    assert adopted.returncode == 0, adopted.output
    assert "Adopted: nothing was restarted" in adopted.output
    assert living.picture() == before
    assert set(living.tags().values()) == {"tazlab-lab"}
    files = {path.name: path.stat().st_mode & 0o777 for path in lab.state.iterdir()}
    assert {"secrets.yaml", "facts.json", "talosconfig", "kubeconfig"} <= set(files)
    assert set(files.values()) == {0o600}
    assert yaml.safe_load((lab.state / "secrets.yaml").read_text()) == yaml.safe_load(
        (living.theirs / "secrets.yaml").read_text()
    )
    assert json.loads((lab.state / "facts.json").read_text())["contract"] == CONTRACT
    again = living.play("adopt.yml")
    assert again.returncode == 0, again.output
    assert again.stats()["changed"] == 0, again.output

    # A VM that has lost its mark gets it again, and keeps its other tags.
    living.retag(1011, "mine;other", "cp-1")
    marked = living.play("adopt.yml")
    assert marked.stats()["changed"] == 1, marked.output
    assert living.tags()[1011].split(";") == ["mine", "other", "tazlab-lab"]

    # From now on it is a cluster as any other: no node and no VM is touched, seeds and Flux are brought about.
    configurations = before["configurations"]
    site = living.play("site.yml")
    assert site.returncode == 0, site.output[-8000:]
    assert sorted(machine.config_text for machine in lab.nodes.machines()) == configurations
    second = living.play("site.yml")
    assert second.stats()["changed"] == 0, second.output[-8000:]


@pytest.mark.kube
def test_what_is_not_this_clusters_is_refused_and_named(living: Living, tmp_path: Path) -> None:
    talosctl = Talosctl({"PATH": living.lab.environment()["PATH"], "HOME": str(living.home)})
    nodes = [
        {"name": name, "address": living.lab.address(number), "role": role, "install_disk": "/dev/sda", "patches": []}
        for (name, number), role in zip(NODES.items(), ("control_plane", "worker"), strict=True)
    ]
    settings = {key: living.variables["tazlab_talos"][key] for key in ("version", "kubernetes_version", "schematic")}
    options = {"cluster": NAME, "endpoint": None, "factory_url": "https://x", "platform": "nocloud", "coredns": False}
    cluster = cluster_of({**settings, **options, "nodes": nodes})

    def refused(file: Path, words: str) -> None:
        with pytest.raises(BootstrapError) as raised:
            prove(talosctl, cluster, from_file(talosctl, file))
        assert words in str(raised.value)

    # A control plane's configuration with one key that is not the living one; its owner is told which.
    text = (living.theirs / "cp-1.yaml").read_text()
    other = base64.b64encode(b"o" * 32).decode()
    stale = tmp_path / "stale.yaml"
    stale.write_text(text.replace(living.lab.values["TALOS_SECRETBOX_KEY"], other))
    refused(stale, f"the living cluster has other keys than {stale}: ~ secrets.secretboxencryptionsecret")
    # A worker's configuration does not have them, and a file that is none has nothing.
    refused(living.theirs / "worker-1.yaml", "is not the machine configuration of a control plane")
    refused(tmp_path / "none", "does not exist")
    # Terraform's state: of another cluster, without Talos, encrypted.
    living.talosctl("gen", "secrets", "-o", str(tmp_path / "foreign.yaml"))
    foreign = yaml.safe_load((tmp_path / "foreign.yaml").read_text())
    state = tmp_path / "terraform.tfstate"
    state.write_text(json.dumps(terraform(foreign)))
    place = f"module.talos.talos_machine_secrets.this in {state}"
    refused(state, f"the secrets of {place} are not this cluster's. Nothing was changed.")
    state.write_text(json.dumps({"version": 4, "resources": []}))
    refused(state, "is a Terraform state without a resource talos_machine_secrets")
    state.write_text(json.dumps({"encrypted_data": "x", "serial": 1}))
    refused(state, "The Terraform state is encrypted")
    # A talosconfig that opens nothing.
    living.talosctl(
        *("gen", "config", "x", "https://127.0.0.1:6443", "--with-secrets", str(tmp_path / "foreign.yaml")),
        *("--output-types", "talosconfig", "--output", str(tmp_path / "foreign-config")),
    )
    with pytest.raises(BootstrapError, match="No control plane lets the credentials of"):
        from_machines(talosctl, tmp_path / "foreign-config", cluster.control_planes)
    # And the right ones: the file itself, and of two resources the one that the living machines prove.
    assert prove(talosctl, cluster, from_file(talosctl, living.theirs / "cp-1.yaml")).seen
    both = terraform(foreign)
    both["resources"] += terraform(yaml.safe_load((living.theirs / "secrets.yaml").read_text()))["resources"]
    state.write_text(json.dumps(both))
    proven = prove(talosctl, cluster, from_file(talosctl, state))
    assert yaml.safe_load(proven.candidate.content) == yaml.safe_load((living.theirs / "secrets.yaml").read_text())


def terraform(secrets: dict[str, Any]) -> dict[str, Any]:
    """A Terraform state with these secrets, as the provider siderolabs/talos keeps them."""
    certs = {
        theirs: {key: pair[ours] for key, ours in (("cert", "crt"), ("key", "key")) if ours in pair}
        for theirs, pair in (
            ("etcd", secrets["certs"]["etcd"]),
            ("k8s", secrets["certs"]["k8s"]),
            ("k8s_aggregator", secrets["certs"]["k8saggregator"]),
            ("k8s_serviceaccount", secrets["certs"]["k8sserviceaccount"]),
            ("os", secrets["certs"]["os"]),
        )
    }
    attributes = {
        "id": "machine_secrets",
        "machine_secrets": {
            "certs": certs,
            "cluster": secrets["cluster"],
            "secrets": {
                "bootstrap_token": secrets["secrets"]["bootstraptoken"],
                "secretbox_encryption_secret": secrets["secrets"]["secretboxencryptionsecret"],
                "aescbc_encryption_secret": None,
            },
            "trustdinfo": secrets["trustdinfo"],
        },
    }
    resource = {
        "module": "module.talos",
        "mode": "managed",
        "type": "talos_machine_secrets",
        "name": "this",
        "instances": [{"attributes": attributes}],
    }
    return {"version": 4, "terraform_version": "1.9.0", "resources": [{"type": "other"}, resource]}
