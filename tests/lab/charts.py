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

from lab.tls import Authority
from lab.web import Request, Response, WebServer, text_response


class ChartRepository(WebServer):
    """Serves C(index.yaml) and the archives of what was added."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(authority, "charts")
        self._archives: dict[str, bytes] = {}
        self._entries: dict[str, list[dict[str, Any]]] = {}

    def add(self, name: str, version: str, templates: Mapping[str, str], values: Mapping[str, Any]) -> None:
        """Pack a chart of these templates, by the names of their files, and list it."""
        about = {"apiVersion": "v2", "name": name, "version": version}
        files = {"Chart.yaml": yaml.safe_dump(about), "values.yaml": yaml.safe_dump(dict(values))}
        files |= {f"templates/{file}": text for file, text in templates.items()}
        archive, file = _packed(name, files), f"{name}-{version}.tgz"
        self._archives[f"/{file}"] = archive
        entry = {
            **about,
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


def _packed(name: str, files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for file, text in files.items():
            member = tarfile.TarInfo(f"{name}/{file}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue())
