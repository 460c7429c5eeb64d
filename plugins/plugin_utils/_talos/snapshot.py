# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of etcd in a folder of the user's: each a private file, there whole or not at all.

A snapshot has every Secret of the cluster, encrypted by the secretbox key alone. Private: other collections must not
import it.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import own_file
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import duration
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import PASSING, Nodes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import TalosctlError

DIGEST_BYTES = 32
PAGE_BYTES = 512  # the smallest unit of etcd's database; etcdutl tells by it whether a digest was appended
STAMP = "%Y%m%dT%H%M%SZ"
# As long as talosctl has not checked it, and of a run that was killed, it is no snapshot.
DRAFT = ".unchecked"


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that was checked."""

    path: Path
    taken: datetime.datetime
    size: int  # bytes

    def text(self, now: datetime.datetime) -> str:
        age = duration(max(0.0, (now - self.taken).total_seconds()))
        return f"{self.path}, {self.size / 1024 / 1024:.1f} MiB, {age} old"

    @property
    def taken_text(self) -> str:
        return f"a snapshot of etcd: {self.path}, {self.size} bytes"


def newest(directory: Path, cluster: str) -> Snapshot | None:
    """The newest snapshot of a cluster, by the time in its name."""
    pattern = re.compile(rf"etcd-{re.escape(cluster)}-(\d{{8}}T\d{{6}}Z)\.snapshot")
    try:
        found = {match[1]: path for path in directory.iterdir() if (match := pattern.fullmatch(path.name))}
        if not found:
            return None
        stamp, path = max(found.items())
        size = path.stat().st_size
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BootstrapError(f"{directory} cannot be read ({error.strerror}). Change its owner or its mode.") from None
    return Snapshot(path, datetime.datetime.strptime(stamp, STAMP).replace(tzinfo=datetime.UTC), size)


def unusable(path: Path) -> str:
    """Why a file is no whole snapshot of etcd, if it is none: behind its pages stands the digest of them."""
    try:
        with path.open("rb") as file:
            rest = path.stat().st_size - DIGEST_BYTES
            if rest <= 0 or rest % PAGE_BYTES:
                return "it is none, or not all of it"
            digest = hashlib.sha256()
            while rest:
                part = file.read(min(rest, 1 << 20))
                digest.update(part)
                rest -= len(part)
            return "" if file.read() == digest.digest() else "its digest is not that of its content"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


def require_snapshot(path: Path, cluster: str = "") -> None:
    """Raise for a file from which etcd cannot be made, and for one that is another cluster's by its name."""
    why = unusable(path)
    named = re.fullmatch(r"etcd-(.+)-\d{8}T\d{6}Z\.snapshot", path.name)
    if cluster and named and named[1] != cluster:
        why = f"it is of cluster {named[1]}, and this is {cluster}"
    if why:
        raise BootstrapError(
            f"{path}: {why}. Nothing was changed. Name a snapshot of etcd, as backup.yml takes it.", code="no_snapshot"
        )


def take(
    nodes: Nodes, control_planes: Sequence[Node], directory: Path, cluster: str, anchor: str, seconds: float
) -> Snapshot:
    """A new snapshot, from the first control plane that gives one. talosctl checks it before it gets its name."""
    own_file("directory", str(directory / "snapshot"), anchor)
    taken = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    path = directory / f"etcd-{cluster}-{taken.strftime(STAMP)}.snapshot"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        drafts = re.compile(rf"\.etcd-{re.escape(cluster)}-\d{{8}}T\d{{6}}Z\.snapshot{re.escape(DRAFT)}(\.part)?")
        for left in directory.iterdir():
            if drafts.fullmatch(left.name):  # another cluster's may be at work
                left.unlink(missing_ok=True)
    except OSError as error:
        raise BootstrapError(f"{directory} cannot be written ({error.strerror}). Name another folder.") from None
    draft = directory / f".{path.name}{DRAFT}"
    reasons = []
    for node in control_planes:
        try:
            nodes.call(node, "etcd", "snapshot", str(draft), timeout=seconds)
        except TalosctlError as error:
            draft.unlink(missing_ok=True)
            if error.failure not in PASSING:
                raise
            reasons.append(str(error))
            continue
        draft.chmod(0o600)
        size = draft.stat().st_size
        draft.replace(path)
        return Snapshot(path, taken, size)
    raise BootstrapError(
        f"No control plane gave a snapshot of etcd into {directory}. {' '.join(reasons)} Does etcd have its quorum, "
        "and is there room in that folder?"
    )
