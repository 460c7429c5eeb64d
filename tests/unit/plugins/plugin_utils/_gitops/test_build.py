# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder is built as Flux builds it, as test_gitops.py shows. Here: what is refused, and what needs no program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops import build as _build
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import Builder, Placed
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree, Unreadable
from lab.gitopscorpus import CASES, LIST, Case, config, resources

EMPTY = ("an empty folder", "a kustomization that lists nothing")

Build = Callable[..., list[Placed]]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def build(files: dict[str, str], folder: str = "apps", spec: dict[str, Any] | None = None) -> list[Placed]:
        root = Case(files).write(tmp_path / "tree")
        before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        try:
            return Builder(Tree(root), Deadline(30)).build(folder, spec)
        finally:
            assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before

    return build


@pytest.mark.parametrize(
    "path",
    [
        "https://example.net/base",
        "https://user:canary@example.net/base",
        "github.com/you/repository//folder?ref=main",
        "git@example.net:you/repository",
        "ssh://git@example.net/you/repository",
        "../other?ref=main",
        "root@127.0.0.1:org/repo",
        "example.net/org/repo.git",
        "file:///etc/hostname",
        "me:canary@example.net/repository",
    ],
)
@pytest.mark.parametrize("key", ["resources", "components"])
def test_nothing_is_fetched(build: Build, monkeypatch: pytest.MonkeyPatch, path: str, key: str) -> None:
    monkeypatch.setattr(_build, "run", None)  # no program runs
    with pytest.raises(Unreadable, match="fetched from elsewhere") as raised:
        build({"apps/kustomization.yaml": f"{key}: ['{path}']\n"})
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    "kustomization",
    [
        resources("../../outside.yaml"),
        resources("/etc/hostname"),
        "patches: [{path: ../../outside.yaml}]\n",
        "configMapGenerator: [{name: x, files: [key=../../outside.yaml]}]\n",
        "secretGenerator: [{name: x, envs: [../../outside.yaml]}]\n",
        "replacements: [{path: ../../outside.yaml}]\n",
        "openapi: {path: ../../outside.yaml}\n",
        "configMapGenerator: [{name: x, envs: ['../../foo=x/../outside.env']}]\n",
        "crds: [../../outside.yaml]\n",
    ],
)
def test_what_leads_out_is_refused_before_a_program_runs(
    build: Build, monkeypatch: pytest.MonkeyPatch, kustomization: str
) -> None:
    monkeypatch.setattr(_build, "run", None)
    with pytest.raises(Unreadable, match="leads out of the repository"):
        build({"apps/kustomization.yaml": kustomization})
    with pytest.raises(Unreadable, match="leads out of the repository"):
        build({"apps/kustomization.yaml": resources("../inner"), "inner/kustomization.yaml": kustomization})


@pytest.mark.parametrize(
    "kustomization",
    [
        # kustomize takes keys in any case.
        "configmapgenerator: [{name: x, files: [/etc/hostname]}]\n",
        "configMapGenerator: [{name: x, Files: [/etc/hostname]}]\n",
        "Resources: [/etc/hostname]\n",
        "patches: [{Path: /etc/hostname}]\n",
        "openapi: {Path: /etc/hostname}\n",
        # A plugin's own configuration names files, too.
        "generators: [g.yaml]\n",
        "transformers: [t.yaml]\n",
        "validators: ['{apiVersion: builtin, kind: ConfigMapGenerator, files: [/etc/hostname]}']\n",
        "helmCharts: [{name: x, repo: 'https://example.net'}]\n",
        # What is of another form than it has.
        "resources: 5\n",
        "resources: [5]\n",
        "configMapGenerator: [abc]\n",
        "configMapGenerator: [{name: x, files: abc}]\n",
        "openapi: abc\n",
        "buildMetadata: 4\n",
        "1: a\n",
        "- a\n",
        "text\n",
    ],
)
def test_what_is_not_known_of_a_kustomization_is_refused(
    build: Build, monkeypatch: pytest.MonkeyPatch, kustomization: str
) -> None:
    monkeypatch.setattr(_build, "run", None)
    with pytest.raises(Unreadable):
        build({"apps/kustomization.yaml": kustomization})


@pytest.mark.parametrize(
    "spec",
    [
        {"patches": 5},
        {"patches": ["x"]},
        {"patches": [{"path": "/etc/hostname"}]},
        {"images": [{"newTag": "x"}, "y", {"name": [1]}]},
        {"images": 5},
        {"components": 5},
        {"components": ["/etc"]},
        {"components": ["https://example.net/x"]},
        {"targetNamespace": 5},
    ],
)
def test_what_a_flux_kustomization_adds_is_looked_at_as_well(build: Build, spec: dict[str, Any]) -> None:
    try:
        placed = build({"apps/a.yaml": config("a")}, spec=spec)
    except Unreadable as error:
        assert str(error).startswith(("apps", "/etc", "https://")), "what is wrong is named"
        return
    assert [each.document["metadata"]["name"] for each in placed] == ["a"], "an image that fits nothing changes nothing"


def test_a_program_sees_the_files_alone_that_a_build_reads(build: Build) -> None:
    """Not even what lies beside them in the repository, whatever it may be."""
    files = {"apps/kustomization.yaml": "namePrefix: x-\nresources: [a.yaml]\n", "apps/a.yaml": config("a")}
    (placed,) = build({**files, "apps/hidden.yaml": "->/etc/hostname", "apps/loop": "->..", "apps/b.yaml": config("b")})
    assert (placed.document["metadata"]["name"], placed.file) == ("x-a", "apps/a.yaml")


def test_the_way_through_many_folders_is_gone_once(build: Build) -> None:
    files = {
        "apps/kustomization.yaml": "namePrefix: x-\nresources: [../0]\n",
        "40/kustomization.yaml": "resources: []\n",
    }
    for number in range(40):
        files[f"{number}/kustomization.yaml"] = f"resources: [../{number + 1}, ../{number + 1}/.]\n"
    with pytest.raises(Unreadable, match="twice"):
        build(files)


def test_what_flux_does_not_fetch_is_not_read(build: Build) -> None:
    files = {
        "apps/a.yaml": config("a"),
        "apps/.sops.yaml": "creation_rules: []\n",
        ".github/workflows/ci.yml": "on: push\n",
    }
    assert [each.file for each in build(files)] == ["apps/a.yaml"]
    assert [each.file for each in build(files, folder="")] == ["apps/a.yaml"]


def test_an_object_for_programs_alone_is_left_out(build: Build) -> None:
    local = config("l").replace("name: l", "name: l\n  annotations: {config.kubernetes.io/local-config: 'true'}")
    files = {"apps/a.yaml": config("a"), "apps/l.yaml": local}
    assert [each.file for each in build(files)] == ["apps/a.yaml"]
    assert [each.file for each in build(files, spec={"namePrefix": "x-"})] == ["apps/a.yaml"]


def test_a_link_that_leads_out_is_refused(build: Build) -> None:
    with pytest.raises(Unreadable, match="a link that leads out"):
        build({"apps/kustomization.yaml": resources("a.yaml"), "apps/a.yaml": "->/etc/hostname"})


@pytest.mark.parametrize("name", CASES)
def test_without_a_program_what_is_not_looked_into_is_said(
    build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """What only lists objects is read all the same."""
    case = CASES[name]
    monkeypatch.setattr(_build, "program", lambda: None)
    builder = Builder(Tree(case.write(tmp_path / "tree")), Deadline(30), ignore=case.ignore)
    try:
        placed = builder.build("" if case.folder == "." else case.folder, case.spec)
    except Unreadable as error:
        assert str(error).startswith(("apps", "other")), "a file of the repository is named"
        return
    assert all("was not applied: neither kustomize nor kubectl is on PATH" in line for line in builder.skipped)
    assert {each.file for each in placed} <= set(case.files)
    assert placed or builder.skipped or name in EMPTY


def test_a_folder_that_is_not_there_is_named(build: Build) -> None:
    with pytest.raises(Unreadable, match="nowhere of the repository: it is not a folder"):
        build({"apps/a.yaml": config("a")}, folder="nowhere")


def test_objects_know_where_in_their_file_they_begin(build: Build) -> None:
    two = f"---\n# why\n{config('a')}---\n{config('b')}"
    files = {"apps/two.yaml": two, "apps/list.yml": LIST}
    lines = {("a", "apps/two.yaml", 3), ("b", "apps/two.yaml", 10)}
    lines |= {("first", "apps/list.yml", 4), ("second", "apps/list.yml", 5)}
    assert places(build(files)) == lines
    built = build(files, spec={"targetNamespace": "web"})
    assert places(built) == lines
    assert {each.document["metadata"]["namespace"] for each in built} == {"web"}
    renamed = build(files, spec={"namePrefix": "x-", "nameSuffix": "-y"})
    assert {(f"x-{name}-y", file, line) for name, file, line in lines} == places(renamed)


def test_an_object_that_might_be_several_of_its_file_has_no_line(build: Build) -> None:
    two = f"{config('web')}---\n{config('web-api')}"
    files = {"apps/two.yaml": two, "apps/one.yaml": config("other")}
    assert places(build(files, spec={"nameSuffix": "-api"})) == {
        ("web-api", "apps/two.yaml", 0),
        ("web-api-api", "apps/two.yaml", 0),
        ("other-api", "apps/one.yaml", 1),
    }
    assert places(build(files, spec={"targetNamespace": "x"})) == {
        ("web", "apps/two.yaml", 1),
        ("web-api", "apps/two.yaml", 8),
        ("other", "apps/one.yaml", 1),
    }


def test_objects_of_one_name_are_told_apart_by_their_namespaces(build: Build) -> None:
    there = [config("a").replace("name: a", f"name: a\n  namespace: {space}") for space in ("x", "y")]
    built = build(
        {"apps/kustomization.yaml": resources("a.yaml", buildMetadata="[originAnnotations]")}
        | {"apps/a.yaml": "---\n".join(there)}
    )
    assert {(each.document["metadata"]["namespace"], each.line) for each in built} == {("x", 1), ("y", 9)}


def builtin(kind: str, said: str, more: str = "") -> str:
    return f"apiVersion: builtin\nkind: {kind}\nmetadata: {{name: x{more}}}\n{said}\n"


@pytest.mark.parametrize(
    ("configuration", "why"),
    [
        (builtin("ConfigMapGenerator", "files: [/etc/hostname]"), "leads out of the repository"),
        (builtin("ConfigMapGenerator", "envs: [../../x]"), "leads out of the repository"),
        (builtin("SecretGenerator", "env: ../../x"), "leads out of the repository"),
        (builtin("PatchTransformer", "path: ../../x"), "leads out of the repository"),
        (builtin("PatchJson6902Transformer", "path: /etc/hostname"), "leads out of the repository"),
        (builtin("PatchStrategicMergeTransformer", "paths: [a.yaml, /etc/hostname]"), "leads out of the repository"),
        (builtin("ReplacementTransformer", "replacements: [{path: /etc/hostname}]"), "leads out of the repository"),
        (builtin("PatchTransformer", "path: https://user:canary@example.net/x"), "fetched from elsewhere"),
        (builtin("PatchTransformer", "Path: a.yaml"), "what Path of a PatchTransformer does is not known"),
        (builtin("ConfigMapGenerator", "files: a.yaml"), "files of its configMapGenerator is not a list"),
        (builtin("HelmChartInflationGenerator", "name: x"), "what a HelmChartInflationGenerator of builtin does"),
        (builtin("ValueAddTransformer", "value: x"), "what a ValueAddTransformer of builtin does"),
        (builtin("SecretGenerator", "", ", annotations: {config.kubernetes.io/function: 'exec: {}'}"), "more metadata"),
        (
            "apiVersion: example.net/v1\nkind: PatchTransformer\nmetadata: {name: x}\n",
            "PatchTransformer of example.net",
        ),
        ("- a\n", "what a None of None does"),
    ],
)
@pytest.mark.parametrize("key", ["generators", "transformers", "validators"])
@pytest.mark.parametrize("held", [False, True], ids=["in a file", "held"])
def test_a_configuration_reads_nothing_but_files_of_the_repository(
    build: Build, monkeypatch: pytest.MonkeyPatch, configuration: str, why: str, key: str, held: bool
) -> None:
    monkeypatch.setattr(_build, "run", None)  # no program runs
    files = {"apps/a.yaml": config("a"), "apps/x.yaml": configuration}
    listed = json.dumps(configuration) if held else "x.yaml"
    with pytest.raises(Unreadable, match="not there" if held and configuration == "- a\n" else why) as raised:
        build({**files, "apps/kustomization.yaml": f"resources: [a.yaml]\n{key}: [{listed}]\n"})
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("path", ["make", "https://example.net/x.yaml", "../../x.yaml", "none.yaml"])
def test_a_configuration_is_a_file_of_the_repository(build: Build, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(_build, "run", None)
    with pytest.raises(Unreadable):
        build({"apps/kustomization.yaml": f"generators: ['{path}']\n", "apps/make/kustomization.yaml": ""})


def test_what_a_generator_makes_has_no_line(build: Build) -> None:
    assert {each.line for each in build(dict(CASES["generators"].files))} == {0}
    case = CASES["generators of their own"]
    assert places(build(dict(case.files))) >= {("web", "apps/web.yaml", 1)}


def places(placed: list[Placed]) -> set[tuple[str, str, int]]:
    return {(each.document["metadata"]["name"], each.file, each.line) for each in placed}


def test_the_objects_of_a_file_are_gone_through_once(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[Any] = []
    is_object = _build._is_object
    monkeypatch.setattr(_build, "_is_object", lambda document: looked_at.append(document) or is_object(document))
    many = "---\n".join(config(f"c{number}") for number in range(20))
    built = build({"apps/a.yaml": many, "apps/kustomization.yaml": resources("a.yaml") + "namespace: x\n"})
    assert len({each.line for each in built} - {0}) == len(built) == 20
    assert len(looked_at) == 20
