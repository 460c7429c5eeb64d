# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ESO moves from Terraform's helm_release to Flux in the steps of the guide, and no Secret is made anew.

Real are Helm's code (as Terraform's provider calls it), ESO and its chart, Vault, helm-controller and Kubernetes with
its garbage collector. Terraform itself is not run.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery import pieces
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.wanted import OPERATORS
from lab import charts
from lab.charts import ChartRepository
from lab.delivery import API, STORE, Delivery, thing
from lab.flux import flux_programs
from lab.gitops import NAMESPACE as FLUX
from lab.gitops import flux_components
from lab.helmrelease import HelmRelease
from lab.kubeclient import MERGE, KubeError, Object
from lab.kubelet import Program
from lab.operators import ESO, install
from lab.playbook import Run
from lab.process import wait_until

pytestmark = [pytest.mark.kube, pytest.mark.seldom]

ROOT = Path(__file__).parents[2]
PLAYBOOK = ROOT / "playbooks" / "crds_kept.yml"
GUIDE = ROOT / "docs" / "docsite" / "rst" / "guide_move_eso.rst"
PATH = "tazlab-k8s/static/apps/web/TOKEN"
GROUPS = ("external-secrets.io", "generators.external-secrets.io")
CRD = "apiextensions.k8s.io/v1", "CustomResourceDefinition"
RELEASE = "helm.toolkit.fluxcd.io/v2", "HelmRelease"
KEEP = {"crds": {"annotations": {"helm.sh/resource-policy": "keep"}}}
# Nobody serves webhooks here.
VALUES: Mapping[str, Any] = {"webhook": {"create": False}, "certController": {"create": False}}
KEPT: Mapping[str, Any] = {**VALUES, **KEEP}
OPERATOR = OPERATORS["eso"]


class Move(Delivery):
    """A cluster in which ESO comes from its chart, by Helm or by Flux."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        chart = ESO, OPERATOR.version, charts.external_secrets(), charts.external_secrets_values()
        self.charts = ChartRepository(self.authority)
        self.charts.add(*chart)
        archive = directory / "charts" / f"{ESO}-{OPERATOR.version}.tgz"
        archive.parent.mkdir()
        archive.write_bytes(charts.packed(*chart))
        self.helm = HelmRelease(directory / "kube" / "kubeconfig", ESO, ESO, archive)
        self._serving = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.charts)
            super().__enter__()
            self._serving = stack.pop_all()
        return self

    def __exit__(self, *how: Any) -> None:
        super().__exit__(*how)
        self._serving.close()

    def programs(self, kubeconfig: Path) -> dict[str, Program]:
        return {**super().programs(kubeconfig), **flux_programs(kubeconfig, helm=True)}

    def install(self) -> None:
        """As Terraform has installed it: by Helm, without keep. Flux is there and does nothing yet."""
        install(self.client, flux_components(("source-controller", "helm-controller")))
        self.client.apply(thing("v1", "Secret", "charts", FLUX, stringData={"ca.crt": self.authority.ca_pem}))
        spec = {"interval": "1h", "url": self.charts.url, "certSecretRef": {"name": "charts"}}
        self.client.apply(thing("source.toolkit.fluxcd.io/v1", "HelmRepository", ESO, FLUX, spec=spec))
        self.value = "first"
        self.write(PATH, self.value)
        self.helm.install(VALUES)

    def deliver(self) -> None:
        """Have ESO make a Secret of what Vault holds."""
        data = [{"secretKey": "token", "remoteRef": {"key": PATH, "property": "value"}}]
        spec = {"refreshInterval": "1h", "secretStoreRef": {"kind": "ClusterSecretStore", "name": STORE}, "data": data}
        self.client.apply(thing(API, "ExternalSecret", "web", "default", spec=spec))
        self.wait("web", {"token": self.value})

    def await_collector(self) -> None:
        """Wait until the garbage collector watches ExternalSecrets: it looks for new kinds twice a minute."""
        self.client.apply(thing(API, "ExternalSecret", "canary", "default", spec={"data": []}))
        path = self.client.path(API, "ExternalSecret", "default", "canary")
        self.client.request("DELETE", path, {"propagationPolicy": "Foreground"})  # which the collector alone ends
        gone = partial(self.client.find, API, "ExternalSecret", "canary", "default")
        wait_until(lambda: gone() is None, "the garbage collector watches ExternalSecrets", 90)

    def crds(self) -> dict[str, str]:
        """The uids of ESO's CRDs."""
        found = (each["metadata"] for each in self.client.list(*CRD))
        return {each["name"]: each["uid"] for each in found if each["name"].partition(".")[2] in GROUPS}

    def find(self, api: str, kind: str) -> Object | None:
        try:
            return self.client.find(api, kind, "web", "default")
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    def uids(self) -> dict[str, str]:
        """Of all that may not be made anew."""
        found = {kind: self.find(api, kind) for api, kind in ((API, "ExternalSecret"), ("v1", "Secret"))}
        return {**self.crds(), **{kind: each["metadata"]["uid"] for kind, each in found.items() if each}}

    def rotates(self) -> None:
        """ESO works: a new value arrives in the same Secret."""
        before = self.uids()
        self.value = self.rotate(PATH)
        self.sync("default", ["web"])
        self.wait("web", {"token": self.value})
        assert self.uids() == before

    def revisions(self) -> dict[int, str]:
        """Those that Helm has stored, with their status."""
        found = (each["metadata"]["labels"] for each in self.client.list("v1", "Secret", ESO) if _is_stored(each))
        return {int(each["version"]): each["status"] for each in found}

    def ready(self, name: str, namespace: str, reason: str) -> None:
        """Wait for a HelmRelease."""
        seen = ""

        def holds() -> bool:
            nonlocal seen
            found = self.client.get(*RELEASE, name, namespace)
            for each in found.get("status", {}).get("conditions", []):
                if each["type"] == "Ready" and each.get("observedGeneration") == found["metadata"]["generation"]:
                    seen = f"{each['status']} {each['reason']}: {each['message']}"
            return seen.startswith(f"True {reason}")

        wait_until(holds, f"the HelmRelease {namespace}/{name} is Ready", 90)

    def leave(self, name: str, namespace: str) -> None:
        """The way back of the guide: suspended, a HelmRelease goes without its release."""
        path = self.client.path(*RELEASE, namespace, name)
        self.client.request("PATCH", path, {"spec": {"suspend": True}}, content_type=MERGE)
        self.client.delete(*RELEASE, name, namespace)
        wait_until(lambda: self.client.find(*RELEASE, name, namespace) is None, "the HelmRelease is gone", 60)


def of_the_guide() -> Object:
    """The HelmRelease that stands there in full."""
    text = GUIDE.read_text()
    block = text[text.index("    apiVersion: helm.toolkit.fluxcd.io/v2") : text.index("Before you push, ")]
    loaded: Object = yaml.safe_load(textwrap.dedent(block))
    return loaded


def _is_stored(secret: Object) -> bool:
    return bool(secret["type"] == "helm.sh/release.v1" and secret["metadata"]["labels"]["name"] == ESO)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Move]:
    with Move(tmp_path_factory.mktemp("move-eso")) as lab:
        yield lab


@pytest.fixture
def check(ansible_playbook: Callable[..., Run], lab: Move) -> Callable[..., Run]:
    def run(**more: Any) -> Run:
        kubeconfig = str(lab.control_plane.kubeconfig)
        return ansible_playbook(PLAYBOOK, variables={"tazlab_kubeconfig": kubeconfig, **more})

    return run


def test_without_keep_in_the_release_an_uninstall_takes_every_secret_along(
    lab: Move, check: Callable[..., Run]
) -> None:
    lab.deliver()
    assert len(lab.crds()) == 14
    said = check()
    assert said.returncode != 0
    assert "so an uninstall deletes it, with 1 object and 1 Secret." in said.stdout

    for name in lab.crds():  # by hand, where an uninstall does not look
        body = {"metadata": {"annotations": KEEP["crds"]["annotations"]}}
        lab.client.request("PATCH", lab.client.path(*CRD, name=name), body, content_type=MERGE)
    said = check()
    assert said.returncode != 0
    assert "so an upgrade that leaves it out deletes it" not in said.stdout
    lab.await_collector()
    lab.helm.uninstall()
    wait_until(lambda: not lab.uids(), "all of it is gone", 60)

    lab.helm.install(VALUES)
    lab.seed()
    lab.deliver()


def test_with_keep_in_the_release_an_uninstall_leaves_all_of_it_and_eso_can_come_back(
    lab: Move, check: Callable[..., Run], tmp_path: Path
) -> None:
    note, before = tmp_path / "before.json", lab.uids()
    assert check(tazlab_crds_to=str(note)).returncode != 0
    assert {"CustomResourceDefinition", "ExternalSecret", "Secret"} < {
        each["kind"] for each in json.loads(note.read_text())
    }

    lab.helm.upgrade(KEPT)
    said = check(tazlab_crds_since=str(note))
    assert said.returncode == 0, said.output

    lab.helm.uninstall()
    assert lab.client.find("apps/v1", "Deployment", ESO, ESO) is None
    assert lab.revisions() == {}
    assert lab.uids() == before
    assert lab.data("web") == {"token": lab.value}
    assert "the namespace has no Secret of Helm for it" in check().output

    lab.helm.install(KEPT)
    assert lab.uids() == before
    lab.rotates()
    assert check(tazlab_crds_since=str(note)).returncode == 0


def test_an_upgrade_is_refused_that_drops_a_crd(lab: Move, check: Callable[..., Run], tmp_path: Path) -> None:
    rendered = tmp_path / "upgrade.yaml"
    rendered.write_text(lab.helm.template(KEPT))
    assert check(tazlab_crds_rendered=str(rendered)).returncode == 0

    rendered.write_text(lab.helm.template({**VALUES, "crds": {**KEEP["crds"], "createClusterSecretStore": False}}))
    said = check(tazlab_crds_rendered=str(rendered))
    assert said.returncode != 0
    assert "clustersecretstores.external-secrets.io: the upgrade leaves it out" in said.stdout

    bare, before = {**VALUES, "installCRDs": False}, lab.uids()
    rendered.write_text(lab.helm.template(bare))
    said = check(tazlab_crds_rendered=str(rendered))
    assert all(f"{name}: the upgrade leaves it out" in said.stdout for name in lab.crds())

    lab.helm.upgrade(bare)  # all the same: Helm looks at the CRDs in the cluster
    assert lab.uids() == before
    lab.helm.upgrade(KEPT)
    assert lab.uids() == before
    assert check().returncode == 0


@pytest.mark.parametrize("where", [ESO, FLUX])
def test_a_helmrelease_adopts_the_release_and_can_give_it_back(
    lab: Move, check: Callable[..., Run], tmp_path: Path, where: str
) -> None:
    """As the operators' tree has it, and as one that stands in another namespace under another name."""
    note, before, revisions = tmp_path / "before.json", lab.uids(), lab.revisions()
    assert check(tazlab_crds_to=str(note)).returncode == 0
    document = pieces.helm_release("eso", OPERATOR, FLUX).document if where == ESO else of_the_guide()
    name = document["metadata"]["name"]
    document["spec"]["values"] = {**document["spec"]["values"], **VALUES}
    lab.client.apply(document, "kustomize-controller")
    lab.ready(name, where, "UpgradeSucceeded")

    assert max(lab.revisions()) == max(revisions) + 1
    assert lab.revisions()[max(revisions) + 1] == "deployed"
    assert lab.uids() == before
    said = check(tazlab_crds_since=str(note))
    assert said.returncode == 0, said.output
    lab.rotates()

    held = lab.revisions()
    lab.leave(name, where)
    assert lab.revisions() == held
    assert lab.uids() == before
    lab.helm.upgrade(KEPT)  # as Terraform would again
    assert lab.uids() == before


def test_a_helmrelease_that_is_deleted_uninstalls_eso_and_leaves_the_secrets(lab: Move) -> None:
    before = lab.uids()
    document = pieces.helm_release("eso", OPERATOR, FLUX).document
    document["spec"]["values"] = {**document["spec"]["values"], **VALUES}
    lab.client.apply(document, "kustomize-controller")
    lab.ready(ESO, ESO, "UpgradeSucceeded")
    lab.client.delete(*RELEASE, ESO, ESO)
    wait_until(lambda: lab.client.find(*RELEASE, ESO, ESO) is None, "the HelmRelease is gone", 60)
    assert lab.client.find("apps/v1", "Deployment", ESO, ESO) is None
    assert lab.uids() == before

    lab.client.apply(document, "kustomize-controller")
    lab.ready(ESO, ESO, "InstallSucceeded")
    lab.rotates()
