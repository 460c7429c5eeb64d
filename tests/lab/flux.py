# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flux' real controllers as processes: what the kubelet stand-in starts when their Deployments' pods shall run.

They get what a pod would have: the arguments of the Deployment, a token of its service account, a directory of its own.
Only addresses differ: everything listens on loopback, and artifacts are advertised there.
"""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from lab.accounts import account_kubeconfig
from lab.binaries import binary
from lab.kubeclient import Object
from lab.kubelet import Program
from lab.process import Process, free_port

# Where each controller tells that it works: source-controller by serving artifacts.
READY: Mapping[str, Callable[[int, int], str]] = MappingProxyType(
    {
        "source-controller": lambda _health, storage: f"http://127.0.0.1:{storage}/",
        "kustomize-controller": lambda health, _storage: f"http://127.0.0.1:{health}/readyz",
        "helm-controller": lambda health, _storage: f"http://127.0.0.1:{health}/readyz",
    }
)


def flux_programs(kubeconfig: Path, *, helm: bool = False) -> dict[str, Program]:
    """The programs for C(lab.kubelet.KubeletStandIn), by pattern of the image; C(kubeconfig) is the administrator's.

    With C(helm) the source-controller fetches charts, too; the lab's usual one fetches from Git alone.
    """

    def program(name: str) -> Program:
        whole = helm and name == "source-controller"
        return lambda pod, directory: _controller(name, f"{name}-whole" if whole else name, kubeconfig, pod, directory)

    return {f"*fluxcd/{name}:*": program(name) for name in READY}


def _controller(name: str, program: str, kubeconfig: Path, pod: Object, directory: Path) -> Process:
    data, temporary = directory / "data", directory / "tmp"
    for made in (data, temporary):
        made.mkdir(parents=True, exist_ok=True)
    health, storage = free_port(), free_port()
    namespace = pod["metadata"]["namespace"]
    arguments = [
        argument.replace("$(RUNTIME_NAMESPACE)", namespace) for argument in pod["spec"]["containers"][0].get("args", [])
    ]
    arguments += ["--metrics-addr=0", f"--health-addr=127.0.0.1:{health}"]
    arguments.append("--enable-leader-election=false")  # it wants the files of a pod, and there is one of each anyway
    if name == "source-controller":
        address = f"127.0.0.1:{storage}"
        arguments += [f"--storage-path={data}", f"--storage-addr={address}", f"--storage-adv-addr={address}"]
    url = READY[name](health, storage)
    return Process(
        [binary(program), *arguments],
        name=name,
        log=directory / f"{name}.log",
        environment={
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(directory),
            "TMPDIR": str(temporary),
            "TUF_ROOT": str(temporary / ".sigstore"),
            "RUNTIME_NAMESPACE": namespace,
            "KUBECONFIG": str(account_kubeconfig(kubeconfig, pod, directory)),
        },
        cwd=directory,
        ready=lambda: answers(url),
        timeout=60,
    )


def answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own loopback address
        return bool(response.status == 200)
