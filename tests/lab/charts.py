# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository of Helm charts over HTTPS, of charts that the tests pack."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import yaml

from lab.kinds import ESO
from lab.tls import Authority
from lab.web import Request, Response, WebServer, text_response

_OPTIONAL = ("ClusterExternalSecret", "ClusterSecretStore", "PushSecret")  # the kinds that a value leaves out
_ANNOTATIONS = "    {{- with .Values.crds.annotations }}\n    {{- toYaml . | nindent 4 }}\n    {{- end }}\n"


class ChartRepository(WebServer):
    """Serves C(index.yaml) and the archives of what was added."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(authority, "charts")
        self._archives: dict[str, bytes] = {}
        self._entries: dict[str, list[dict[str, Any]]] = {}

    def add(self, name: str, version: str, templates: Mapping[str, str], values: Mapping[str, Any]) -> None:
        """Pack a chart of these templates, by the names of their files, and list it."""
        archive, file = packed(name, version, templates, values), f"{name}-{version}.tgz"
        self._archives[f"/{file}"] = archive
        entry = {
            **_about(name, version),
            "urls": [file],
            "digest": hashlib.sha256(archive).hexdigest(),
            "created": datetime.now(UTC).isoformat(),
        }
        self._entries.setdefault(name, []).append(entry)

    def answer(self, request: Request) -> Response:
        if request.path == "/index.yaml":
            return text_response(200, yaml.safe_dump({"apiVersion": "v1", "entries": self._entries}))
        archive = self._archives.get(request.path)
        return text_response(404, "no such chart") if archive is None else Response(200, archive)


def external_secrets() -> dict[str, str]:
    """The templates of ESO's own chart. Those of its CRDs are made of them as its makers do when they pack it."""
    source = ESO.directory()
    folder = source / "deploy/charts/external-secrets/templates"
    templates = {path.name: path.read_text() for pattern in ("*.yaml", "*.tpl") for path in folder.glob(pattern)}
    for path in source.glob("config/crds/bases/*.io_*.yaml"):
        text = path.read_text().removeprefix("---\n")
        kind = yaml.safe_load(text)["spec"]["names"]["kind"]
        asked = f"and .Values.installCRDs .Values.crds.create{kind}" if kind in _OPTIONAL else ".Values.installCRDs"
        text = text.replace("  annotations:\n", f"  annotations:\n{_ANNOTATIONS}", 1)
        templates[f"crds/{kind.lower()}.yaml"] = f"{{{{- if {asked} }}}}\n{text}{{{{- end }}}}\n"
    return templates


def external_secrets_values() -> dict[str, Any]:
    """What ESO's chart says where its user says nothing."""
    loaded: dict[str, Any] = yaml.safe_load(
        (ESO.directory() / "deploy/charts/external-secrets/values.yaml").read_text()
    )
    return loaded


def packed(name: str, version: str, templates: Mapping[str, str], values: Mapping[str, Any]) -> bytes:
    """The archive of a chart."""
    files = {"Chart.yaml": yaml.safe_dump(_about(name, version)), "values.yaml": yaml.safe_dump(dict(values))}
    files |= {f"templates/{file}": text for file, text in templates.items()}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for file, text in files.items():
            member = tarfile.TarInfo(f"{name}/{file}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(made.getvalue())


def _about(name: str, version: str) -> dict[str, str]:
    return {"apiVersion": "v2", "name": name, "version": version, "appVersion": f"v{version}"}
