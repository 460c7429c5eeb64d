# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operators' tree is planned: whole where there is nothing, and in what differs where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.operators import plan_tree
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.plan import Plan
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.wanted import (
    OPERATORS,
    Jwt,
    Login,
    Operator,
    Place,
    Store,
    Wanted,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import Builder
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Repository, read
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree
from lab import deliverytree
from lab.deliverytree import CLUSTER
from lab.gitopscorpus import Case

VAULT = "https://vault.example.net:8200"
FOLDER = "infrastructure/operators"
WANTED = Wanted(OPERATORS, Store(VAULT), Login(VAULT, Jwt("vso", "vault"), namespaces=("apps",)))
SYNC = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: tazlab, namespace: flux-system}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: flux-system, namespace: flux-system}
spec: {path: ./clusters/home, prune: true, sourceRef: {kind: GitRepository, name: tazlab}}
"""
EMPTY = {
    f"{CLUSTER}/flux-system/gotk-sync.yaml": SYNC,
    f"{CLUSTER}/flux-system/kustomization.yaml": "resources:\n- gotk-sync.yaml\n",
}


def model(tree: Tree) -> Repository:
    return read(Builder(tree, Deadline(120)), CLUSTER)


def planned(root: Path, files: Mapping[str, str], wanted: Wanted = WANTED) -> Plan:
    return plan_tree(Tree(Case(files).write(root)), model, wanted)


def texts(plan: Plan) -> dict[str, str]:
    assert plan.problems == []
    return {file: content.decode() for file, content in plan.files.items()}


def told(plan: Plan) -> dict[str, str]:
    assert plan.files == {}, "nothing is planned beside what is refused"
    found: dict[str, str] = {}
    for problem in plan.problems:
        found[problem.code] = f"{found.get(problem.code, '')}{problem.text}\n"
    return found


def with_version(**versions: str) -> Wanted:
    operators = {part: replace(each, version=versions.get(part, each.version)) for part, each in OPERATORS.items()}
    return replace(WANTED, operators=operators)


def differences(files: Mapping[str, str], plan: Plan) -> dict[str, list[str]]:
    """The lines that come, by file; a line that goes is told with a minus."""
    found = {}
    for file, text in texts(plan).items():
        before, after = files.get(file, "").splitlines(), text.splitlines()
        gone = [f"-{line.strip()}" for line in before if line not in after]
        found[file] = [*gone, *(line.strip() for line in after if line not in before)]
    return found


def after_of(repository: Repository) -> dict[str, list[str]]:
    return {
        each.name: [other.removeprefix("flux-system/") for other in each.depends_on]
        for each in repository.kustomizations.values()
    }


def test_an_empty_cluster_folder_gets_the_whole_tree(tmp_path: Path) -> None:
    plan = planned(tmp_path, EMPTY)
    assert sorted(texts(plan)) == sorted(
        [
            *(
                f"{CLUSTER}/infrastructure-{name}.yaml"
                for name in (
                    *("operators-namespaces", "operators-eso", "operators-vso", "operators-reloader"),
                    *("operators-tailscale", "operators-vso-secrets", "configs"),
                )
            ),
            *(
                f"{FOLDER}/{part}/{file}.yaml"
                for part in ("eso", "vso", "reloader", "tailscale")
                for file in ("helmrelease", "helmrepository", "kustomization")
            ),
            *(
                f"{FOLDER}/namespaces/{name}.yaml"
                for name in ("apps", "external-secrets", "kustomization", "reloader", "tailscale", "vso-system")
            ),
            "infrastructure/configs/vault/clustersecretstore.yaml",
            *(f"{FOLDER}/vso/{name}.yaml" for name in ("vaultauth", "vaultconnection", "serviceaccount-apps")),
            f"{FOLDER}/vso-secrets/kustomization.yaml",
        ]
    )
    built = model(Tree(tmp_path).with_files(plan.files))
    assert built.problems == []
    assert after_of(built) == {
        "flux-system": [],
        "infrastructure-operators-namespaces": [],
        **{
            f"infrastructure-operators-{part}": ["infrastructure-operators-namespaces"]
            for part in ("eso", "vso", "reloader", "tailscale")
        },
        "infrastructure-configs": ["infrastructure-operators-eso"],
        "infrastructure-operators-vso-secrets": ["infrastructure-operators-vso"],
    }
    objects = [(each.group, each.kind, each.namespace, each.name) for each in built.objects]
    assert len(objects) == len(set(objects)), "every object is there once"
    for each in built.kustomizations.values():
        if each.name.startswith("infrastructure-"):
            assert each.spec["sourceRef"] == {"kind": "GitRepository", "name": "tazlab"}, "the root's own source"
    waits = {each.name for each in built.kustomizations.values() if each.spec.get("wait")}
    assert waits == {f"infrastructure-operators-{part}" for part in ("namespaces", *OPERATORS)}


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    first = texts(planned(tmp_path, EMPTY))
    assert texts(planned(tmp_path, first)) == {}


def test_what_is_new_says_what_the_charts_need(tmp_path: Path) -> None:
    made = texts(planned(tmp_path, EMPTY))

    def spec(file: str) -> Any:
        return yaml.safe_load(made[f"{FOLDER}/{file}.yaml"])["spec"]

    for part, operator in OPERATORS.items():
        release = spec(f"{part}/helmrelease")
        assert release["chart"]["spec"]["version"] == operator.version
        assert release["install"]["crds"] == release["upgrade"]["crds"] == "CreateReplace"
    assert spec("eso/helmrelease")["values"] == {
        "installCRDs": True,
        "crds": {"annotations": {"helm.sh/resource-policy": "keep"}},
    }
    assert spec("reloader/helmrelease")["values"] == {"reloader": {"watchGlobally": True}}
    assert {
        (each["name"], each["valuesKey"], each["targetPath"]) for each in spec("tailscale/helmrelease")["valuesFrom"]
    } == {
        ("tailscale-operator-oauth", "clientId", "oauth.clientId"),
        ("tailscale-operator-oauth", "clientSecret", "oauth.clientSecret"),
    }
    assert yaml.safe_load(made["infrastructure/configs/vault/clustersecretstore.yaml"]) == {
        "apiVersion": "external-secrets.io/v1beta1",
        "kind": "ClusterSecretStore",
        "metadata": {"name": "tazlab-secrets-vault"},
        "spec": {
            "provider": {
                "vault": {
                    "server": VAULT,
                    "path": "secret",
                    "version": "v2",
                    "auth": {
                        "tokenSecretRef": {"name": "vault-eso-token", "namespace": "external-secrets", "key": "token"}
                    },
                    "caProvider": {
                        "type": "Secret",
                        "name": "vault-ca-cert",
                        "namespace": "external-secrets",
                        "key": "ca.crt",
                    },
                }
            }
        },
    }
    namespace = yaml.safe_load(made[f"{FOLDER}/namespaces/tailscale.yaml"])["metadata"]
    assert namespace["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    assert namespace["annotations"] == {"kustomize.toolkit.fluxcd.io/prune": "disabled"}


def test_the_layout_of_an_owner_that_says_all_of_it_stays_byte_for_byte(tmp_path: Path) -> None:
    assert texts(planned(tmp_path, deliverytree.operators())) == {}


def test_a_version_moves_its_release_alone(tmp_path: Path) -> None:
    files = deliverytree.operators()
    plan = planned(tmp_path, files, with_version(reloader="1.4.21"))
    assert texts(plan) == {
        f"{FOLDER}/reloader/release.yaml": files[f"{FOLDER}/reloader/release.yaml"].replace('"1.2.1"', '"1.4.21"')
    }


def test_eso_0_16_moves_its_objects_and_their_health_checks_to_v1(tmp_path: Path) -> None:
    check = """\
  healthChecks:
    - {apiVersion: external-secrets.io/v1beta1, kind: ClusterSecretStore, name: tazlab-secrets-vault}
"""
    files = deliverytree.operators()
    files[f"{CLUSTER}/apps.yaml"] += f"{check}  dependsOn: [{{name: configs}}]\n"
    changed = differences(files, planned(tmp_path, files, with_version(eso="0.16.2")))
    api = ["-apiVersion: external-secrets.io/v1beta1", "apiVersion: external-secrets.io/v1"]
    certificate = "infrastructure/configs/ingress/externalsecret-wildcard.yaml"
    assert changed[certificate] == changed["infrastructure/configs/vault/store.yaml"] == api
    assert changed[f"{FOLDER}/eso/release.yaml"][1] == 'version: "0.16.2" # raised by hand'
    assert changed[f"{CLUSTER}/apps.yaml"] == [
        f"-{check.splitlines()[1].strip()}",
        check.splitlines()[1].strip().replace("v1beta1", "v1"),
    ]
    assert len(changed) == 4


def test_a_tree_goes_to_v1_in_the_steps_that_a_refusal_names(tmp_path: Path) -> None:
    files = {**EMPTY, **texts(planned(tmp_path / "first", EMPTY))}
    assert "First 0.16.2" in told(planned(tmp_path / "refused", files, with_version(eso="0.17.0")))["steps"]
    moved = texts(planned(tmp_path / "second", files, with_version(eso="0.16.2")))
    assert set(moved) == {
        f"{FOLDER}/eso/helmrelease.yaml",
        "infrastructure/configs/vault/clustersecretstore.yaml",
    }
    after = texts(planned(tmp_path / "third", {**files, **moved}, with_version(eso="2.14.0")))
    assert set(after) == {f"{FOLDER}/eso/helmrelease.yaml"}


def test_a_store_says_what_is_wanted_and_keeps_what_its_owner_adds(tmp_path: Path) -> None:
    files = deliverytree.operators()
    store = replace(Store("https://other.example.net"), login=Jwt("eso", "eso"))
    plan = planned(tmp_path, files, replace(WANTED, store=store))
    text = texts(plan)["infrastructure/configs/vault/store.yaml"]
    assert "refreshInterval: 300   # seconds" in text
    assert "path: 'secret'" in text
    vault = yaml.safe_load(text)["spec"]["provider"]["vault"]
    assert vault["server"] == "https://other.example.net"
    assert vault["auth"] == {
        "jwt": {
            "path": "jwt",
            "role": "eso",
            "kubernetesServiceAccountToken": {
                "serviceAccountRef": {
                    "name": "eso",
                    "namespace": "external-secrets",
                    "audiences": ["https://kubernetes.default.svc.cluster.local"],
                }
            },
        }
    }, "the login that was there before is gone"
    assert set(plan.files) == {
        "infrastructure/configs/vault/store.yaml",
        "infrastructure/configs/vault/serviceaccount-eso.yaml",
    }


def test_a_namespace_more_may_log_in_and_has_its_account(tmp_path: Path) -> None:
    files = deliverytree.operators()
    login = replace(WANTED.login or pytest.fail(), namespaces=("apps", "external-secrets"))
    plan = planned(tmp_path, files, replace(WANTED, login=login))
    account = f"{FOLDER}/vso-secrets/serviceaccount-external-secrets.yaml"
    place = f"{FOLDER}/vso/serviceaccount-external-secrets.yaml"
    changed = differences(files, plan)
    assert account not in changed
    assert changed[f"{FOLDER}/vso/login.yaml"] == ["- external-secrets"]
    assert changed[f"{FOLDER}/vso-secrets/kustomization.yaml"] == ["- ../vso/serviceaccount-external-secrets.yaml"]
    assert set(changed) == {place, f"{FOLDER}/vso/login.yaml", f"{FOLDER}/vso-secrets/kustomization.yaml"}


def test_who_reads_through_the_login_is_allowed_to(tmp_path: Path) -> None:
    """A namespace that is missing in allowedNamespaces, or has no account, makes VSO refuse its Secrets."""
    files = deliverytree.operators()
    login = f"{FOLDER}/vso/login.yaml"
    files[login] = files[login].replace("  allowedNamespaces:\n    - apps\n", "").partition("---\napiVersion: v1\n")[0]
    wanted = replace(WANTED, login=replace(WANTED.login or pytest.fail(), namespaces=()))
    made = texts(planned(tmp_path, files, wanted))
    assert yaml.safe_load_all(made[login])
    *_, auth = yaml.safe_load_all(made[login])
    assert auth["spec"]["allowedNamespaces"] == ["apps"]
    assert f"{FOLDER}/vso/serviceaccount-apps.yaml" in made


def test_the_operators_own_namespace_needs_an_account_and_no_leave(tmp_path: Path) -> None:
    files = deliverytree.operators()
    files["infrastructure/configs/own.yaml"] = deliverytree.STATIC.replace(
        "namespace: apps", "namespace: vso-system"
    ).replace("vaultAuthRef: vso-system/", "vaultAuthRef: ")
    changed = differences(files, planned(tmp_path, files))
    assert set(changed) == {
        *(f"{CLUSTER}/configs.yaml", f"{FOLDER}/vso-secrets/kustomization.yaml"),
        f"{FOLDER}/vso/serviceaccount-vso-system.yaml",
    }


def test_a_release_that_is_missing_goes_into_its_kustomization_which_then_waits_for_it(tmp_path: Path) -> None:
    files = deliverytree.operators()
    declared, listing = f"{CLUSTER}/infrastructure-operators-reloader.yaml", f"{FOLDER}/reloader/kustomization.yaml"
    del files[f"{FOLDER}/reloader/release.yaml"], files[f"{FOLDER}/reloader/charts.yaml"]
    files[declared] = files[declared].partition("  healthChecks:")[0]
    files[listing] = "resources: []\n"
    made = texts(planned(tmp_path, files))
    assert set(made) == {
        *(declared, listing, f"{FOLDER}/reloader/helmrelease.yaml", f"{FOLDER}/reloader/helmrepository.yaml")
    }
    spec = yaml.safe_load(made[declared])["spec"]
    assert [(each["kind"], each["name"]) for each in spec["healthChecks"]] == [("HelmRelease", "reloader")]
    assert spec["dependsOn"] == [{"name": "infrastructure-operators-namespaces"}]


def test_whoever_uses_the_kinds_waits_for_them(tmp_path: Path) -> None:
    files = deliverytree.operators()
    bare = deliverytree.files()
    files |= {f"{CLUSTER}/{name}.yaml": bare[f"{CLUSTER}/{name}.yaml"] for name in ("configs", "vso-secrets")}
    release = f"{CLUSTER}/infrastructure-operators-vso.yaml"
    files[release] = files[release].partition("  healthChecks:")[0]
    files["apps/secret.yaml"] = deliverytree.CERTIFICATE.replace("namespace: vso-system", "namespace: apps")
    changed = differences(files, planned(tmp_path, files))
    assert changed == {
        f"{CLUSTER}/apps.yaml": ["dependsOn:", "- name: infrastructure-operators-eso", "- name: configs"],
        f"{CLUSTER}/configs.yaml": ["dependsOn:", "- name: infrastructure-operators-eso"],
        f"{CLUSTER}/vso-secrets.yaml": ["dependsOn:", "- name: infrastructure-operators-vso"],
        release: [
            *("dependsOn:", "- name: infrastructure-operators-namespaces", "healthChecks:"),
            *("- apiVersion: helm.toolkit.fluxcd.io/v2", "kind: HelmRelease", "name: vault-secrets-operator"),
            "namespace: vso-system",
        ],
    }


def test_a_repository_without_operators_gets_them_beside_what_it_has(tmp_path: Path) -> None:
    """Its Kustomizations keep the folders that they build, and the new ones take nothing of them."""
    plan = planned(tmp_path, deliverytree.files())
    made = texts(plan)
    assert f"{CLUSTER}/infrastructure-configs.yaml" not in made, "configs builds that folder already"
    assert "infrastructure/configs/vault/clustersecretstore.yaml" in made
    assert yaml.safe_load(made[f"{CLUSTER}/configs.yaml"])["spec"]["dependsOn"] == [
        {"name": "infrastructure-operators-eso"}
    ]
    listed = yaml.safe_load(made[f"{FOLDER}/vso-secrets/kustomization.yaml"])["resources"]
    assert listed == [
        *("../vso/web-token.yaml", "../vso/vaultconnection.yaml", "../vso/vaultauth.yaml"),
        "../vso/serviceaccount-apps.yaml",
    ]
    assert texts(planned(tmp_path, made)) == {}


def test_places_are_inputs(tmp_path: Path) -> None:
    wanted = Wanted(
        {"eso": OPERATORS["eso"]},
        Store(VAULT),
        places={
            "namespaces": Place("spaces", "base/spaces"),
            "eso": Place("eso", "base/eso"),
            "store": Place("store", "base/store"),
        },
        declared="flux/{kustomization}.yml",
    )
    made = texts(planned(tmp_path, EMPTY, wanted))
    assert {file for file in made if file.startswith(CLUSTER)} == {
        f"{CLUSTER}/flux/{name}.yml" for name in ("spaces", "eso", "store")
    }
    assert yaml.safe_load(made["base/store/kustomization.yaml"])["resources"] == ["clustersecretstore.yaml"]


def test_a_cluster_folder_with_a_kustomization_has_the_new_ones_listed(tmp_path: Path) -> None:
    listing = f"{CLUSTER}/kustomization.yaml"
    files = {**EMPTY, listing: "resources:\n# Flux itself\n- flux-system\n"}
    made = texts(planned(tmp_path, files, Wanted({"reloader": OPERATORS["reloader"]})))
    assert made[listing].startswith(files[listing])
    assert made[listing].splitlines()[3:] == [
        *("- infrastructure-operators-namespaces.yaml", "- infrastructure-operators-reloader.yaml")
    ]


def test_operators_may_share_a_folder(tmp_path: Path) -> None:
    shared = Place("operators", "operators")
    operators = {part: OPERATORS[part] for part in ("reloader", "tailscale")}
    wanted = Wanted(operators, places=dict.fromkeys(("namespaces", *operators), shared))
    made = texts(planned(tmp_path, EMPTY, wanted))
    assert [each["metadata"]["name"] for each in yaml.safe_load_all(made["operators/helmrelease.yaml"])] == [
        *("reloader", "tailscale-operator")
    ]
    assert texts(planned(tmp_path, {**EMPTY, **made}, wanted)) == {}


def test_a_mirror_of_the_charts_is_used(tmp_path: Path) -> None:
    mirror = replace(OPERATORS["reloader"], url="oci://registry.example.net/charts")
    wanted = replace(WANTED, operators={**OPERATORS, "reloader": mirror})
    new = yaml.safe_load(texts(planned(tmp_path / "new", EMPTY, wanted))[f"{FOLDER}/reloader/helmrepository.yaml"])
    assert new["spec"] == {"type": "oci", "interval": "1h", "url": "oci://registry.example.net/charts"}
    files = deliverytree.operators()
    file = f"{FOLDER}/reloader/charts.yaml"
    changed = differences(files, planned(tmp_path / "old", files, wanted))
    assert set(changed) == {file}
    assert "type: oci" in changed[file]


def test_what_a_variable_fills_in_is_kept(tmp_path: Path) -> None:
    files = deliverytree.operators()
    store = "infrastructure/configs/vault/store.yaml"
    files[store] = files[store].replace("vault.example.net", "vault.${domain}")
    configs = f"{CLUSTER}/configs.yaml"
    variables = "  postBuild: {substituteFrom: [{kind: ConfigMap, name: cluster-vars}]}\n"
    files[configs] += variables
    assert texts(planned(tmp_path / "unknown", files)) == {}
    files[configs] = files[configs].replace(variables, "  postBuild: {substitute: {domain: example.net}}\n")
    assert texts(planned(tmp_path / "known", files)) == {}


def _changed(file: str, old: str, new: str) -> dict[str, str]:
    text = deliverytree.operators()[file]
    assert old in text
    return {file: text.replace(old, new)}


def _as_list(file: str) -> str:
    items = list(yaml.safe_load_all(deliverytree.operators()[file]))
    return yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items})


def _secret(namespace: str) -> str:
    text = deliverytree.CERTIFICATE.replace("name: wildcard\n", "name: same\n")
    return text.replace("namespace: vso-system", f"namespace: {namespace}")


BY_REFERENCE = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: eso, namespace: eso}
spec: {interval: 1h, url: "oci://registry.example.net/charts/external-secrets", ref: {tag: 0.10.3}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: eso, namespace: eso}
spec: {interval: 1h, chartRef: {kind: OCIRepository, name: eso}}
"""
SECOND_ESO = deliverytree.HELM_RELEASE.format(
    name="eso", namespace="eso", chart="external-secrets", version="0.9.0", repository="x", more=""
)
RELEASES = f"{FOLDER}/eso/release.yaml"


@pytest.mark.parametrize(
    ("wanted", "files", "code", "said"),
    [
        (with_version(eso="0.4.1"), {}, "version", "ESO 0.4.1"),
        (with_version(eso="latest"), {}, "version", "'latest' is not the version of a chart"),
        (with_version(eso="0.17.0"), {}, "steps", "from 0.10.3 there is no way to 0.17.0 in one step"),
        (with_version(eso="2.14.0"), {}, "steps", "First 0.16.2"),
        (
            with_version(eso="0.17.0"),
            _changed(RELEASES, "0.10.3", "0.16.2"),
            "steps",
            "ClusterSecretStore tazlab-secrets-vault",
        ),
        (with_version(eso="0.9.20"), {}, "back", "0.9.20 would take it back"),
        (WANTED, _changed(RELEASES, '"0.10.3"', '"*"'), "version", "which is *"),
        (
            WANTED,
            _changed("infrastructure/configs/vault/store.yaml", "v1beta1", "v1"),
            "version",
            "it is of external-secrets.io/v1, which ESO 0.10.3 does not serve",
        ),
        (WANTED, {"apps/eso.yaml": SECOND_ESO}, "twice", "HelmRelease eso/eso (apps/eso.yaml:1) installs"),
        (WANTED, {"apps/eso.yaml": BY_REFERENCE}, "twice", "HelmRelease eso/eso (apps/eso.yaml:6) installs"),
        (
            WANTED,
            _changed(
                f"{CLUSTER}/infrastructure-operators-namespaces.yaml", "  prune: true", "  dependsOn: [{name: configs}]"
            ),
            "cycle",
            "flux-system/configs -> flux-system/infrastructure-operators-eso",
        ),
        (
            WANTED,
            {
                "apps/secret.yaml": deliverytree.CERTIFICATE,
                **_changed(
                    f"{CLUSTER}/infrastructure-operators-namespaces.yaml",
                    "  prune: true",
                    "  dependsOn: [{name: apps}]",
                ),
            },
            "cycle",
            "ExternalSecret vso-system/wildcard (apps/secret.yaml:2) needs the kinds of eso, which would close a",
        ),
        (
            WANTED,
            {f"{CLUSTER}/secret.yaml": deliverytree.CERTIFICATE.replace("name: wildcard", "name: other")},
            "cycle",
            "flux-system/flux-system -> flux-system/infrastructure-operators-eso -> ",
        ),
        (
            WANTED,
            {
                f"{FOLDER}/eso/kustomization.yaml": "resources: [charts.yaml, release.yaml, secret.yaml]\n",
                f"{FOLDER}/eso/secret.yaml": deliverytree.CERTIFICATE.replace("name: wildcard", "name: other"),
            },
            "together",
            "flux-system/infrastructure-operators-eso applies both",
        ),
        (
            WANTED,
            {f"{FOLDER}/eso/kustomization.yaml": "resources: [charts.yaml, release.yaml]\nnamePrefix: x-\n"},
            "twice",
            "HelmRelease external-secrets/x-external-secrets",
        ),
        (
            with_version(reloader="1.4.21"),
            {f"{FOLDER}/reloader/release.yaml": _as_list(f"{FOLDER}/reloader/release.yaml")},
            "unkept",
            "release.yaml: it does not stand in it under this name. Change HelmRelease reloader",
        ),
        (
            with_version(eso="0.10.4"),
            {
                f"{FOLDER}/eso/kustomization.yaml": "resources: [charts.yaml, release.yaml]\npatches:\n"
                "  - target: {kind: HelmRelease}\n"
                '    patch: \'[{"op": "replace", "path": "/spec/chart/spec/version", "value": "0.10.3"}]\'\n'
            },
            "not_as_written",
            "is changed on its way",
        ),
        (WANTED, {"apps/kustomization.yaml": "resources: [gone.yaml]\n"}, "unreadable", "gone.yaml"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(
    tmp_path: Path, wanted: Wanted, files: dict[str, str], code: str, said: str
) -> None:
    found = told(planned(tmp_path, {**deliverytree.operators(), **files}, wanted))
    assert said in found.get(code, "-"), found


def test_all_that_is_malformed_is_told_together_before_the_repository_is_read(tmp_path: Path) -> None:
    wanted = Wanted(
        {
            "eso": Operator("0.10.3", "No_Label", "x" * 54),
            "argo": Operator("1.0.0", "a", "a"),
            "reloader": Operator("1.2.1", "r", "r", url="https://user:canary@charts.example.net"),
        },
        Store("https://vault.${domain}", mount="/secret"),
        Login(VAULT, Jwt("", "vault", audiences=()), namespaces=("a.b",)),
        places={"eso": Place("eso", "../elsewhere"), "store": Place("store", "/tmp/x")},
        declared="../{kustomization}.yaml",
    )
    plan = plan_tree(Tree(tmp_path), lambda _tree: pytest.fail("it was read"), wanted)
    said = "\n".join(problem.text for problem in plan.problems)
    for part in (
        *("'No_Label' is not a DNS label", "more than 53 letters", "argo: is no operator", "a login in it"),
        *("store: its url has a variable", "its mount '/secret'", "login: nothing serves its kinds without vso"),
        *("its role is missing", "it has no audiences", "'a.b' is not a DNS label", "'../elsewhere' is not a folder"),
        *("'/tmp/x' is not a folder", "../{kustomization}.yaml is no file"),
    ):
        assert part in said
    assert "canary" not in said


def test_of_two_objects_of_one_name_in_a_file_both_move(tmp_path: Path) -> None:
    two = f"{_secret('apps')}---\n{_secret('auth')}"
    found = texts(planned(tmp_path, {**deliverytree.operators(), "apps/two.yaml": two}, with_version(eso="0.16.2")))
    assert found["apps/two.yaml"] == two.replace("external-secrets.io/v1beta1", "external-secrets.io/v1")


def test_the_account_that_esos_chart_makes_is_not_made_twice(tmp_path: Path) -> None:
    login = Jwt("tazlab-eso", "external-secrets", audiences=("vault",))
    store = Store("https://vault.example.net:8200", login=login)
    found = texts(planned(tmp_path, deliverytree.operators(), replace(WANTED, store=store)))
    assert not [
        file for file, text in found.items() if "kind: ServiceAccount" in text and "name: external-secrets" in text
    ]
    other = replace(WANTED, store=replace(store, login=replace(login, service_account="reader")))
    found = texts(planned(tmp_path, deliverytree.operators(), other))
    assert [file for file in found if file.endswith("serviceaccount-reader.yaml")]
