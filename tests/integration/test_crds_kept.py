# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether ESO's CRDs outlive their Helm release is told of a real API server and of what Helm would have stored.

Helm itself, ESO and Flux are in test_move_eso.py.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.delivery import API, thing
from lab.kinds import ESO
from lab.kube import ControlPlane
from lab.kubeclient import MERGE, Client, Object
from lab.playbook import Run
from lab.process import wait_until

pytestmark = pytest.mark.kube

PLAYBOOK = Path(__file__).parents[2] / "playbooks" / "crds_kept.yml"
NAMESPACE = "external-secrets"
EXTERNAL = "externalsecrets.external-secrets.io"
STORES = "secretstores.external-secrets.io"
KEEP = {"helm.sh/resource-policy": "keep"}
OWNED = {"meta.helm.sh/release-name": NAMESPACE, "meta.helm.sh/release-namespace": NAMESPACE}
CANARY = "canary-of-the-values-5d1c"
CRD = "apiextensions.k8s.io/v1", "CustomResourceDefinition"


@dataclass
class Lab:
    """A cluster with ESO's CRDs, an ExternalSecret and its Secret, and Helm's storage as the test writes it."""

    client: Client
    kubeconfig: Path
    crds: Mapping[str, Object]

    def revision(self, number: int, crds: Mapping[str, Mapping[str, str]], status: str = "deployed") -> None:
        """Store a revision whose manifest has these CRDs with these annotations."""
        release = {
            "name": NAMESPACE,
            "namespace": NAMESPACE,
            "version": number,
            "info": {"status": status},
            "chart": {"metadata": {"name": NAMESPACE, "version": "0.10.3"}, "values": {"password": CANARY}},
            "config": {"password": CANARY},
            "manifest": self.manifest(crds),
        }
        packed = base64.b64encode(gzip.compress(json.dumps(release).encode())).decode()
        labels = {"owner": "helm", "name": NAMESPACE, "status": status, "version": str(number)}
        made = thing("v1", "Secret", f"sh.helm.release.v1.{NAMESPACE}.v{number}", NAMESPACE)
        made |= {"type": "helm.sh/release.v1", "stringData": {"release": packed}}
        made["metadata"]["labels"] = labels
        self.client.apply(made, "helm")

    def manifest(self, crds: Mapping[str, Mapping[str, str]]) -> str:
        """What Helm makes of a chart with these CRDs."""
        documents = [annotated(self.crds[name], annotations) for name, annotations in crds.items()]
        documents.append(thing("v1", "Secret", "webhook", NAMESPACE, stringData={"key": CANARY}))
        return yaml.safe_dump_all(documents, explicit_start=True)

    def annotate(self, annotations: Mapping[str, str]) -> None:
        """Have the CRDs in the cluster say this, and nothing else of Helm's."""
        for name, crd in self.crds.items():
            self.client.apply(annotated(crd, annotations), "helm")
            wait_until(lambda name=name: established(self.client, name), f"{name} is served", 30)  # type: ignore[misc]


def annotated(crd: Object, annotations: Mapping[str, str]) -> Object:
    own = crd["metadata"]
    return {**crd, "metadata": {"name": own["name"], "annotations": {**own.get("annotations", {}), **annotations}}}


def established(client: Client, name: str) -> bool:
    conditions = client.get(*CRD, name).get("status", {}).get("conditions", [])
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def served(client: Client, name: str) -> bool:
    plural, _, group = name.partition(".")
    versions = [each["groupVersion"] for each in client.request("GET", f"/apis/{group}")["versions"]]
    resources = (each for version in versions for each in client.request("GET", f"/apis/{version}")["resources"])
    return any(each["name"] == plural for each in resources)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with ControlPlane(tmp_path_factory.mktemp("crds-kept") / "kube") as control_plane:
        client = control_plane.client()
        crds = {crd["metadata"]["name"]: crd for crd in ESO.crds()}
        assert {EXTERNAL, STORES} < crds.keys()
        lab = Lab(client, control_plane.kubeconfig, crds)
        lab.annotate(OWNED)
        client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        spec = {"secretStoreRef": {"name": "vault"}, "data": []}
        made = client.create(thing(API, "ExternalSecret", "web", "default", spec=spec))
        owner = {key: made[key] for key in ("apiVersion", "kind")}
        owner |= {key: made["metadata"][key] for key in ("name", "uid")}
        secret = thing("v1", "Secret", "web", "default", stringData={"token": CANARY})
        secret["metadata"]["ownerReferences"] = [owner]
        client.create(secret)
        yield lab


@pytest.fixture
def look(ansible_playbook: Callable[..., Run], lab: Lab) -> Callable[..., Run]:
    """Run the playbook; whatever it says has no value of a Secret or a release in it."""

    def run(*arguments: str, **more: Any) -> Run:
        done = ansible_playbook(
            PLAYBOOK, variables={"tazlab_kubeconfig": str(lab.kubeconfig), **more}, arguments=["-vvv", *arguments]
        )
        assert CANARY not in done.output
        assert base64.b64encode(CANARY.encode()).decode() not in done.output
        return done

    return run


def test_keep_is_needed_in_the_release_and_in_the_cluster(lab: Lab, look: Callable[..., Run], tmp_path: Path) -> None:
    home = tmp_path / "home"  # where the command runs
    note, rendered = home / "before.json", home / "upgrade.yaml"
    lab.revision(1, {name: {} for name in lab.crds})
    assert look("--check", tazlab_crds_to=note.name).returncode != 0
    assert not note.exists()
    said = look(tazlab_crds_to=note.name)
    assert said.returncode != 0
    assert f"{EXTERNAL}: what is stored of external-secrets/external-secrets has no helm.sh" in said.stdout
    assert "so an uninstall deletes it, with 1 object and 1 Secret." in said.stdout
    assert "so an upgrade that leaves it out deletes it, with 1 object and 1 Secret." in said.stdout
    kinds = {each["kind"] for each in json.loads(note.read_text())}
    assert kinds == {"CustomResourceDefinition", "ExternalSecret", "Secret"}

    lab.annotate({**OWNED, **KEEP})
    lab.revision(2, dict.fromkeys(lab.crds, KEEP))
    rendered.write_text(lab.manifest(dict.fromkeys(lab.crds, KEEP)))
    said = look(tazlab_crds_since=note.name, tazlab_crds_rendered=rendered.name)
    assert said.returncode == 0, said.output
    assert f"Nothing would be lost: {len(lab.crds)} CRDs are kept" in said.stdout
    assert said.stats()["changed"] == 0


def test_an_upgrade_is_refused_that_drops_a_crd_or_takes_keep_away(
    lab: Lab, look: Callable[..., Run], tmp_path: Path
) -> None:
    lab.annotate({**OWNED, **KEEP})
    lab.revision(3, dict.fromkeys(lab.crds, KEEP))
    rendered = tmp_path / "upgrade.yaml"
    rendered.write_text(lab.manifest({**dict.fromkeys(lab.crds.keys() - {STORES}, KEEP), EXTERNAL: {}}))
    said = look(tazlab_crds_rendered=str(rendered))
    assert said.returncode != 0
    assert f"{STORES}: the upgrade leaves it out, and Helm would look after it no more." in said.stdout
    assert f"{EXTERNAL}: the upgrade has it without helm.sh/resource-policy: keep" in said.stdout

    rendered.write_text("Error: chart not found")
    assert "is not what helm template prints" in look(tazlab_crds_rendered=str(rendered)).output


def test_what_is_gone_or_made_anew_is_told_and_a_release_that_somebody_is_at_is_refused(
    lab: Lab, look: Callable[..., Run], tmp_path: Path
) -> None:
    lab.annotate({**OWNED, **KEEP})
    lab.revision(9, dict.fromkeys(lab.crds.keys() - {STORES}, KEEP), status="pending-upgrade")
    secret = lab.client.get("v1", "Secret", "web", "default")["metadata"]
    before = [{"kind": "Secret", "namespace": "default", "name": "web", "uid": "another"}]
    before.append({"kind": "ExternalSecret", "namespace": "default", "name": "dex", "uid": secret["uid"]})
    note = tmp_path / "before.json"
    note.write_text(json.dumps(before))
    said = look(tazlab_crds_since=str(note))
    assert said.returncode != 0
    assert "its newest revision, 9, is pending-upgrade: somebody is at it, or was killed." in said.stdout
    assert f"not in the release: {STORES}" in said.stdout
    assert "Secret default/web: it is another one than it was" in said.stdout
    assert "ExternalSecret default/dex: it was there, and is not any more." in said.stdout

    assert "There are external-secrets." in look(tazlab_crds_release=f"{NAMESPACE}/eso").output


def test_what_is_being_deleted_or_not_served_is_told(lab: Lab, look: Callable[..., Run]) -> None:
    lab.annotate({**OWNED, **KEEP})
    lab.revision(10, dict.fromkeys(lab.crds, KEEP))
    going = thing(API, "ExternalSecret", "going", "default", spec={"data": []})
    going["metadata"]["finalizers"] = ["lab.test/held"]
    lab.client.create(going)
    path = lab.client.path(API, "ExternalSecret", "default", "going")
    lab.client.request("DELETE", path)
    crd = lab.client.path(*CRD, name=STORES)
    versions = [{**each, "served": False} for each in lab.crds[STORES]["spec"]["versions"]]
    lab.client.request("PATCH", crd, {"spec": {"versions": versions}}, content_type=MERGE)
    wait_until(lambda: not served(lab.client, STORES), f"{STORES} is not served", 30)
    try:
        said = look()
    finally:
        lab.client.request("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)
        lab.client.request(
            "PATCH", crd, {"spec": {"versions": lab.crds[STORES]["spec"]["versions"]}}, content_type=MERGE
        )
        wait_until(lambda: served(lab.client, STORES), f"{STORES} is served again", 30)
    assert said.returncode != 0
    assert "ExternalSecret default/going: it is being deleted." in said.stdout
    assert f"{STORES}: objects not known: the cluster has it" in said.stdout
