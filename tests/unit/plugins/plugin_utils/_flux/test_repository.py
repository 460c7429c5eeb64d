# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a repository's own Flux is read: order, agreement with the inventory, and what only Flux can read."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux import repository as _flux

URL = "https://git.example.net/you/cluster"
WANTED = _flux.Wanted(URL, "master", "./clusters/home")
SYSTEM = "clusters/home/flux-system"


class FakeCheckout:
    """The files of a commit."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files
        self.deadline = Deadline(10)

    def exists(self, path: str) -> bool:
        return any(name == path or name.startswith(f"{path}/") for name in self.files)

    def folder(self, path: str) -> list[str]:
        return [name for name in self.files if name.startswith(f"{path}/")]

    def folders(self, path: str) -> list[str]:
        start = f"{path}/" if path else ""
        inside = {name.removeprefix(start).split("/")[0] for name in self.files if name.startswith(start)}
        return sorted(name for name in inside if f"{start}{name}" not in self.files)

    def read(self, path: str) -> bytes:
        return self.files[path].encode()

    def unpack(self) -> Path:
        self.unpacked = tempfile.TemporaryDirectory()
        for name, content in self.files.items():
            path = Path(self.unpacked.name) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return Path(self.unpacked.name)


def document(kind: str, api_version: str = "v1", **more: Any) -> str:
    lines = [f"apiVersion: {api_version}", f"kind: {kind}", "metadata: {name: it, namespace: flux-system}"]
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in more.items())]) + "\n---\n"


COMPONENTS = document("ConfigMap") + document("CustomResourceDefinition") + document("Namespace")


def sync(url: str = URL, branch: str = "master", path: str = "./clusters/home") -> str:
    return document(
        "Kustomization", "kustomize.toolkit.fluxcd.io/v1", spec=f"{{path: {path}, sourceRef: {{name: it}}}}"
    ) + document(
        "GitRepository",
        "source.toolkit.fluxcd.io/v1",
        spec=f"{{url: '{url}', ref: {{branch: {branch}}}, secretRef: {{name: login}}}}",
    )


def repository(kustomization: str = "", **files: str) -> FakeCheckout:
    kustomization = kustomization or f"resources: [{', '.join(f'{name}.yaml' for name in files)}]"
    found = {f"{SYSTEM}/{name}.yaml": content for name, content in files.items()}
    return FakeCheckout({f"{SYSTEM}/kustomization.yaml": kustomization, **found})


def read(checkout: FakeCheckout, wanted: _flux.Wanted = WANTED, components: Any = None) -> _flux.Flux:
    return _flux.read(checkout, wanted, components)  # type: ignore[arg-type]


def kinds(documents: list[dict[str, Any]]) -> list[str]:
    return [each["kind"] for each in documents]


def test_what_others_need_comes_first() -> None:
    flux = read(repository(components=COMPONENTS, sync=sync()))
    assert kinds(flux.definitions) == ["Namespace", "CustomResourceDefinition"]
    assert kinds(flux.controllers) == ["ConfigMap"]
    assert kinds(flux.sync) == ["GitRepository", "Kustomization"]
    assert (flux.namespace, flux.secret) == ("flux-system", "login")


def test_a_folder_without_a_kustomization_counts_with_every_file() -> None:
    checkout = FakeCheckout({f"{SYSTEM}/a.yaml": COMPONENTS, f"{SYSTEM}/b.yml": sync(), f"{SYSTEM}/README.md": "#"})
    assert kinds(read(checkout).controllers) == ["ConfigMap"]


@pytest.mark.parametrize("url", [URL, f"{URL}.git", f"{URL}/", URL.replace("git.example", "GIT.Example")])
@pytest.mark.parametrize("path", ["./clusters/home", "clusters/home/", "/clusters/home"])
def test_addresses_and_paths_may_be_written_in_several_ways(url: str, path: str) -> None:
    flux = read(repository(components=COMPONENTS, sync=sync()), _flux.Wanted(url, "master", path))
    assert kinds(flux.sync) == ["GitRepository", "Kustomization"]


@pytest.mark.parametrize(
    ("followed", "words"),
    [
        (sync(url="https://other.example.net/x"), "url is 'https://other.example.net/x' there"),
        (sync(branch="main"), "branch is 'main' there and 'master' in tazlab_flux"),
        (sync(path="./clusters/other"), "path is './clusters/other' there"),
        (sync() + sync().replace("name: it", "name: other"), "has 2 GitRepositories and 2 Kustomizations"),
    ],
)
def test_a_repository_that_follows_something_else_is_refused(followed: str, words: str) -> None:
    with pytest.raises(BootstrapError) as raised:
        read(repository(components=COMPONENTS, sync=followed))
    assert words in str(raised.value)


def test_what_to_follow_is_written_where_the_repository_does_not_say() -> None:
    source, root = read(repository(components=COMPONENTS)).sync
    assert source["spec"]["url"] == URL
    assert source["spec"]["ref"] == {"branch": "master"}
    assert source["spec"]["secretRef"] == {"name": "flux-system"}
    assert root["spec"]["path"] == "./clusters/home"
    assert root["spec"]["prune"] is True


def test_components_of_a_file_serve_a_repository_without_any() -> None:
    checkout = FakeCheckout({"clusters/home/apps.yaml": ""})
    with pytest.raises(BootstrapError, match=f"has no components of Flux in {SYSTEM}"):
        read(checkout)
    given = _flux.parse(COMPONENTS.encode(), "install.yaml")
    assert kinds(read(checkout, components=given).controllers) == ["ConfigMap"]


def test_a_missing_folder_is_named_with_its_neighbours() -> None:
    checkout = FakeCheckout({"clusters/other/a.yaml": "", "clusters/another/a.yaml": ""})
    with pytest.raises(BootstrapError, match=r"has no folder clusters/home\. In clusters it has: another, other\."):
        read(checkout)


def test_a_path_out_of_the_repository_is_refused() -> None:
    with pytest.raises(BootstrapError, match="leads out of the repository"):
        read(FakeCheckout({}), _flux.Wanted(URL, "master", "../../etc"))


def test_more_than_a_list_of_files_needs_a_builder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    for kustomization in ("resources: [components.yaml]\nnamePrefix: x-", "resources: ['../base']"):
        checkout = repository(kustomization, components=COMPONENTS)
        checkout.files["clusters/home/base/kustomization.yaml"] = "namePrefix: x-"
        with pytest.raises(BootstrapError, match="neither kubectl nor kustomize is on PATH"):
            read(checkout)


def test_files_beside_the_folder_and_whole_folders_can_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    checkout = repository("resources: [../shared.yaml, ../more]")
    checkout.files |= {
        "clusters/home/shared.yaml": COMPONENTS,
        "clusters/home/more/kustomization.yaml": "resources: [sync.yaml]",
        "clusters/home/more/sync.yaml": sync(),
    }
    flux = read(checkout)
    assert (kinds(flux.controllers), kinds(flux.sync)) == (["ConfigMap"], ["GitRepository", "Kustomization"])


def test_what_sops_encrypted_is_left_to_flux() -> None:
    assert _flux.parse(document("Secret", sops="{mac: x}").encode(), "x.yaml") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: [canary", "x.yaml: is not YAML"),
        ("canary", "x.yaml: a document is not at a Kubernetes object"),
        ("kind: It\nmetadata: {name: canary}", "x.yaml: a document is not at a Kubernetes object"),
    ],
)
def test_what_is_no_object_is_named_by_its_file(content: str, words: str) -> None:
    with pytest.raises(BootstrapError) as raised:
        _flux.parse(content.encode(), "x.yaml")
    assert words in str(raised.value)
    assert "canary" not in str(raised.value)


def test_a_public_repository_is_followed_without_a_login() -> None:
    public = _flux.Wanted(URL, "master", "./clusters/home", login=False)
    source = read(repository(components=COMPONENTS), public).sync[0]
    assert "secretRef" not in source["spec"]
    with pytest.raises(BootstrapError, match="logs in with the Secret login, and no token is given"):
        read(repository(components=COMPONENTS, sync=sync()), public)
