# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worked examples: declared as the documentation shows, written into a checkout, and delivered by the real ESO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import Builder
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Repository, read
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree
from lab import deliverytree
from lab.delivery import Delivery, thing
from lab.gitopscorpus import DEPLOYMENT
from lab.playbook import run_playbook
from lab.tls import Authority

pytestmark = pytest.mark.kube

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "delivery" / "secrets.yml"
STATIC = "tazlab-k8s/static"
DEX, PROXY, TLS, OAUTH = "auth/dex", "auth/oauth2-proxy", "vso-system/wildcard-tls", "monitoring/grafana-oauth"
# Every path that the examples name, and the key in the Secrets that holds it plainly.
PATHS = {
    f"{STATIC}/auth/dex/GOOGLE_CLIENT_ID": {DEX: "client-id"},
    f"{STATIC}/auth/dex/GOOGLE_CLIENT_SECRET": {DEX: "client-secret"},
    f"{STATIC}/auth/dex/PROXY_CLIENT_SECRET": {PROXY: "client-secret"},
    f"{STATIC}/auth/oauth2-proxy/COOKIE_SECRET": {PROXY: "cookie-secret"},
    f"{STATIC}/ingress/wildcard/CRT": {TLS: "tls.crt"},
    f"{STATIC}/ingress/wildcard/KEY": {TLS: "tls.key"},
    f"{STATIC}/monitoring/grafana/OAUTH_CLIENT_ID": {OAUTH: "clientId"},
    f"{STATIC}/monitoring/grafana/OAUTH_CLIENT_SECRET": {OAUTH: "clientSecret"},
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The example repository after deliver.yml has written the examples into a clone of it."""
    directory = tmp_path_factory.mktemp("examples")
    proxy = DEPLOYMENT.replace("  name: web\n", "  name: oauth2-proxy\n  namespace: auth\n", 1)
    clone = deliverytree.Checkout(directory / "clone", {"apps/proxy.yaml": proxy}).root
    done = run_playbook(
        ROOT / "playbooks" / "deliver.yml",
        home=directory / "home",
        variables={
            "tazlab_cluster": "home",
            "tazlab_flux": {"path": deliverytree.CLUSTER},
            "tazlab_delivery": {"checkout": str(clone), "files": {"eso": "infrastructure/configs/{name}.yaml"}},
        },
        arguments=("-e", f"@{EXAMPLE}"),
    )
    assert done.returncode == 0, done.output
    return read(Builder(Tree(clone), Deadline(60)), deliverytree.CLUSTER)


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivery]:
    with Delivery(tmp_path_factory.mktemp("delivery")) as delivery:
        for namespace in ("auth", "monitoring", "vso-system"):
            delivery.client.apply(thing("v1", "Namespace", namespace))
        yield delivery


def external(repository: Repository) -> list[Any]:
    names = ("dex", "oauth2-proxy", "wildcard", "grafana-oauth")
    return [each for each in repository.of_kind("external-secrets.io", "ExternalSecret") if each.name in names]


def expected(values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What each Secret must hold, given what Vault holds."""
    found: dict[str, dict[str, str]] = {}
    for path, places in PATHS.items():
        for label, key in places.items():
            found.setdefault(label, {})[key] = values[path]
    return found


def test_each_example_is_delivered_byte_for_byte_and_again_after_each_path_was_rotated(
    repository: Repository, delivery: Delivery, tmp_path: Path
) -> None:
    values = {path: delivery.rotate(path) for path in PATHS}
    for round_, authority in enumerate((Authority(tmp_path / "first"), Authority(tmp_path / "second"))):
        certificate, key = authority.certificate("*.example.net", ["*.example.net"])
        for name, file in (("CRT", certificate), ("KEY", key)):
            values[f"{STATIC}/ingress/wildcard/{name}"] = file.read_text()
            delivery.write(f"{STATIC}/ingress/wildcard/{name}", file.read_text())
        if round_ == 0:
            for each in external(repository):
                delivery.client.apply(dict(each.document))
        else:
            for path in PATHS:
                if "wildcard" not in path:
                    values[path] = delivery.rotate(path)
            for each in external(repository):
                delivery.sync(each.namespace, [each.name])
        for label, data in expected(values).items():
            namespace, _, name = label.partition("/")
            config = {"config.yaml": rendered(values)} if label == DEX else {}
            delivery.wait(name, {**data, **config}, namespace)


def rendered(values: Mapping[str, str]) -> str:
    """The configuration of dex, as its template says it."""
    declared = yaml.safe_load(EXAMPLE.read_text().replace("!unsafe ", ""))["tazlab_workload_secrets"]
    (dex,) = (each for each in declared if each["name"] == "dex")
    key = dex["keys"]["config.yaml"]
    text: str = key["template"]
    for name, path in key["values"].items():
        text = text.replace(f"{{{{ .{name} | quote }}}}", f'"{values[path]}"')
    return text


def test_a_secret_is_what_its_example_says_beside_its_data(repository: Repository, delivery: Delivery) -> None:
    (certificate,) = (each for each in external(repository) if each.name == "wildcard")
    template = certificate.spec["target"]["template"]
    assert template["type"] == "kubernetes.io/tls"
    mirrored = template["metadata"]["annotations"]["reflector.v1.k8s.emberstack.com/reflection-auto-namespaces"]
    assert mirrored.split(",") == ["apps", "auth", "media", "monitoring", "traefik"]


def test_the_consumers_are_restarted_by_reloader(repository: Repository) -> None:
    (proxy,) = (each for each in repository.of_kind("apps", "Deployment") if each.name == "oauth2-proxy")
    assert proxy.document["metadata"]["annotations"] == {"reloader.stakater.com/auto": "true"}
    (dex,) = repository.of_kind("helm.toolkit.fluxcd.io", "HelmRelease")
    (patch,) = dex.spec["postRenderers"][0]["kustomize"]["patches"]
    assert patch["target"] == {"kind": "Deployment", "name": "dex"}
