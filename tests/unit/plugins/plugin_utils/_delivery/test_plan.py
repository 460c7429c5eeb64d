# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations become files of a repository, proven on what is built from them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.checkout import WorkTree
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import Declared
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.entries import read as entries
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.found import readers, secrets
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import Operators
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.plan import Places, Plan, Planner
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import Builder
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Repository, read
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree
from lab import deliverytree
from lab.fluxbuild import Order, built
from lab.gitopscorpus import Case

OPERATORS = Operators(auth="vso-system/vault-auth")
PLACES = Places(
    {
        "eso": "infrastructure/configs/{namespace}/externalsecret-{name}.yaml",
        "vso": "infrastructure/operators/vso/{namespace}-{name}.yaml",
    },
    {"vso": "infrastructure/operators/vso-secrets/kustomization.yaml"},
)
WEB: dict[str, Any] = {
    "name": "web-token",
    "namespace": "apps",
    "keys": {"token": "tazlab-k8s/static/web/TOKEN"},
    "refresh": "30s",
    "consumers": [{"kind": "Deployment", "name": "web"}],
}
DEX: dict[str, Any] = {
    "name": "dex",
    "namespace": "auth",
    "keys": {"client-id": "tazlab-k8s/static/dex/ID", "client-secret": "tazlab-k8s/static/dex/SECRET"},
    "consumers": [{"kind": "Deployment", "helm_release": "dex"}],
}


def model(tree: Tree) -> Repository:
    return read(Builder(tree, Deadline(120)), deliverytree.CLUSTER)


def planned(
    root: Path,
    *declared: Mapping[str, Any],
    files: Mapping[str, str] | None = None,
    operators: Operators = OPERATORS,
    places: Places = PLACES,
    told: Collection[str] = (),
    fresh: bool = True,
) -> Plan:
    """What is planned in the example repository, or in what lies there already."""
    found, problems = entries(list(declared))
    assert problems == []
    tree = Tree(Case({**deliverytree.files(), **(files or {})}).write(root) if fresh else root)
    return Planner(tree, model, operators, places, told).plan(found)


def told_of(plan: Plan) -> dict[str, str]:
    return {problem.code: problem.text for problem in plan.problems}


def only(plan: Plan, file: str) -> Any:
    assert plan.problems == []
    return yaml.safe_load(plan.files[file])


def test_what_a_repository_makes_becomes_declarations_that_change_nothing(tmp_path: Path) -> None:
    tree = Tree(Case(deliverytree.files()).write(tmp_path))
    found = [each.declared for each in secrets(model(tree), OPERATORS)]
    assert all(found)
    plan = planned(tmp_path, *(each.declared() for each in found if each))
    assert (plan.files, plan.problems) == ({}, [])
    assert {(each.declared.label, each.declared.writer, each.state) for each in plan.deliveries} == {
        ("apps/web-token", "vso", "equal"),
        ("vso-system/wildcard-tls", "eso", "equal"),
    }


def test_the_declaration_of_a_found_secret_says_all_of_it(tmp_path: Path) -> None:
    tree = Tree(Case(deliverytree.files()).write(tmp_path))
    repository = model(tree)
    found = {each.label: each.declared.declared() for each in secrets(repository, OPERATORS) if each.declared}
    assert found["apps/web-token"] == {**WEB, "writer": "vso"}
    assert found["vso-system/wildcard-tls"] == {
        "name": "wildcard-tls",
        "namespace": "vso-system",
        "writer": "eso",
        "type": "kubernetes.io/tls",
        "keys": {
            "tls.crt": "tazlab-k8s/static/ingress/wildcard/CRT",
            "tls.key": "tazlab-k8s/static/ingress/wildcard/KEY",
        },
        "annotations": {"reflector.v1.k8s.emberstack.com/reflection-allowed": "true"},
    }
    assert list(readers(repository, "apps/web-token")) == []


def test_a_template_over_all_properties_of_one_path_is_one_over_those_that_it_names(tmp_path: Path) -> None:
    made = deliverytree.CERTIFICATE.partition("  data:\n    - secretKey")[0]
    made += "  dataFrom:\n    - extract: {key: tazlab-k8s/static/both}\n"
    file = "infrastructure/configs/ingress/externalsecret-wildcard.yaml"
    tree = Tree(Case({**deliverytree.files(), file: made}).write(tmp_path))
    found = [each.declared for each in secrets(model(tree), OPERATORS) if each.writer == "eso"]
    assert [each.declared()["keys"] for each in found if each] == [
        {name: {"path": "tazlab-k8s/static/both", "property": name[4:]} for name in ("tls.crt", "tls.key")}
    ]
    plan = planned(tmp_path, *(each.declared() for each in found if each), files={file: made})
    assert (plan.files, plan.problems) == ({}, [])


def external(data: str, template: str, source: str = "") -> str:
    """The certificate's file with another template and other data."""
    head = deliverytree.CERTIFICATE.partition("    template:")[0]
    return f"{head}    template:\n      data:\n{template}{data and '  data:' + chr(10)}{data}{source}"


def entry(name: str, path: str) -> str:
    return f"    - secretKey: {name}\n      remoteRef: {{key: {path}, property: value}}\n"


@pytest.mark.parametrize(
    "made",
    [
        external(
            entry("client-id", "k/ID") + entry("b", "k/B"),
            "        ID: '{{ index . \"client-id\" }}'\n        B: '{{ .b }}'\n",
        ),
        external(entry("a", "k/A"), "        ALL: '{{ range $k, $v := . }}{{ $v }}{{ end }}'\n"),
        external(entry("a", "k/A") + entry("spare", "k/S"), "        A: '{{ .a }}'\n"),
        external("", "        ALL: '{{ toJson . }}'\n", "  dataFrom:\n    - extract: {key: k/all}\n"),
        external(entry("a", "k/A"), "        A: ''\n"),
    ],
    ids=["index", "range", "spare", "whole", "empty"],
)
def test_what_reads_values_otherwise_than_by_their_names_is_left_to_its_file(tmp_path: Path, made: str) -> None:
    """A declaration would lose what it reads."""
    file = "infrastructure/configs/ingress/externalsecret-wildcard.yaml"
    tree = Tree(Case({**deliverytree.files(), file: made}).write(tmp_path))
    (found,) = (each for each in secrets(model(tree), OPERATORS) if each.writer == "eso")
    assert (found.declared, bool(found.why)) == (None, True)


@pytest.mark.parametrize("line", ["  refreshAfter: 30s   # soon\n", "  vaultAuthRef: vso-system/vault-auth\n"])
def test_what_vso_reads_once_or_by_a_login_that_is_not_named_is_left_to_its_file(tmp_path: Path, line: str) -> None:
    made = deliverytree.STATIC.replace(line, "")
    tree = Tree(Case({**deliverytree.files(), "infrastructure/operators/vso/web-token.yaml": made}).write(tmp_path))
    (found,) = (each for each in secrets(model(tree), OPERATORS) if each.writer == "vso")
    assert found.declared is None


def test_a_key_more_leaves_what_the_object_says_of_raw_values(tmp_path: Path) -> None:
    made = deliverytree.STATIC.partition("    transformation:")[0] + "    type: Opaque\n"
    file = "infrastructure/operators/vso/web-token.yaml"
    (found,) = (
        each.declared
        for each in secrets(model(Tree(Case({**deliverytree.files(), file: made}).write(tmp_path))), OPERATORS)
        if each.writer == "vso" and each.declared
    )
    keys = {"line": {"template": "{{ .value }};", "values": {"value": "tazlab-k8s/static/web/TOKEN"}}}
    plan = planned(tmp_path, {**found.declared(), "keys": keys}, files={file: made})
    transformation = only(plan, file)["spec"]["destination"]["transformation"]
    assert transformation == {"templates": {"line": {"text": '{{ get .Secrets "value" }};'}}}


def test_a_path_with_its_mount_is_the_same_path(tmp_path: Path) -> None:
    file = "infrastructure/configs/ingress/externalsecret-wildcard.yaml"
    made = deliverytree.CERTIFICATE.replace("key: tazlab-k8s", "key: secret/data/tazlab-k8s")
    tree = Tree(Case({**deliverytree.files(), file: made}).write(tmp_path))
    (found,) = (each.declared for each in secrets(model(tree), OPERATORS) if each.writer == "eso" and each.declared)
    assert found.paths == ("tazlab-k8s/static/ingress/wildcard/CRT", "tazlab-k8s/static/ingress/wildcard/KEY")
    plan = planned(tmp_path, found.declared(), files={file: made})
    assert (plan.files, plan.problems) == ({}, [])


def test_an_interval_in_gos_own_words_is_taken(tmp_path: Path) -> None:
    file = "infrastructure/configs/ingress/externalsecret-wildcard.yaml"
    made = deliverytree.CERTIFICATE.replace("refreshInterval: 1h", "refreshInterval: 1h0m0s")
    tree = Tree(Case({**deliverytree.files(), file: made}).write(tmp_path))
    (found,) = (each.declared for each in secrets(model(tree), OPERATORS) if each.writer == "eso" and each.declared)
    plan = planned(tmp_path, found.declared(), files={file: made})
    assert (plan.files, plan.problems) == ({}, [])
    assert "not 1h0m0s" in told_of(planned(tmp_path, {**WEB, "refresh": "1h0m0s"}))["impossible"]


def test_of_one_file_with_two_namespaces_each_object_is_its_own(tmp_path: Path) -> None:
    here = [{**DEX, "namespace": space, "consumers": [], "file": "apps/pull.yaml"} for space in ("auth", "web")]
    first = planned(tmp_path, *here)
    files = {name: content.decode() for name, content in first.files.items()}
    assert [each["metadata"]["namespace"] for each in yaml.safe_load_all(files["apps/pull.yaml"]) if each] == [
        "auth",
        "web",
    ]
    moved = [{**each, "keys": {"client-id": "x/new"}} for each in here]
    after = planned(tmp_path, *moved, files=files)
    assert after.problems == []
    documents = [each for each in yaml.safe_load_all(after.files["apps/pull.yaml"]) if each]
    assert [each["spec"]["data"][0]["remoteRef"]["key"] for each in documents] == ["x/new", "x/new"]


def test_one_path_is_for_vso_which_restarts_the_consumer_by_its_derived_name(tmp_path: Path) -> None:
    one = {**DEX, "keys": {"client-id": "tazlab-k8s/static/dex/ID"}}
    plan = planned(tmp_path, one)
    spec = only(plan, "infrastructure/operators/vso/auth-dex.yaml")["spec"]
    assert spec["rolloutRestartTargets"] == [{"kind": "Deployment", "name": "dex"}]
    assert spec["destination"]["transformation"] == {
        "excludeRaw": True,
        "excludes": [".*"],
        "templates": {"client-id": {"text": '{{ get .Secrets "value" }}'}},
    }
    listed = plan.files["infrastructure/operators/vso-secrets/kustomization.yaml"].decode()
    assert listed == "resources:\n  - ../vso/web-token.yaml # the first\n  - ../vso/auth-dex.yaml\n"
    assert set(plan.files) == {
        "infrastructure/operators/vso/auth-dex.yaml",
        "infrastructure/operators/vso-secrets/kustomization.yaml",
    }


def test_a_kustomization_that_is_named_lists_it_and_not_that_of_the_operator_beside_it(tmp_path: Path) -> None:
    folder = "infrastructure/operators/vso"
    files = {**deliverytree.operators(), f"{folder}/kustomization.yaml": "resources: [charts.yaml, release.yaml]\n"}
    plan = planned(tmp_path, {**WEB, "name": "other"}, files=files)
    assert plan.problems == []
    assert set(plan.files) == {f"{folder}/apps-other.yaml", f"{folder}-secrets/kustomization.yaml"}


def test_two_paths_are_for_eso_and_reloader_is_told_on_the_consumer(tmp_path: Path) -> None:
    plan = planned(tmp_path, DEX)
    made = only(plan, "infrastructure/configs/auth/externalsecret-dex.yaml")
    assert (made["apiVersion"], made["kind"]) == ("external-secrets.io/v1beta1", "ExternalSecret")
    assert [(each["secretKey"], each["remoteRef"]["key"]) for each in made["spec"]["data"]] == [
        ("client-id", "tazlab-k8s/static/dex/ID"),
        ("client-secret", "tazlab-k8s/static/dex/SECRET"),
    ]
    assert "template" not in made["spec"]["target"]
    release = plan.files["infrastructure/auth/dex/release.yaml"].decode()
    assert release.startswith(deliverytree.RELEASE), "what was there stays"
    (renderer,) = yaml.safe_load(release)["spec"]["postRenderers"]
    (patch,) = renderer["kustomize"]["patches"]
    assert patch["target"] == {"kind": "Deployment", "name": "dex"}
    assert yaml.safe_load(patch["patch"])["metadata"]["annotations"] == {"reloader.stakater.com/auto": "true"}


def test_a_template_names_its_values_and_leaves_no_helper_in_the_secret(tmp_path: Path) -> None:
    template = "id: {{ .id }}\nsecret: {{ .secret | quote }}\n"
    values = {"id": "tazlab-k8s/static/dex/ID", "secret": "tazlab-k8s/static/dex/SECRET"}
    keys = {"config.yaml": {"template": template, "values": values}, "id": "tazlab-k8s/static/dex/OTHER"}
    plan = planned(tmp_path, {**DEX, "keys": keys, "type": "example.net/dex"})
    spec = only(plan, "infrastructure/configs/auth/externalsecret-dex.yaml")["spec"]
    assert spec["target"]["template"] == {
        "engineVersion": "v2",
        "type": "example.net/dex",
        "data": {"config.yaml": template, "id": "{{ .id_2 }}"},
    }
    assert [each["secretKey"] for each in spec["data"]] == ["id", "secret", "id_2"]


def test_an_annotation_goes_onto_the_manifest_of_a_consumer_once(tmp_path: Path) -> None:
    both = {**WEB, "name": "web-both", "keys": {"a": "x/a", "b": "x/b"}}
    plan = planned(tmp_path, both)
    deployment = only(plan, "apps/web.yaml")
    assert deployment["metadata"]["annotations"] == {"reloader.stakater.com/auto": "true"}
    again = planned(tmp_path, both, files={file: content.decode() for file, content in plan.files.items()})
    assert (again.files, again.problems) == ({}, [])


def test_a_change_of_the_declaration_changes_that_alone(tmp_path: Path) -> None:
    plan = planned(tmp_path, {**WEB, "refresh": "1m"})
    (content,) = plan.files.values()
    before, after = deliverytree.STATIC.splitlines(), content.decode().splitlines()
    assert [now for was, now in zip(before, after, strict=True) if was != now] == ["  refreshAfter: 1m    # soon"]


def test_a_path_is_changed_where_the_object_has_names_of_its_own(tmp_path: Path) -> None:
    (found,) = (each for each in _found(tmp_path) if each["name"] == "wildcard-tls")
    plan = planned(tmp_path, {**found, "keys": {**found["keys"], "tls.key": "tazlab-k8s/static/NEW"}})
    spec = only(plan, "infrastructure/configs/ingress/externalsecret-wildcard.yaml")["spec"]
    assert spec["data"][1]["remoteRef"]["key"] == "tazlab-k8s/static/NEW"
    assert spec["target"]["creationPolicy"] == "Owner"


@pytest.mark.parametrize(
    ("version", "api"), [("0.9.20", "v1beta1"), ("v0.15.1", "v1beta1"), ("0.16.2", "v1"), ("2.14.0", "v1")]
)
def test_the_version_of_eso_says_which_of_its_kinds_is_written(tmp_path: Path, version: str, api: str) -> None:
    plan = planned(tmp_path, DEX, operators=Operators(eso=version))
    made = only(plan, "infrastructure/configs/auth/externalsecret-dex.yaml")
    assert made["apiVersion"] == f"external-secrets.io/{api}"


RELEASE = (
    "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: eso, namespace: external-secrets}}\n"
    "spec: {{chart: {{spec: {{chart: external-secrets, version: {version}}}}}}}\n"
)
REPOSITORY = (
    "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: eso, namespace: external-secrets}\n"
    "spec: {url: oci://ghcr.io/external-secrets/charts/external-secrets, ref: {tag: 2.2.0}}\n"
)
V1 = deliverytree.CERTIFICATE.replace("io/v1beta1", "io/v1")


@pytest.mark.parametrize(
    ("files", "api"),
    [
        ({"infrastructure/configs/release.yaml": RELEASE.format(version='"0.10.x"')}, "v1beta1"),
        ({"infrastructure/configs/release.yaml": RELEASE.format(version="1.2.0")}, "v1"),
        ({"infrastructure/configs/release.yaml": REPOSITORY}, "v1"),
        ({"infrastructure/configs/ingress/externalsecret-wildcard.yaml": V1}, "v1"),
        (
            {
                "infrastructure/configs/ingress/externalsecret-wildcard.yaml": V1,
                "infrastructure/configs/push.yaml": "apiVersion: external-secrets.io/v1alpha1\nkind: PushSecret\n"
                "metadata: {name: push, namespace: auth}\n",
            },
            "v1",
        ),
        ({}, "v1beta1"),
    ],
)
def test_the_repository_says_which_eso_it_installs(tmp_path: Path, files: dict[str, str], api: str) -> None:
    made = only(planned(tmp_path, DEX, files=files), "infrastructure/configs/auth/externalsecret-dex.yaml")
    assert made["apiVersion"] == f"external-secrets.io/{api}"


def test_an_object_is_never_put_back_to_a_version_that_was_left(tmp_path: Path) -> None:
    (found,) = (each for each in _found(tmp_path) if each["name"] == "wildcard-tls")
    files = {"infrastructure/configs/ingress/externalsecret-wildcard.yaml": V1}
    plan = planned(tmp_path, found, files=files, operators=Operators(eso="0.10.3", auth="vso-system/vault-auth"))
    assert "is of external-secrets.io/v1, which ESO 0.10.3 does not serve" in told_of(plan)["version"]


def test_an_object_of_a_version_that_is_not_served_any_more_is_changed(tmp_path: Path) -> None:
    found = {each["name"]: each for each in _found(tmp_path)}
    plan = planned(tmp_path, found["wildcard-tls"], operators=Operators(eso="0.17.0", auth="vso-system/vault-auth"))
    (file,) = plan.files
    assert plan.files[file].decode() == deliverytree.CERTIFICATE.replace("io/v1beta1", "io/v1")


def _found(root: Path) -> list[dict[str, Any]]:
    tree = Tree(Case(deliverytree.files()).write(root))
    declared: list[Declared | None] = [each.declared for each in secrets(model(tree), OPERATORS)]
    return [each.declared() for each in declared if each]


class Killed(Exception):
    """The run ends here."""


@pytest.mark.parametrize("written", range(1, 4))
def test_a_run_that_was_killed_between_two_files_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    checkout = deliverytree.Checkout(tmp_path / "clone")
    declared, _problems = entries([{**DEX, "keys": {"client-id": "x/id"}}, {**DEX, "name": "more"}])
    work = WorkTree(str(checkout.root), Deadline(60))

    def plan() -> Plan:
        return Planner(work.tree, model, OPERATORS, PLACES).plan(declared)

    wanted = plan().files
    assert len(wanted) == 4
    before = {name: (checkout.root / name).read_bytes() for name in wanted if (checkout.root / name).is_file()}
    left = [written]
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        fsync(descriptor)
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(os, "fsync", counted)
        work.write(wanted)
    now = {name: (checkout.root / name).read_bytes() for name in wanted if (checkout.root / name).is_file()}
    assert all(content in (wanted[name], before.get(name)) for name, content in now.items())
    again = plan()
    assert again.problems == []
    assert len(again.files) == 4 - written
    work.write(again.files)
    assert {name: (checkout.root / name).read_bytes() for name in wanted} == wanted
    assert plan().files == {}


def test_without_vso_all_is_for_eso(tmp_path: Path) -> None:
    plan = planned(tmp_path, {**DEX, "keys": {"a": "x/a"}}, operators=Operators())
    assert plan.deliveries[0].declared.writer == "eso"


BY_ESO = {**WEB, "writer": "eso"}
WILDCARD: dict[str, Any] = {
    "name": "wildcard-tls",
    "namespace": "vso-system",
    "writer": "vso",
    "type": "kubernetes.io/tls",
    "keys": {
        "tls.crt": {"path": "tazlab-k8s/static/ingress/wildcard", "property": "crt"},
        "tls.key": {"path": "tazlab-k8s/static/ingress/wildcard", "property": "key"},
    },
}
WEB_FILE = "infrastructure/operators/vso/web-token.yaml"
AWAITS = deliverytree.KUSTOMIZATION.format(name="vso-secrets", path="infrastructure/operators/vso-secrets") + (
    "  healthChecks: [{apiVersion: secrets.hashicorp.com/v1beta1, kind: VaultStaticSecret, "
    "name: web-token, namespace: apps}]\n"
)
INDENTED = deliverytree.STATIC.strip().replace("\n", "\n  ")
LIST_FILE = "infrastructure/operators/vso-secrets/kustomization.yaml"
WILDCARD_FILE = "infrastructure/configs/ingress/externalsecret-wildcard.yaml"


def test_told_eso_takes_a_secret_over_and_the_file_of_vso_goes_with_its_name_in_the_list(tmp_path: Path) -> None:
    plan = planned(tmp_path, BY_ESO, told=["apps/web-token"])
    assert plan.problems == []
    assert [(each.declared.writer, each.state) for each in plan.deliveries] == [("eso", "new")]
    new = yaml.safe_load(plan.files["infrastructure/configs/apps/externalsecret-web-token.yaml"] or b"")
    assert (new["kind"], [each["secretKey"] for each in new["spec"]["data"]]) == ("ExternalSecret", ["token"])
    assert plan.files[WEB_FILE] is None
    listed = plan.files[LIST_FILE] or b""
    assert yaml.safe_load(listed) == {"resources": []}, "which Flux takes, and a missing list it does not"
    assert yaml.safe_load(plan.files["apps/web.yaml"] or b"")["metadata"]["annotations"] == {
        "reloader.stakater.com/auto": "true"
    }
    assert len(plan.files) == 4
    Case({name: content.decode() for name, content in plan.files.items() if content is not None}).write(tmp_path)
    (tmp_path / WEB_FILE).unlink()
    again = planned(tmp_path, BY_ESO, told=["apps/web-token"], fresh=False)
    assert (again.files, again.problems, [each.state for each in again.deliveries]) == ({}, [], ["equal"])
    (empty,) = built([Order(tmp_path, "infrastructure/operators/vso-secrets")])
    assert (empty.objects, empty.error) == ([], "")


def test_told_vso_takes_a_secret_over_and_may_overwrite_what_is_there(tmp_path: Path) -> None:
    plan = planned(tmp_path, WILDCARD, told=["vso-system/wildcard-tls"])
    assert plan.problems == []
    new = yaml.safe_load(plan.files["infrastructure/operators/vso/vso-system-wildcard-tls.yaml"] or b"")
    assert new["kind"] == "VaultStaticSecret"
    assert {key: new["spec"]["destination"][key] for key in ("create", "overwrite", "type")} == {
        "create": True,
        "overwrite": True,
        "type": "kubernetes.io/tls",
    }
    assert plan.files[WILDCARD_FILE] is None
    assert b"../vso/vso-system-wildcard-tls.yaml" in (plan.files[LIST_FILE] or b"")
    kept = yaml.safe_load(plan.files["infrastructure/configs/kustomization.yaml"] or b"")
    assert kept["resources"] == [], "Git has no folder without a file, and Flux builds none that is not there"
    assert len(plan.files) == 4


def test_the_new_file_may_take_the_place_of_the_old_one_in_its_folder(tmp_path: Path) -> None:
    alone = {key: value for key, value in BY_ESO.items() if key != "consumers"} | {"file": "apps/token.yaml"}
    files = {"apps/web.yaml": deliverytree.STATIC, LIST_FILE: "resources: []\n"}
    plan = planned(tmp_path, alone, files=files, told=["apps/web-token"])
    assert plan.problems == []
    assert yaml.safe_load(plan.files["apps/token.yaml"] or b"")["kind"] == "ExternalSecret"
    assert plan.files["apps/web.yaml"] is None
    assert len(plan.files) == 2


def test_told_vso_may_overwrite_also_where_the_old_object_has_left_the_checkout_already(tmp_path: Path) -> None:
    told = ["vso-system/wildcard-tls"]
    new = "infrastructure/operators/vso/vso-system-wildcard-tls.yaml"
    first = planned(tmp_path, WILDCARD, told=told)
    files = {name: content.decode() for name, content in first.files.items() if content is not None}
    (tmp_path / WILDCARD_FILE).unlink()
    gone = only(planned(tmp_path, WILDCARD, told=told, fresh=False), new)
    assert gone["spec"]["destination"]["overwrite"] is True

    without = {**files, new: files[new].replace("    overwrite: true\n", "")}
    Case(without).write(tmp_path)
    there = planned(tmp_path, WILDCARD, told=told, fresh=False)
    assert [each.state for each in there.deliveries] == ["changed"]
    assert yaml.safe_load(there.files[new] or b"") == yaml.safe_load(files[new])
    assert planned(tmp_path, WILDCARD, fresh=False).files == {}, "untold it is left as it is"
    Case(files).write(tmp_path)
    assert planned(tmp_path, WILDCARD, told=told, fresh=False).files == {}


def test_the_other_documents_of_the_file_stay_as_they_are(tmp_path: Path) -> None:
    other = "# mine\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: other, namespace: apps} # stays\n"
    for number, text in enumerate((f"{other}---\n{deliverytree.STATIC}", f"{deliverytree.STATIC}---\n{other}")):
        root = tmp_path / str(number)
        root.mkdir()
        plan = planned(root, BY_ESO, files={WEB_FILE: text}, told=["apps/web-token"])
        assert plan.problems == []
        assert (plan.files[WEB_FILE] or b"").decode().strip("-\n") == other.strip()
        assert LIST_FILE not in plan.files


def test_a_change_of_writer_that_was_killed_between_two_files_is_gone_on_with(tmp_path: Path) -> None:
    told = ["apps/web-token"]
    files = planned(tmp_path, BY_ESO, told=told).files
    new = "infrastructure/configs/apps/externalsecret-web-token.yaml"
    plan = planned(tmp_path, BY_ESO, files={new: (files[new] or b"").decode()}, told=told)
    assert plan.problems == []
    assert plan.files == {name: content for name, content in files.items() if name != new}


@pytest.mark.parametrize(
    ("declared", "files", "told", "code", "said"),
    [
        (BY_ESO, {}, [], "writer", "-e tazlab_change_writer=apps/web-token"),
        (WEB, {}, ["apps/web-token"], "writer", "Declare writer eso or vso."),
        (WEB, {}, ["apps/web-toke"], "unknown", "Secret apps/web-toke: its writer shall change"),
        ({**BY_ESO, "keys": {"other": "x"}}, {}, ["apps/web-token"], "content", "its keys would not be the same"),
        ({**BY_ESO, "type": "kubernetes.io/tls"}, {}, ["apps/web-token"], "content", "its type would not be"),
        (
            {**WILDCARD, "keys": {"tls.crt": "x/crt", "tls.key": "x/key"}},
            {},
            ["vso-system/wildcard-tls"],
            "impossible",
            "Declare it for the other writer.",
        ),
        (
            BY_ESO,
            {WEB_FILE: deliverytree.STATIC.replace("type: kv-v2", "type: kv-v1")},
            ["apps/web-token"],
            "undeclared",
            "says more than a declaration can",
        ),
        (
            BY_ESO,
            {f"{deliverytree.CLUSTER}/vso-secrets.yaml": AWAITS},
            ["apps/web-token"],
            "awaited",
            "Flux Kustomization flux-system/vso-secrets waits for VaultStaticSecret apps/web-token",
        ),
        (
            BY_ESO,
            {WEB_FILE: f"apiVersion: v1\nkind: List\nitems:\n- {INDENTED}\n"},
            ["apps/web-token"],
            "unkept",
            "does not stand in it once under this name",
        ),
    ],
)
def test_a_change_of_writer_that_cannot_be_is_refused_with_the_reason(
    tmp_path: Path, declared: Mapping[str, Any], files: Mapping[str, str], told: list[str], code: str, said: str
) -> None:
    plan = planned(tmp_path, declared, files=files, told=told)
    assert said in told_of(plan)[code]


SECOND = deliverytree.CERTIFICATE.replace("name: wildcard\n", "name: second\n")


@pytest.mark.parametrize(
    ("declared", "files", "code", "said"),
    [
        ({**WEB, "writer": "eso"}, {}, "writer", "VaultStaticSecret apps/web-token (infrastructure/operators/vso/"),
        ({**WEB, "keys": {"a": "x/a", "b": "x/b"}}, {}, "impossible", "one path, and this is fed by 2"),
        ({**DEX, "consumers": [{"kind": "Deployment", "name": "gone"}]}, {}, "consumer", "auth/gone is not in the"),
        ({**DEX, "consumers": [{"kind": "Deployment", "helm_release": "x"}]}, {}, "consumer", "no HelmRelease x"),
        (
            {"name": "wildcard-tls", "namespace": "vso-system", "keys": {"a": "x"}},
            {"infrastructure/configs/second.yaml": SECOND},
            "twice",
            "ExternalSecret vso-system/second (infrastructure/configs/second.yaml:2)",
        ),
        (
            DEX,
            {"apps/plain.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: dex, namespace: auth}\n"},
            "twice",
            "Secret dex of apps/plain.yaml:1 makes it, too",
        ),
        (
            DEX,
            {
                "apps/sealed.yaml": "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\n"
                "metadata: {name: dex, namespace: auth}\n"
            },
            "twice",
            "SealedSecret dex of apps/sealed.yaml:1 makes it, too",
        ),
        (
            DEX,
            {
                "infrastructure/auth/dex/release.yaml": deliverytree.RELEASE.partition("  chart:")[0]
                + "  chartRef: {kind: OCIRepository, name: gone}\n"
            },
            "consumer",
            "cannot be told",
        ),
        ({**DEX, "file": "elsewhere/dex.yaml"}, {}, "unreached", "no Flux Kustomization builds elsewhere/dex.yaml"),
        (
            DEX,
            {"infrastructure/configs/auth/kustomization.yaml": "namespace: other\nresources: []\n"},
            "unreached",
            "no Flux Kustomization builds infrastructure/configs/auth/externalsecret-dex.yaml",
        ),
        (
            {**DEX, "labels": {"app": "dex"}},
            {
                "infrastructure/configs/auth/kustomization.yaml": "resources: []\npatches:\n"
                "  - target: {kind: ExternalSecret}\n"
                '    patch: \'[{"op": "replace", "path": "/spec/refreshInterval", "value": "9h"}]\'\n'
            },
            "not_as_written",
            "is changed on its way",
        ),
        (
            {**DEX, "file": "infrastructure/configs/new/kustomization.yaml"},
            {},
            "unreadable",
            "not a kustomization",
        ),
        (
            {"name": "wildcard-tls", "namespace": "vso-system", "keys": {"a": "x"}},
            {
                "infrastructure/configs/ingress/externalsecret-wildcard.yaml": deliverytree.CERTIFICATE.replace(
                    "  refreshInterval: 1h\n", "  refreshInterval: 1h\n  colour: red\n"
                )
            },
            "undeclared",
            "says more than a declaration can: it has colour",
        ),
        (
            {**WEB, "name": "other", "keys": {"a": "x/a", "b": "x/b"}},
            {
                "apps/web.yaml": deliverytree.files()["apps/web.yaml"].replace(
                    "  labels", '  annotations: {reloader.stakater.com/auto: "false"}\n  labels', 1
                )
            },
            "contradiction",
            "says that Reloader shall not restart it",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(
    tmp_path: Path, declared: dict[str, Any], files: dict[str, str], code: str, said: str
) -> None:
    plan = planned(tmp_path, declared, files=files)
    assert said in told_of(plan).get(code, ""), told_of(plan)


def test_a_new_file_that_changes_what_others_build_is_refused(tmp_path: Path) -> None:
    """A folder without a kustomization is built whole; with one that it gets by the new file, it is not."""
    places = Places(
        {"eso": "infrastructure/configs/x.yaml", "vso": "x"}, {"eso": "infrastructure/configs/kustomization.yaml"}
    )
    plan = planned(tmp_path, {**DEX, "consumers": []}, places=places)
    assert "would be another one" in told_of(plan)["collateral"]


def test_a_release_of_eso_with_no_known_kinds_is_refused(tmp_path: Path) -> None:
    assert "0.4.1" in told_of(planned(tmp_path, DEX, operators=Operators(eso="0.4.1")))["version"]
