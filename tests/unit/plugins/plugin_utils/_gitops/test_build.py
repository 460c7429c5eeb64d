# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder is built as Flux builds it, as test_gitops.py shows. Here: what is refused, and what needs no program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops import build as _build
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import Builder, Placed
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree, Unreadable
from lab.gitopscorpus import CASES, Case, config, resources

Build = Callable[..., list[Placed]]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def build(files: dict[str, str], folder: str = "apps", spec: dict[str, Any] | None = None) -> list[Placed]:
        root = Case(files).write(tmp_path / "tree")
        before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        try:
            with Builder(Tree(root), Deadline(30)) as builder:
                return builder.build(folder, spec)
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
        "transformers: [../../outside.yaml]\n",
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
    with Builder(Tree(case.write(tmp_path / "tree")), Deadline(30)) as builder:
        try:
            placed = builder.build("" if case.folder == "." else case.folder, case.spec)
        except Unreadable:
            return
    lists = not builder.skipped
    if not lists:
        assert all("was not applied: neither kustomize nor kubectl is on PATH" in line for line in builder.skipped)
    assert all(each.file in case.files for each in placed)


def test_a_folder_that_is_not_there_is_named(build: Build) -> None:
    with pytest.raises(Unreadable, match="nowhere of the repository: it is not a folder"):
        build({"apps/a.yaml": config("a")}, folder="nowhere")
