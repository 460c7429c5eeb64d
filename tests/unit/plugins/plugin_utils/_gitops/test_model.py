# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository becomes Kustomizations, and objects with their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import Builder
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import (
    Known,
    Object,
    Repository,
    read,
    release_name,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree
from lab.gitopscorpus import Case, config


def kustomization(name: str, path: str, more: str = "", source: str = "flux-system") -> str:
    return (
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
        f"metadata: {{name: {name}, namespace: flux-system}}\n"
        f"spec: {{path: {path}, sourceRef: {{kind: GitRepository, name: {source}}}{more}}}\n"
    )


FILES = {
    "clusters/home/flux-system/gotk-sync.yaml": kustomization("flux-system", "./clusters/home"),
    "clusters/home/operators.yaml": kustomization("operators", "./operators"),
    "clusters/home/apps.yaml": kustomization(
        "apps",
        "./apps",
        ", dependsOn: [{name: operators}, {name: x, namespace: y}], targetNamespace: web,"
        " postBuild: {substituteFrom: [{kind: ConfigMap, name: cluster-vars}, {kind: Secret, name: more}]}",
    ),
    "clusters/home/elsewhere.yaml": kustomization("elsewhere", "./", source="other"),
    "clusters/home/out.yaml": kustomization("out", "../../.."),
    "clusters/home/gone.yaml": kustomization("gone", "./nowhere"),
    "operators/eso.yaml": "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\n"
    "metadata: {name: eso, namespace: external-secrets}\nspec: {targetNamespace: eso}\n",
    "apps/web/a.yaml": config("a", host="${domain}", key="${secret}"),
}


@pytest.fixture
def found(tmp_path: Path) -> Repository:
    known: Known = {("ConfigMap", "flux-system", "cluster-vars"): {"domain": "example.net"}}
    return read(Builder(Tree(Case(FILES).write(tmp_path)), Deadline(60)), "clusters/home", known)


def test_the_kustomizations_are_found_from_the_root_on(found: Repository) -> None:
    assert {each.name: (each.folder, each.file) for each in found.kustomizations.values()} == {
        "flux-system": ("clusters/home", "clusters/home/flux-system/gotk-sync.yaml"),
        "operators": ("operators", "clusters/home/operators.yaml"),
        "apps": ("apps", "clusters/home/apps.yaml"),
        "gone": ("nowhere", "clusters/home/gone.yaml"),
    }
    assert found.kustomizations["flux-system/apps"].depends_on == ("flux-system/operators", "y/x")


def test_objects_are_as_flux_applies_them_and_know_their_file(found: Repository) -> None:
    (one,) = [each for each in found.objects if each.name == "a"]
    assert (one.kind, one.namespace, one.file, one.kustomization) == (
        "ConfigMap",
        "web",
        "apps/web/a.yaml",
        "flux-system/apps",
    )
    assert (one.line, one.place) == (1, "apps/web/a.yaml:1")
    assert Object(one.document, one.file, "").place == one.file, "a line that is not known is left out"
    assert one.document["data"] == {"host": "example.net", "key": "${secret}"}, "what is not known stays"


def test_what_was_not_looked_into_and_what_is_wrong_is_told(found: Repository) -> None:
    assert sorted(found.skipped) == [
        "flux-system/apps: variables of Secret flux-system/more are not known here",
        "flux-system/elsewhere: it builds another source, GitRepository other",
    ]
    texts = {each.subject: each.text for each in found.problems}
    assert "its path '../../..' is none of the repository" in texts["flux-system/out"]
    assert "clusters/home/out.yaml" in texts["flux-system/out"]
    assert "nowhere of the repository: it is not a folder" in texts["flux-system/gone"]


def test_variables_that_are_declared_later_are_known(tmp_path: Path) -> None:
    """And those that others may declare, where the repository does."""
    after = ", postBuild: {substituteFrom: [{kind: ConfigMap, name: later, optional: true}]}"
    later = config("later", domain="example.net").replace("name: later", "name: later\n  namespace: flux-system")
    files = {
        "cluster/a.yaml": kustomization("apps", "apps", after),
        "cluster/b.yaml": kustomization("config", "config"),
        "apps/a.yaml": config("a", host="${domain}"),
        "config/later.yaml": later,
    }
    found = read(Builder(Tree(Case(files).write(tmp_path)), Deadline(60)), "cluster")
    (one,) = [each for each in found.objects if each.name == "a"]
    assert one.document["data"] == {"host": "example.net"}
    assert found.skipped == []


def test_a_source_of_the_same_name_in_another_namespace_is_another_one(tmp_path: Path) -> None:
    other = kustomization("team", "apps").replace("namespace: flux-system", "namespace: team-a")
    named = kustomization("named", "apps").replace("name: flux-system}}", "name: flux-system, namespace: other}}")
    ours = kustomization("ours", "apps").replace("namespace: flux-system", "namespace: team-b")
    ours = ours.replace("name: flux-system}}", "name: flux-system, namespace: flux-system}}")
    files = {"cluster/a.yaml": other, "cluster/b.yaml": named, "cluster/c.yaml": ours, "apps/a.yaml": config("a")}
    found = read(Builder(Tree(Case(files).write(tmp_path)), Deadline(60)), "cluster")
    assert list(found.kustomizations) == ["flux-system/flux-system", "team-b/ours"]
    assert len(found.skipped) == 2


def test_labels_for_all_are_on_all(tmp_path: Path) -> None:
    files = {
        "cluster/a.yaml": kustomization("apps", "apps", ", commonMetadata: {labels: {team: x}, annotations: {a: b}}"),
        "apps/a.yaml": config("a"),
    }
    found = read(Builder(Tree(Case(files).write(tmp_path)), Deadline(60)), "cluster")
    (one,) = [each for each in found.objects if each.name == "a"]
    assert one.document["metadata"] == {"name": "a", "labels": {"team": "x"}, "annotations": {"a": "b"}}


@pytest.mark.parametrize(
    "spec",
    [
        "{path: apps, sourceRef: abc}",
        "{path: [1], sourceRef: {kind: GitRepository, name: flux-system}}",
        '{path: "a\\0b", sourceRef: {kind: GitRepository, name: flux-system}}',
        "{path: apps, sourceRef: {kind: GitRepository, name: flux-system}, postBuild: abc, dependsOn: 5}",
        "{path: apps, sourceRef: {kind: GitRepository, name: flux-system}, dependsOn: [abc]}",
        "{path: apps, sourceRef: {kind: GitRepository, name: flux-system}, postBuild: {substitute: [a]}}",
        "{path: apps, sourceRef: {kind: GitRepository, name: flux-system}, postBuild: {substituteFrom: [a]}}",
        "{path: apps, sourceRef: {kind: GitRepository, name: flux-system}, commonMetadata: [a]}",
        "{path: apps, sourceRef: {kind: GitRepository, name: flux-system}, patches: abc}",
        "abc",
    ],
)
def test_what_is_of_another_form_than_it_has_is_told_or_left_out(tmp_path: Path, spec: str) -> None:
    described = kustomization("apps", "apps").partition("spec:")[0] + f"spec: {spec}\n"
    odd = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd, labels: [1], annotations: x}\ndata: [1]\n"
    files = {"cluster/a.yaml": described, "apps/a.yaml": config("a"), "apps/b.yaml": odd}
    found = read(Builder(Tree(Case(files).write(tmp_path)), Deadline(60)), "cluster")
    assert "flux-system/flux-system" in found.kustomizations


def test_helms_names_are_derived_as_flux_derives_them(found: Repository) -> None:
    (release,) = found.of_kind("helm.toolkit.fluxcd.io", "HelmRelease")
    assert release_name(release) == "eso-eso"
    long = {"metadata": {"name": "n" * 60}, "spec": {}}
    name = release_name(Object(long, "", ""))
    assert (len(name), name[:41]) == (53, "n" * 40 + "-")
    assert release_name(Object({"metadata": {"name": "a"}, "spec": {"releaseName": "b"}}, "", "")) == "b"
    assert release_name(Object({"metadata": {"name": "a"}}, "", "")) == "a"


def test_a_repository_that_does_not_declare_its_root_has_one_all_the_same(tmp_path: Path) -> None:
    files = {"cluster/apps.yaml": kustomization("apps", "apps"), "apps/a.yaml": config("a")}
    found = read(Builder(Tree(Case(files).write(tmp_path)), Deadline(60)), "cluster")
    assert list(found.kustomizations) == ["flux-system/flux-system", "flux-system/apps"]
    assert [each.name for each in found.objects] == ["apps", "a"]


def source(spec: str) -> str:
    return (
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\n"
        f"metadata: {{name: flux-system, namespace: flux-system}}\nspec: {spec}\n"
    )


@pytest.mark.parametrize("more", ["", ", namePrefix: x-"], ids=["listed", "built"])
def test_what_the_source_ignores_is_not_there(tmp_path: Path, more: str) -> None:
    """Whoever names a file that is ignored is told, and what is wrong in others does not count."""
    files = {
        "cluster/flux-system/gotk-sync.yaml": source('{ignore: "/*\\n!/apps\\n!/cluster\\nb.yaml"}'),
        "cluster/apps.yaml": kustomization("apps", "apps", more),
        "cluster/listing.yaml": kustomization("listing", "listing", more),
        "apps/a.yaml": config("a"),
        "apps/b.yaml": "no: object\n",
        "listing/kustomization.yaml": "resources: [a.yaml]\n",
        "listing/a.yaml": config("c"),
        "apps/deep/kustomization.yaml": "resources: [d.yaml]\n",
        "apps/deep/d.yaml": config("d"),
    }
    found = read(Builder(Tree(Case(files).write(tmp_path)), Deadline(60)), "cluster")
    assert sorted(each.name.removeprefix("x-") for each in found.objects if each.kind == "ConfigMap") == ["a", "d"]
    (problem,) = found.problems
    assert problem.text.startswith("flux-system/listing: listing of the repository: it is not a folder of it, or Flux")
    assert found.skipped == []


def test_a_file_that_is_listed_and_ignored_is_told(tmp_path: Path) -> None:
    files = {
        "cluster/apps.yaml": kustomization("apps", "apps"),
        "apps/kustomization.yaml": "resources: [a.yaml]\n",
        "apps/a.yaml": config("a"),
        ".sourceignore": "/apps/a.yaml",
    }
    found = read(Builder(Tree(Case(files).write(tmp_path)), Deadline(60)), "cluster")
    (problem,) = found.problems
    assert "apps/a.yaml of the repository: Flux does not fetch it" in problem.text


def test_what_else_a_source_says_of_its_files_is_told(tmp_path: Path) -> None:
    files = {"cluster/a.yaml": source("{include: [{repository: {name: x}}], sparseCheckout: [cluster]}")}
    found = read(Builder(Tree(Case(files).write(tmp_path)), Deadline(60)), "cluster")
    assert found.skipped == [
        "GitRepository flux-system/flux-system: its include was not applied",
        "GitRepository flux-system/flux-system: its sparseCheckout was not applied",
    ]
