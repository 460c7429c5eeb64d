# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of programs that the lab need not run, from their modules: what is served once they are installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.binaries import fetched
from lab.kubeclient import Object


@dataclass(frozen=True)
class Kinds:
    """A release of a module that has custom resource definitions, and in which of its files."""

    module: str
    version: str
    checksum: str
    files: str

    def directory(self) -> Path:
        return fetched(self.module, self.version, self.checksum)

    def crds(self) -> Iterator[Object]:
        for path in sorted(self.directory().glob(self.files)):
            yield from (each for each in yaml.safe_load_all(path.read_text()) if each)


_ESO = "github.com/external-secrets/external-secrets"
_ESO_FILES = "config/crds/bases/external-secrets.io_*.yaml"
HELM = Kinds(
    "github.com/fluxcd/helm-controller",
    "v1.4.3",
    "h1:449LcGJXLCylvrNCq8ycevwa5mxE1Mn9vxTwlsj/no8=",
    "config/crd/bases/*.yaml",
)
ESO = Kinds(_ESO, "v0.10.3", "h1:K+yoD4cRs3o/oeNWPODVlRwKi9mPO7+a4a0I3dE62IE=", _ESO_FILES)
ESO_BOTH = Kinds(_ESO, "v0.16.2", "h1:iNY+gIgSyL5higXTfnz+hdPCaiB/43UiHLqE7HBpj68=", _ESO_FILES)
VSO = Kinds(
    "github.com/hashicorp/vault-secrets-operator",
    "v0.10.0",
    "h1:BjOTBJRqx1SLo7NeyqNJWRPDyfRscbqPtGU1U2LzArg=",
    "chart/crds/*.yaml",
)
