# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Helm has stored of a release, and the CRDs in a manifest. Pure.

Of what is stored only names, versions and annotations are kept: the values of a release may hold secrets.
Private: other collections must not import it.
"""

from __future__ import annotations

import base64
import binascii
import json
import typing as t
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml, documents

POLICY: t.Final = "helm.sh/resource-policy"
OWNER: t.Final = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"

_CRD: t.Final = "CustomResourceDefinition"
_MOST: t.Final = 128 << 20  # bytes of a release that is unpacked; a Secret has one MiB
_GZIP: t.Final = 31  # zlib's number for it
_MAGIC: t.Final = b"\x1f\x8b\x08"


class Unreadable(Exception):
    """The text says why, and quotes nothing."""


@dataclass(frozen=True)
class Crd:
    """A CRD as a manifest or a cluster has it. C(owner) is the release that made it, as C(namespace/name)."""

    name: str
    keep: bool
    owner: str = ""
    managers: tuple[str, ...] = ()
    uid: str = ""

    @property
    def plural(self) -> str:
        return self.name.partition(".")[0]

    @property
    def group(self) -> str:
        return self.name.partition(".")[2]

    @classmethod
    def of(cls, document: Mapping[str, t.Any]) -> Crd:
        """A CRD of its document, or of its metadata alone."""
        metadata = document.get("metadata") or {}
        annotations = metadata.get("annotations") or {}
        name, namespace = (str(annotations.get(key) or "") for key in OWNER)
        managers = dict.fromkeys(str(each.get("manager")) for each in metadata.get("managedFields") or [])
        return cls(
            str(metadata.get("name") or ""),
            annotations.get(POLICY) == "keep",
            f"{namespace}/{name}" if name else "",
            tuple(managers),
            str(metadata.get("uid") or ""),
        )


@dataclass(frozen=True)
class Release:
    """A revision of a release. C(crds) are those of its templates, by name: Helm deletes no others."""

    namespace: str
    name: str
    revision: int
    status: str
    chart: str
    version: str
    crds: Mapping[str, Crd]

    @property
    def label(self) -> str:
        return f"{self.namespace}/{self.name}"


def release_of(data: str) -> Release:
    """The release in a Secret of Helm's storage, of which C(data) is what the API gives of its key C(release)."""
    try:
        packed = base64.b64decode(base64.b64decode(data, validate=True), validate=True)
        unpacked = _unpacked(packed) if packed.startswith(_MAGIC) else packed
        found = json.loads(unpacked)
        chart = found["chart"]["metadata"]
        return Release(
            namespace=str(found["namespace"]),
            name=str(found["name"]),
            revision=int(found["version"]),
            status=str(found["info"]["status"]),
            chart=str(chart["name"]),
            version=str(chart["version"]),
            crds=crds_of(str(found["manifest"]).encode()),
        )
    except Unreadable:
        raise
    except (binascii.Error, zlib.error, ValueError, TypeError, KeyError):
        raise Unreadable("it is not what Helm stores") from None


def crds_of(manifest: bytes) -> dict[str, Crd]:
    """The CRDs of a manifest with many documents, by name."""
    try:
        found = [each for each in documents(manifest) if each is not None]
    except NotYaml as error:
        raise Unreadable(f"its manifest is not YAML ({error})") from None
    if not found or not all(isinstance(each, Mapping) and each.get("kind") for each in found):
        raise Unreadable("its manifest has no object, or something that is none")
    crds = [Crd.of(each) for each in found if each.get("kind") == _CRD]
    return {each.name: each for each in crds}


def _unpacked(packed: bytes) -> bytes:
    machine = zlib.decompressobj(wbits=_GZIP)
    unpacked = machine.decompress(packed, _MOST)
    if machine.unconsumed_tail or not machine.eof:
        raise Unreadable("it is longer than a release can be, or cut off")
    return unpacked
