# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Image Factory's disk image on the nodes' storages: named by what it is, and downloaded by the node itself, once.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.together import together
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.checks import refuse
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import ProxmoxClient, ProxmoxError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.cluster import Cluster
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.tasks import Tasks
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.image import Image


@dataclass(frozen=True)
class Placed:
    """The image on one node."""

    node: str
    volid: str
    changed: bool


class ImageStore:
    """Finds the image on the nodes' storages, and has it downloaded where it lacks."""

    def __init__(
        self, client: ProxmoxClient, tasks: Tasks, image: Image, storage: str, progress: Callable[[str], None]
    ) -> None:
        self._client = client
        self._progress = progress
        self._tasks = tasks
        self._image = image
        self._storage = storage

    def ensure(self, nodes: Sequence[str], *, check_mode: bool) -> list[Placed]:
        """Place the image on every node, after all of them were checked."""
        cluster = Cluster.read(self._client.get("cluster/resources"))
        wanted = list(dict.fromkeys(nodes))
        found = [
            cluster.node_problem(node) or cluster.storage_problem(node, self._storage, "import") for node in wanted
        ]
        refuse([problem for problem in found if problem is not None])
        shared = any(cluster.storages[node, self._storage].shared for node in wanted)

        def place(node: str) -> Placed:
            lacks = not self._has(node)
            if lacks and not check_mode:
                online = [name for name, is_online in cluster.nodes.items() if is_online and name != node]
                self._fetch(node, online if shared else [])
            return Placed(node, self._image.volid(self._storage), lacks)

        if not shared:
            return together(place, wanted)
        first = place(wanted[0])  # what lies on a shared storage, lies there for all of them
        return [first, *(replace(first, node=node, changed=False) for node in wanted[1:])]

    def _has(self, node: str) -> bool:
        rows = self._client.get(f"nodes/{node}/storage/{self._storage}/content", content="import")
        return any(row.get("volid") == self._image.volid(self._storage) for row in rows)

    def _fetch(self, node: str, others: Sequence[str]) -> None:
        """Let the node download the image, unless another run has begun that here or on C(others), and succeeds."""
        what = f"image {self._image.filename} on node {node}"
        if self._awaited(what, [node, *others]) and self._has(node):
            return
        try:
            self._tasks.run(
                what, lambda: self._client.post(f"nodes/{node}/storage/{self._storage}/download-url", **self._request())
            )
        except ProxmoxError:
            self._awaited(what, [node, *others])
            if not self._has(node):  # it came meanwhile, from another run
                raise

    def _awaited(self, what: str, nodes: Sequence[str]) -> bool:
        """Wait for every download of the image that runs already; whether there was one."""
        waited = False
        while running := [
            upid
            for node in nodes
            for upid in self._tasks.active(node, typefilter="download")
            if upid.subject == self._image.filename
        ]:
            waited = True
            for upid in running:
                self._progress(f"{what}: waiting for its download, which runs already on node {upid.node}")
                try:
                    self._tasks.wait(what, upid)
                except ProxmoxError as error:
                    self._progress(str(error))  # whether the image is there is what counts
        return waited

    def _request(self) -> dict[str, t.Any]:
        return {"content": "import", "filename": self._image.filename, "url": self._image.url}
