# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helm's own code on a release, as Terraform's provider calls it: a program made of Helm's library."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.binaries import binary
from lab.process import LabError


@dataclass(frozen=True)
class HelmRelease:
    """A release of a chart, which lies as an archive in C(chart)."""

    kubeconfig: Path
    namespace: str
    name: str
    chart: Path

    def install(self, values: Mapping[str, Any]) -> None:
        self._run("install", values)

    def upgrade(self, values: Mapping[str, Any]) -> None:
        self._run("upgrade", values)

    def template(self, values: Mapping[str, Any]) -> str:
        """What C(helm template) prints."""
        return self._run("template", values)

    def uninstall(self) -> None:
        self._run("uninstall", {})

    def _run(self, action: str, values: Mapping[str, Any]) -> str:
        order = {
            "action": action,
            "name": self.name,
            "namespace": self.namespace,
            "chart": str(self.chart),
            "values": dict(values),
        }
        own = {"KUBECONFIG": str(self.kubeconfig), "PATH": os.defpath, "HOME": str(self.chart.parent)}
        done = subprocess.run(
            [binary("helmrelease")],
            input=json.dumps(order),
            env=own,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise LabError(f"helm {action} {self.namespace}/{self.name}: {done.stderr.strip()[-2000:]}")
        return done.stdout
