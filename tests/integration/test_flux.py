# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role flux_bootstrap brings Flux' real controllers to follow a real Git server, and says what keeps them from it."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import gitops
from lab.flux import flux_programs
from lab.git import GitServer
from lab.kube import ControlPlane
from lab.kubeclient import Client
from lab.kubelet import KubeletStandIn
from lab.leaks import Canaries, Watch
from lab.playbook import Run
from lab.process import LabError, wait_until
from lab.tls import Authority

pytestmark = pytest.mark.kube

TOKEN = "canary-token-of-the-git-host"
GIT = "source.toolkit.fluxcd.io/v1", "GitRepository"
KUSTOMIZATION = "kustomize.toolkit.fluxcd.io/v1", "Kustomization"


@dataclass
class Lab:
    """An empty cluster with a node, and the Git server of its repository."""

    kubeconfig: Path
    client: Client
    git: GitServer
    ca_file: Path

    def variables(self, **more: Any) -> dict[str, Any]:
        return {
            "flux_bootstrap_kubeconfig": str(self.kubeconfig),
            "flux_bootstrap_url": self.git.url,
            "flux_bootstrap_branch": gitops.BRANCH,
            "flux_bootstrap_path": f"./{gitops.PATH}",
            "flux_bootstrap_password": TOKEN,
            "flux_bootstrap_ca_cert": str(self.ca_file),
            "flux_bootstrap_timeout": 90,
            **more,
        }

    def login(self) -> dict[str, str]:
        secret = self.client.get("v1", "Secret", "flux-system", "flux-system")
        return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory: Path = tmp_path_factory.mktemp("flux-role")
    authority = Authority(directory / "ca")
    with (
        ControlPlane(directory / "kube") as control_plane,
        GitServer(directory / "git", authority, TOKEN, branch=gitops.BRANCH) as git,
        KubeletStandIn(
            control_plane.kubeconfig, directory / "pods", programs=flux_programs(control_plane.kubeconfig)
        ) as kubelet,
    ):
        git.commit(gitops.repository(git.url))
        git.commit(gitops.repository(git.url, branch="bare", components=False), branch="bare")
        kubelet.add_node("lab-worker", "127.0.0.2")
        yield Lab(control_plane.kubeconfig, control_plane.client(), git, authority.ca_file)


@pytest.fixture
def flux(ansible_playbook: Callable[..., Run], lab: Lab) -> Callable[..., Run]:
    """Run the role as site.yml does: its preflight, then the role unless there are problems; the facts are printed."""

    def run(*arguments: str, only: str = "", **more: Any) -> Run:
        preflight = {"import_role": {"name": "tazlab.bootstrap.flux_bootstrap", "tasks_from": "preflight"}}
        role = {"import_role": {"name": "tazlab.bootstrap.flux_bootstrap"}}
        tasks = [
            preflight,
            {"debug": {"msg": "{{ flux_bootstrap_problems | default([]) | map(attribute='text') | join('|') }}"}},
            role,
            {"debug": {"msg": "READY {{ flux_bootstrap_result.ready }} AT {{ flux_bootstrap_result.revision }}"}},
        ]
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {
                "ansible_connection": "local",
                "ansible_pipelining": True,
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            },
            "tasks": tasks[:2] if only == "preflight" else tasks,
        }
        return ansible_playbook([play], variables=lab.variables(**more), arguments=arguments)

    return run


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"flux_bootstrap_password": "canary-wrong-token"}, "the login was refused (401)"),
        ({"flux_bootstrap_password": ""}, "No token was given"),
        ({"flux_bootstrap_branch": "main"}, "it has no branch main. It has: bare, master."),
        ({"flux_bootstrap_path": "./clusters/other"}, "has no folder clusters/other. In clusters it has: tazlab-k8s."),
        ({"flux_bootstrap_branch": "bare"}, "has no components of Flux in clusters/tazlab-k8s/flux-system"),
        ({"flux_bootstrap_ca_cert": ""}, "TLS failed."),
        ({"flux_bootstrap_url": "https://127.0.0.1:1/tazlab/cluster"}, "the host does not answer"),
        ({"flux_bootstrap_url": "https://host.invalid/tazlab/cluster"}, "its host name does not resolve"),
        ({"flux_bootstrap_url": "https://me:canary-in-address@host.invalid/x"}, "its address holds a login"),
        ({"flux_bootstrap_url": "git@host.invalid:x/y"}, "must begin with https://"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_wrong_with_the_repository_is_told_before_anything_is_changed(
    lab: Lab, flux: Callable[..., Run], wrong: dict[str, Any], words: str
) -> None:
    run = flux("-vvv", only="preflight", **wrong)
    assert run.returncode == 0, run.output
    assert words in run.output
    assert "canary" not in run.output


def test_a_repository_that_is_not_there_is_told_from_a_refused_token(lab: Lab, flux: Callable[..., Run]) -> None:
    run = flux(only="preflight", flux_bootstrap_url=lab.git.url.removesuffix("cluster") + "other")
    assert "there is no such repository, or the token may not see it" in run.output


def test_what_the_repository_follows_must_be_what_the_inventory_says(lab: Lab, flux: Callable[..., Run]) -> None:
    files = gitops.repository("https://elsewhere.example.net/x", branch="main")
    lab.git.commit(files, branch="elsewhere")
    run = flux(only="preflight", flux_bootstrap_branch="elsewhere")
    assert "url is 'https://elsewhere.example.net/x' there" in run.output
    assert "branch is 'main' there and 'elsewhere' in tazlab_flux" in run.output


def test_check_mode_before_the_cluster_exists_contacts_none(flux: Callable[..., Run], tmp_path: Path) -> None:
    run = flux("--check", flux_bootstrap_pending=True, flux_bootstrap_kubeconfig=str(tmp_path / "there-is-none"))
    assert run.returncode == 0, run.output
    assert "GitRepository flux-system/flux-system would be made" in run.output
    assert "READY False" in run.output


def test_flux_follows_the_repository(lab: Lab, flux: Callable[..., Run], tmp_path: Path) -> None:
    checked = flux("--check", "--diff")
    assert checked.returncode == 0, checked.output
    assert lab.client.find("v1", "Namespace", "flux-system") is None

    home = tmp_path / "home"
    # Git alone needs the token in its environment; no file and no argv may ever hold it.
    watch = Watch(
        Canaries({"token": TOKEN}), (home,), allowed_files=frozenset({home / "extra-vars.json"}), environments=False
    )
    with watch:
        first = flux("-vvvvv", "--diff")
    assert first.returncode == 0, first.output
    assert watch.leaks == set()
    assert Canaries({"token": TOKEN}).names_in(first.output.encode()) == set()
    assert f"READY True AT {gitops.BRANCH}@sha1:{lab.git.revision()}" in first.output
    assert lab.login() == {"username": "git", "password": TOKEN, "ca.crt": lab.ca_file.read_text()}
    assert list(home.rglob("tazlab-git-*")) == []
    for kind in (GIT, KUSTOMIZATION):
        found = lab.client.get(*kind, "flux-system", "flux-system")
        assert ("flux", "Apply") in {
            (each["manager"], each["operation"]) for each in found["metadata"]["managedFields"]
        }

    second = flux()
    assert second.returncode == 0, second.output
    assert second.stats()["changed"] == 0, second.output


def test_keys_of_another_kind_of_login_go(lab: Lab, flux: Callable[..., Run]) -> None:
    lab.client.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "flux-system", "namespace": "flux-system", "labels": {"owner": "somebody"}},
            "data": {"identity": "b2xk", "known_hosts": "b2xk"},
        },
        "somebody",
    )
    run = flux()
    assert run.returncode == 0, run.output
    assert set(lab.login()) == {"username", "password", "ca.crt"}
    labels = lab.client.get("v1", "Secret", "flux-system", "flux-system")["metadata"]["labels"]
    assert labels == {"owner": "somebody"}


def living(lab: Lab) -> dict[str, str]:
    """What the cluster's Flux follows and has made, as identities: what is deleted and made again has another one."""
    source = lab.client.get(*GIT, "flux-system", "flux-system")
    root = lab.client.get(*KUSTOMIZATION, "flux-system", "flux-system")
    made = {
        label: lab.client.get(*kind, name, namespace)["metadata"]["uid"]
        for label, kind, name, namespace in (
            ("Namespace tailscale", ("v1", "Namespace"), "tailscale", ""),
            ("Kustomization apps", KUSTOMIZATION, "apps", "flux-system"),
        )
    }
    return made | {"url": source["spec"]["url"], "ref": str(source["spec"]["ref"]), "path": root["spec"]["path"]}


@pytest.fixture
def elsewhere(lab: Lab, tmp_path: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """Places to which Flux could be moved, each with what would make the role follow it."""
    lab.git.commit(gitops.repository(lab.git.url, path="clusters/other"))
    lab.git.commit(gitops.repository(lab.git.url, branch="next"), branch="next")
    with GitServer(tmp_path / "other", Authority(tmp_path / "ca"), TOKEN, branch=gitops.BRANCH) as other:
        other.commit(gitops.repository(other.url))
        yield {
            "path": {"flux_bootstrap_path": "clusters/other"},
            "branch": {"flux_bootstrap_branch": "next"},
            "url": {"flux_bootstrap_url": other.url, "flux_bootstrap_ca_cert": str(tmp_path / "ca" / "ca.crt")},
        }


@pytest.mark.sweep
@pytest.mark.parametrize("setting", ["path", "branch", "url"])
@pytest.mark.parametrize("mode", [[], ["--check"]], ids=["run", "check"])
def test_a_living_flux_is_not_moved_unasked(
    lab: Lab, flux: Callable[..., Run], elsewhere: dict[str, dict[str, Any]], setting: str, mode: list[str]
) -> None:
    before = living(lab)
    told = flux(*mode, only="preflight", **elsewhere[setting])
    run = flux(*mode, **elsewhere[setting], flux_bootstrap_move="./clusters/yet-another")
    for each in (told, run):
        assert f"{setting} is " in each.output
        assert "It would delete what it has made from there" in each.output
        assert "Namespace tailscale" in each.output
        assert "-e tazlab_flux_move=" in each.output
    assert told.returncode == 0
    assert run.returncode != 0
    assert "changed=0" in run.output
    assert living(lab) == before


def test_a_commit_that_somebody_pinned_is_not_let_go_unasked(lab: Lab, flux: Callable[..., Run]) -> None:
    pinned = lab.client.get(*GIT, "flux-system", "flux-system")
    revision = lab.git.revision()
    lab.client.apply({**bare(pinned), "spec": {"ref": {"commit": revision}}}, "somebody")
    run = flux()
    assert run.returncode != 0
    assert f"branch is commit {revision} and would become master" in run.output
    assert lab.client.get(*GIT, "flux-system", "flux-system")["spec"]["ref"]["commit"] == revision
    lab.client.apply(bare(pinned), "somebody")
    assert flux().returncode == 0


def test_flux_that_its_own_operator_governs_is_left_to_it(lab: Lab, flux: Callable[..., Run]) -> None:
    lab.client.apply(instances())
    instance = {
        "apiVersion": "fluxcd.controlplane.io/v1",
        "kind": "FluxInstance",
        "metadata": {"name": "flux", "namespace": "flux-system"},
    }
    wait_until(lambda: made(lab, instance), "a FluxInstance is there", 20)
    run = flux()
    assert run.returncode != 0
    assert "governed by FluxInstance flux-system/flux" in run.output
    assert "changed=0" in run.output
    lab.client.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", instances()["metadata"]["name"])


def test_a_confirmed_move_is_made_and_says_what_goes(
    lab: Lab, flux: Callable[..., Run], elsewhere: dict[str, dict[str, Any]]
) -> None:
    wanted = {**elsewhere["path"], "flux_bootstrap_move": "./clusters/other/"}
    checked = flux("--check", **wanted)
    assert checked.returncode == 0, checked.output
    assert "It would delete what it has made from there" in checked.output
    moved = flux(**wanted)
    assert moved.returncode == 0, moved.output
    assert lab.client.get(*KUSTOMIZATION, "flux-system", "flux-system")["spec"]["path"] == "./clusters/other"
    again = flux(**elsewhere["path"])
    assert again.returncode == 0, again.output
    assert again.stats()["changed"] == 0, again.output
    back = flux(flux_bootstrap_move=[f"./{gitops.PATH}"])
    assert back.returncode == 0, back.output


@contextmanager
def put_back(lab: Lab, times: int) -> Iterator[list[str]]:
    """What a controller does that is at an apply of the old revision, made sure of: it puts the old branch back."""
    old = lab.client.get(*GIT, "flux-system", "flux-system")
    theirs = {**bare(old), "spec": {key: old["spec"][key] for key in ("url", "ref", "interval")}}
    moved: list[str] = []

    def changed(_event: str, item: dict[str, Any]) -> None:
        if item["spec"]["ref"] != old["spec"]["ref"] and len(moved) < times:
            moved.append(item["spec"]["ref"]["branch"])
            lab.client.apply(theirs, "kustomize-controller")

    watch = lab.client.watch(lab.client.path(*GIT, "flux-system"))
    thread = threading.Thread(target=watch.run, args=(lambda _items: None, changed))
    thread.start()
    try:
        yield moved
    finally:
        watch.stop()
        thread.join()


def test_a_move_that_is_undone_by_what_was_under_way_is_made_again(
    lab: Lab, flux: Callable[..., Run], elsewhere: dict[str, dict[str, Any]]
) -> None:
    with put_back(lab, times=2) as moved:
        run = flux(**elsewhere["branch"], flux_bootstrap_move="next")
    assert set(moved) == {"next"}
    assert run.returncode == 0, run.output
    assert "branch is master, although next was declared (kustomize-controller set it so)" in run.output
    assert "READY True AT next@sha1:" in run.output
    assert lab.client.get(*GIT, "flux-system", "flux-system")["spec"]["ref"] == {"branch": "next"}
    assert flux(flux_bootstrap_move=gitops.BRANCH).returncode == 0


def test_a_move_that_is_undone_for_ever_ends_with_what_undoes_it(
    lab: Lab, flux: Callable[..., Run], elsewhere: dict[str, dict[str, Any]]
) -> None:
    with put_back(lab, times=1000):
        run = flux(**elsewhere["branch"], flux_bootstrap_move="next", flux_bootstrap_timeout=5)
    assert run.returncode != 0
    said = run.output.partition("are not ready after 5 s")[2]
    assert "branch is master, although next was declared (kustomize-controller set it so)" in said
    assert flux(flux_bootstrap_move=gitops.BRANCH).returncode == 0


def test_flux_does_not_delete_itself_although_a_move_is_confirmed(
    lab: Lab, flux: Callable[..., Run], tmp_path: Path
) -> None:
    before = living(lab)
    components = tmp_path / "components.yaml"
    components.write_text(gitops.repository(lab.git.url)[f"{gitops.PATH}/flux-system/gotk-components.yaml"])
    move = {"flux_bootstrap_branch": "bare", "flux_bootstrap_components": str(components)}
    for run in (flux(**move, flux_bootstrap_move="bare"), flux(**move, flux_bootstrap_move="bare", only="preflight")):
        assert "Flux would delete its own controllers" in run.output
        assert "changed=0" in run.output
    assert living(lab) == before


def test_a_root_of_another_name_is_a_move(lab: Lab, flux: Callable[..., Run]) -> None:
    before = living(lab)
    files = gitops.repository(lab.git.url, branch="fleet")
    sync = f"{gitops.PATH}/flux-system/gotk-sync.yaml"
    files[sync] = files[sync].replace("name: flux-system\n", "name: fleet\n")
    lab.git.commit(files, branch="fleet")
    run = flux(flux_bootstrap_branch="fleet")
    assert run.returncode != 0
    assert "root is flux-system and would become fleet" in run.output
    assert lab.client.find(*KUSTOMIZATION, "fleet", "flux-system") is None
    assert living(lab) == before


def bare(item: dict[str, Any]) -> dict[str, Any]:
    """An object as its name alone, to be applied with something."""
    return {
        "apiVersion": item["apiVersion"],
        "kind": item["kind"],
        "metadata": {"name": item["metadata"]["name"], "namespace": item["metadata"]["namespace"]},
    }


def made(lab: Lab, thing: dict[str, Any]) -> bool:
    """Whether an object could be made: its kind may not be served yet."""
    try:
        lab.client.apply(thing)
    except LabError:
        return False
    return True


def instances() -> dict[str, Any]:
    """A kind of the name that Flux' own operator has."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    group, names = "fluxcd.controlplane.io", {"kind": "FluxInstance", "plural": "fluxinstances"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"fluxinstances.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def test_a_failing_root_is_told_with_its_reason(lab: Lab, flux: Callable[..., Run]) -> None:
    files = gitops.repository(lab.git.url, branch="broken")
    files[f"{gitops.PATH}/broken.yaml"] = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: nowhere-at-all\n"
    )
    lab.git.commit(files, branch="broken")
    run = flux(flux_bootstrap_branch="broken", flux_bootstrap_move="broken", flux_bootstrap_timeout=30)
    assert run.returncode != 0
    assert "Kustomization flux-system/flux-system: Ready is False (" in run.output
    assert "nowhere-at-all" in run.output


def test_what_fails_from_its_birth_on_is_told_with_its_reason(lab: Lab, ansible_playbook: Callable[..., Run]) -> None:
    """Flux' status.observedGeneration is -1 until the first success; a condition has one of its own."""

    def new(kind: tuple[str, str], name: str, **spec: Any) -> None:
        head = {"apiVersion": kind[0], "kind": kind[1], "metadata": {"name": name, "namespace": "flux-system"}}
        lab.client.apply({**head, "spec": {"interval": "1m", **spec}})

    source = {"url": lab.git.url, "secretRef": {"name": "flux-system"}}
    new(GIT, "newborn", **source, ref={"branch": "absent"})
    new(GIT, "asleep", **source, ref={"branch": gitops.BRANCH}, suspend=True)
    follows = {"kind": "GitRepository", "name": "flux-system"}
    new(KUSTOMIZATION, "newborn", sourceRef=follows, path="./nowhere", prune=True)
    wanted = [(GIT, "newborn"), (GIT, "asleep"), (KUSTOMIZATION, "newborn")]
    try:
        objects = [
            {"api_version": api, "kind": kind, "name": name, "namespace": "flux-system", "condition": "Ready"}
            for (api, kind), name in wanted
        ]
        task = {"tazlab.bootstrap.kubernetes_ready": {"kubeconfig": str(lab.kubeconfig), "objects": objects}}
        task["tazlab.bootstrap.kubernetes_ready"]["timeout"] = 15
        local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        run = ansible_playbook([{"hosts": "localhost", "gather_facts": False, "vars": local, "tasks": [task]}])
    finally:
        for kind, name in wanted:
            lab.client.delete(*kind, name, "flux-system")
    assert run.returncode != 0
    said = run.output.partition("3 of 3 objects are not ready")[2]
    assert "GitRepository flux-system/newborn: Ready is False (GitOperationFailed: " in said
    assert "GitRepository flux-system/asleep: it is suspended (spec.suspend is true)" in said
    assert "Kustomization flux-system/newborn: Ready is False (ArtifactFailed: " in said
    assert "newest form" not in said


def test_components_come_from_a_file_where_the_repository_has_none(
    lab: Lab, flux: Callable[..., Run], tmp_path: Path
) -> None:
    components = tmp_path / "components.yaml"
    components.write_text(gitops.repository(lab.git.url)[f"{gitops.PATH}/flux-system/gotk-components.yaml"])
    # Following this branch for real would have Flux take away its own components, which are not part of it.
    run = flux(
        "--check",
        flux_bootstrap_branch="bare",
        flux_bootstrap_components=str(components),
        flux_bootstrap_pending=True,
    )
    assert run.returncode == 0, run.output
    assert "Deployment flux-system/source-controller would be made" in run.output
    assert "Kustomization flux-system/flux-system would be made" in run.output


def test_a_kustomization_that_does_more_is_built(lab: Lab, flux: Callable[..., Run]) -> None:
    folder = f"{gitops.PATH}/flux-system"
    files = gitops.repository(lab.git.url, branch="patched")
    files[f"{folder}/kustomization.yaml"] += (
        "patches:\n- target: {kind: Deployment}\n"
        "  patch: |\n    - {op: add, path: /metadata/labels, value: {patched: 'yes'}}\n"
    )
    files[".gitattributes"] = "* export-ignore\n"  # which Flux does not go by
    lab.git.commit(files, branch="patched")
    run = flux(flux_bootstrap_branch="patched", flux_bootstrap_move="patched", flux_bootstrap_timeout=120)
    assert run.returncode == 0, run.output
    deployment = lab.client.get("apps/v1", "Deployment", "source-controller", "flux-system")
    assert deployment["metadata"]["labels"]["patched"] == "yes"
