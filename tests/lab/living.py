# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of Talos that lives, for what is done to its machines one after the other."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import MARK
from lab.factory import ImageFactory
from lab.kubeclient import MERGE, Client, KubeError
from lab.machines import KUBERNETES, SCHEMATIC, Metal, TalosWorld
from lab.nodes import Nodes
from lab.playbook import Run, run_playbook
from lab.process import wait_until
from lab.tls import Authority

ROOT = Path(__file__).resolve().parents[2]


class LivingWorld(TalosWorld):
    """A cluster that lives, on machines that nobody here makes. Kubernetes and etcd's database are real."""

    def __init__(self, directory: Path, metal: Metal, nodes: Nodes, factory: ImageFactory) -> None:
        super().__init__(directory, metal)
        self.metal = metal
        self.talos = nodes
        self.cluster = "home"  # as the inventory calls it
        self.patches: dict[str, Any] = {}  # of the inventory
        self.factory = factory
        self.environment = {"SSL_CERT_FILE": str(factory.ca_file)}
        self.options = {"factory_url": factory.url, "timeout": 90}

    def client(self) -> Client:
        (cluster,) = self.talos.clusters()
        return cluster.client()

    def node_object(self, name: str) -> dict[str, Any]:
        found = self.client().find("v1", "Node", name)
        assert found is not None
        return found

    def ready(self) -> bool:
        """Whether every Node of the inventory is Ready."""

        def is_ready(name: str) -> bool:
            conditions = self.node_object(name).get("status", {}).get("conditions", [])
            return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

        try:
            return all(is_ready(node["name"]) for node in self.nodes)
        except (OSError, KubeError, AssertionError, ValueError):
            return False

    def runs(self) -> dict[str, tuple[str, str]]:
        """What each machine was booted with."""
        return {machine.hostname: (machine.runs, machine.schematic) for machine in self.talos.machines()}

    def living(self) -> None:
        self.born()
        wait_until(self.ready, "every node is Ready", 60)

    def inventory(self) -> Path:
        """An inventory of the cluster as a user writes one."""
        hosts = {node["name"]: {"ansible_host": node["address"], "install_disk": "/dev/sda"} for node in self.nodes}
        groups = {
            "talos_control_plane": [node["name"] for node in self.nodes if node["role"] == "control_plane"],
            "talos_workers": [node["name"] for node in self.nodes if node["role"] == "worker"],
        }
        variables = {
            "tazlab_cluster": self.cluster,
            "tazlab_provider": "existing",
            "tazlab_talos": {
                "cluster_name": "home",
                "version": self.options.get("version", self.metal.version),
                "kubernetes_version": self.options.get("kubernetes_version", KUBERNETES),
                "schematic": self.options.get("schematic", SCHEMATIC),
                "factory_url": self.factory.url,
                "platform": "nocloud",
            },
            "tazlab_talos_patches": self.patches,
            "tazlab_flux": {"url": "https://example.net/cluster", "branch": "main", "path": "./clusters/home"},
            "tazlab_state": {"path": str(self.state)},
            "tazlab_backup": {"directory": str(self.directory / "backups")},
            "tazlab_vault_url": "https://127.0.0.1:1",
            "tazlab_anchor": str(self.directory / "anchor"),
            "tazlab_fields": {"TALOS_SECRETBOX_KEY": {"kind": "base64key", "bytes": 32}},
        }
        children = {group: {"hosts": {name: hosts[name] for name in names}} for group, names in groups.items()}
        path = self.directory / "inventory.yml"
        path.write_text(yaml.safe_dump({"all": {"vars": variables, "children": children}}))
        return path

    def play(self, *arguments: str, playbook: str = "upgrade.yml") -> Run:
        """A playbook with that inventory."""
        return run_playbook(
            ROOT / "playbooks" / playbook,
            home=self.home,
            inventory=self.inventory(),
            arguments=arguments,
            environment={"PATH": self.path, **self.environment},
            timeout=300,
        )

    def held(self) -> dict[str, Any]:
        """What stands on the Nodes that an upgrade has left there: cordons and notes."""
        return {
            name: (node["spec"].get("unschedulable"), node["metadata"].get("annotations", {}).get(MARK))
            for name in (each["name"] for each in self.nodes)
            if (node := self.node_object(name))
        }

    def refused(self, *words: str, **variables: Any) -> str:
        """The message of an upgrade that fails."""
        run = self.run("talos_upgrade", **variables)
        assert run.returncode != 0, run.output
        for word in words:
            assert word in run.output, (word, run.output)
        return run.output

    def talosctl(self, number: int, *words: str) -> str:
        """What somebody does to a machine by hand; its output."""
        address = self.nodes[number - 1]["address"]
        reach = ("--talosconfig", str(self.state / "talosconfig"), "--endpoints", address, "--nodes", address)
        return subprocess.run(
            ["talosctl", *words, *reach],
            env={"PATH": self.path, **self.environment},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout

    def etcd_members(self) -> set[str]:
        """The host names of etcd's members, as the first control plane knows them."""
        lines = self.talosctl(1, "etcd", "members").splitlines()
        return {line.split()[2] for line in lines[1:]}

    def pods(self, app: str) -> list[str]:
        """The names of an application's pods."""
        found = self.client().request("GET", "/api/v1/namespaces/default/pods", query={"labelSelector": f"app={app}"})
        return [pod["metadata"]["name"] for pod in (found or {}).get("items", [])]

    def scale(self, name: str, replicas: int) -> None:
        path = f"/apis/apps/v1/namespaces/default/deployments/{name}"
        self.client().request("PATCH", path, {"spec": {"replicas": replicas}}, content_type=MERGE)
        self.settled(name, replicas)

    def deploy(self, name: str, replicas: int, budget: int) -> None:
        """An application with a disruption budget, running."""
        labels = {"app": name}
        self.client().create(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {"containers": [{"name": "main", "image": "example.net/app:1"}]},
                    },
                },
            }
        )
        self.budget(name, name, budget, replicas)

    def budget(self, name: str, app: str, available: int, replicas: int = 1) -> None:
        """A disruption budget of an application, which knows its pods."""
        self.client().create(
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"minAvailable": available, "selector": {"matchLabels": {"app": app}}},
            }
        )

        self.settled(name, replicas)

    def settled(self, budget: str, replicas: int) -> None:
        """Wait until a budget knows that so many pods run."""

        def settled() -> bool:
            found = self.client().find("policy/v1", "PodDisruptionBudget", budget, "default")
            return found is not None and found["status"].get("currentHealthy") == replicas

        wait_until(settled, f"{replicas} pods run and {budget} knows them", 60)


@contextmanager
def living_world(
    directory: Path, control_planes: int, workers: int, talos: str, kubernetes: str = KUBERNETES
) -> Iterator[LivingWorld]:
    """Such a cluster, in a folder of its own, of these versions; its API server is always the lab's."""
    metal = Metal(control_planes + workers, talos)
    with (
        ImageFactory(Authority(directory / "ca")) as factory,
        Nodes(directory / "nodes", metal, "talos-nodes-1.14") as nodes,
    ):
        world = LivingWorld(directory, metal, nodes, factory)
        world.options["kubernetes_version"] = kubernetes
        names = [f"cp-{number + 1}" for number in range(control_planes)]
        names += [f"worker-{number + 1}" for number in range(workers)]
        world.nodes = [world.node(name, number) for number, name in enumerate(names, 1)]
        for number in range(1, len(names) + 1):
            nodes.wait(f"machine-{number}", "maintenance")
        world.living()
        yield world
        assert nodes.problems == []
