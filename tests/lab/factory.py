# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""STAND-IN for Talos' Image Factory: it knows schematics and versions, and serves images that are only headers."""

from __future__ import annotations

import hashlib
import re
import struct
from typing import Any

import yaml

from lab.tls import Authority
from lab.web import Request, Response, WebServer, json_response, text_response

# The id of the schematic without any customisation, the same at every factory.
PLAIN_SCHEMATIC = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba"
VERSIONS = ("v1.11.5", "v1.12.0", "v1.12.5", "v1.12.6", "v1.13.0", "v1.13.8", "v1.13.9-beta.0", "v1.14.1")
DISK_SIZE = 1306 * 1024**2  # what a Talos disk image unpacks to, about
IMAGE_PATH = re.compile(r"/image/([^/]+)/([^/]+)/nocloud-amd64\.(qcow2|iso)")
INSTALLER_PATH = re.compile(r"/v2/nocloud-installer/([^/]+)/manifests/([^/]+)")
MARK = b"\nSTAND-IN for a Talos image: "


def image(schematic: str, version: str, kind: str) -> bytes:
    """A tiny file that begins as an image of its kind does, and says which image it stands for."""
    mark = MARK + f"{schematic} {version}\n".encode()
    if kind == "qcow2":
        header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 0, 0, 16, DISK_SIZE, 0, 0, 0, 0, 0, 0, 0)
        return header.ljust(104, b"\0") + mark
    return (b"\0" * 32768 + b"\x01CD001\x01").ljust(34816, b"\0") + mark


def identify(content: bytes) -> tuple[str, str] | None:
    """The schematic and version that a file from this stand-in stands for; None for anything else."""
    _, found, rest = content.partition(MARK)
    words = rest.split()
    return (words[0].decode(), words[1].decode()) if found and len(words) == 2 else None


class ImageFactory(WebServer):
    """Serves C{/image/<schematic>/<version>/nocloud-amd64.{qcow2,iso}}, C(/versions) and C(POST /schematics).

    As a registry it tells which installers there are, and has nothing behind their manifests.
    """

    def __init__(self, authority: Authority, *, host: str = "127.0.0.1") -> None:
        super().__init__(authority, "factory", host=host)
        self.schematics: dict[str, str] = {PLAIN_SCHEMATIC: "customization: {}\n"}
        self.versions = list(VERSIONS)
        self.closed_to = ""  # a client's name, which finds no installer here

    def downloads(self) -> list[str]:
        """The paths of the images that were really fetched, in order."""
        return [request.path for request in self.requests if request.method == "GET" and "/image/" in request.path]

    def installer(self, schematic: str, version: str) -> str:
        """The installer image that belongs to an image of this factory."""
        return f"{self.host}:{self.port}/nocloud-installer/{schematic}:{version}"

    def answer(self, request: Request) -> Response:
        if request.method == "POST" and request.path == "/schematics":
            return self._register(request.body)
        if request.method not in ("GET", "HEAD"):
            return text_response(405, "Method Not Allowed\n")
        if request.path == "/versions":
            return json_response(200, self.versions)
        if installer := INSTALLER_PATH.fullmatch(request.path):
            schematic, version = installer.groups()
            refused = bool(self.closed_to) and self.closed_to in (request.headers["User-Agent"] or "")
            there = schematic in self.schematics and version in self.versions and not refused
            return json_response(200, {}) if there else json_response(404, {"errors": [{"code": "MANIFEST_UNKNOWN"}]})
        found = IMAGE_PATH.fullmatch(request.path)
        if found is None:
            return text_response(404, "Not Found\n")
        schematic, version, kind = found.groups()
        if not re.fullmatch(r"[0-9a-f]{64}", schematic):
            return text_response(400, "invalid schematic ID\n")
        if schematic not in self.schematics:
            return text_response(404, "schematic not found\n")
        if version not in self.versions:
            return text_response(404, f"version {version} is not available\n")
        return Response(200, image(schematic, version, kind), {"Content-Type": "application/octet-stream"})

    def register(self, schematic: dict[str, Any]) -> str:
        """Know a schematic from now on. Returns its id."""
        text = yaml.safe_dump(schematic)
        identity = PLAIN_SCHEMATIC if schematic == {"customization": {}} else hashlib.sha256(text.encode()).hexdigest()
        self.schematics[identity] = text
        return identity

    def _register(self, body: bytes) -> Response:
        try:
            schematic = yaml.safe_load(body)
        except yaml.YAMLError:
            return text_response(400, "yaml: cannot unmarshal\n")
        if not isinstance(schematic, dict):
            return text_response(400, "yaml: cannot unmarshal\n")
        return json_response(201, {"id": self.register(schematic)})
