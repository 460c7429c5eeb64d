# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds folders of a repository with Flux's own code: what our reading of them is compared with."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.binaries import binary


@dataclass(frozen=True)
class Order:
    """A folder of a repository and the spec of the Flux Kustomization that builds it."""

    root: Path
    folder: str
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Built:
    """The objects, or why there are none."""

    objects: list[dict[str, Any]]
    error: str = ""


def built(orders: Iterable[Order]) -> list[Built]:
    """What Flux makes of each. It works on copies: it writes into the folders."""
    with tempfile.TemporaryDirectory(prefix="fluxbuild") as scratch:
        lines = []
        for number, order in enumerate(orders):
            root = Path(scratch) / str(number)
            shutil.copytree(order.root, root, symlinks=True)
            described = {"metadata": {"name": "x", "namespace": "flux-system"}, "spec": dict(order.spec)}
            lines.append(json.dumps({"root": str(root), "folder": order.folder, "kustomization": described}))
        done = subprocess.run(
            [binary("fluxbuild")], input="\n".join(lines), capture_output=True, text=True, check=True, timeout=60
        )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return [Built(answer["objects"] or [], answer.get("error", "")) for answer in answers]
