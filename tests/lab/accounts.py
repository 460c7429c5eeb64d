# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program that stands for a pod gets instead of the files in the pod: a token of its service account."""

from __future__ import annotations

from pathlib import Path

import yaml

from lab.kubeclient import Client, Object
from lab.tls import write_private

DAY_SECONDS = 24 * 3600


def account_kubeconfig(kubeconfig: Path, pod: Object, directory: Path) -> Path:
    """A kubeconfig with a token of the pod's service account: the program may do what its own roles allow."""
    namespace, account = pod["metadata"]["namespace"], pod["spec"].get("serviceAccountName", "default")
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": DAY_SECONDS},
    }
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    token = Client(kubeconfig).request("POST", path, request)["status"]["token"]
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    return write_private(directory / "kubeconfig", yaml.safe_dump(config))
