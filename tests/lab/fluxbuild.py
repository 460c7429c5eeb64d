# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches and builds folders of a repository with Flux's own code: what our reading of them is compared with."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.binaries import binary


@dataclass(frozen=True)
class Order:
    """A folder of a repository, the spec of the Flux Kustomization that builds it, and what its source ignores."""

    root: Path
    folder: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    ignore: str = ""


@dataclass(frozen=True)
class Built:
    """The objects, or why there are none, and the files that were fetched."""

    objects: list[dict[str, Any]]
    error: str
    files: set[str]


def built(orders: Iterable[Order]) -> list[Built]:
    """What Flux makes of each."""
    lines = []
    for order in orders:
        described = {"metadata": {"name": "x", "namespace": "flux-system"}, "spec": dict(order.spec)}
        asked = {"root": str(order.root), "ignore": order.ignore, "folder": order.folder, "kustomization": described}
        lines.append(json.dumps(asked))
    with tempfile.TemporaryDirectory(prefix="fluxbuild") as scratch:
        done = subprocess.run(
            [binary("fluxbuild")],
            input="\n".join(lines),
            env={**os.environ, "TMPDIR": scratch},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return [Built(each["objects"] or [], each.get("error", ""), set(each["files"])) for each in answers]
