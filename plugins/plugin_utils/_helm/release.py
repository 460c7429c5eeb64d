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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml, documents

POLICY: t.Final = "helm.sh/resource-policy"
HOOK: t.Final = "helm.sh/hook"
OWNER: t.Final = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"

_CRD: t.Final = "CustomResourceDefinition"
_MOST: t.Final = 128 << 20  # bytes of a release that is unpacked; a Secret has one MiB
_GZIP: t.Final = 31  # zlib's number for it
_MAGIC: t.Final = b"\x1f\x8b\x08"


class Unreadable(Exception):
    """The text says why, and quotes nothing."""


@dataclass(frozen=True)
class Crd:
    """A CRD as a manifest or a cluster has it. C(owner) is the release that made it, as C(namespace/name).

    C(keep) and C(hook) are what Helm goes by: within a list, what the list says of itself.
    """

    name: str
    keep: bool
    owner: str = ""
    managers: tuple[str, ...] = ()
    uid: str = ""
    hook: bool = False

    @property
    def group(self) -> str:
        return self.name.partition(".")[2]

    @classmethod
    def of(cls, document: Mapping[str, t.Any]) -> Crd:
        """A CRD of its document, or of its metadata alone."""
        metadata = _mapping(document, "metadata")
        annotations = _annotations(document)
        called = metadata.get("name")
        managers = metadata.get("managedFields") or []
        if not isinstance(called, str) or not called:
            raise Unreadable("a CRD in it has a name that is no text")
        if not isinstance(managers, list) or not all(isinstance(each, Mapping) for each in managers):
            raise Unreadable("a CRD in it has managedFields that are none")
        name, namespace = (str(annotations.get(key) or "") for key in OWNER)
        return cls(
            called,
            annotations.get(POLICY) == "keep",
            f"{namespace}/{name}" if name else "",
            tuple(dict.fromkeys(str(each.get("manager")) for each in managers)),
            str(metadata.get("uid") or ""),
            HOOK in annotations,
        )


@dataclass(frozen=True)
class Release:
    """A revision of a release. C(crds) are those of its templates, hooks included, by name: Helm deletes no others."""

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
        manifests = [found["manifest"], *(each["manifest"] for each in found.get("hooks") or ())]
        return Release(
            namespace=str(found["namespace"]),
            name=str(found["name"]),
            revision=int(found["version"]),
            status=str(found["info"]["status"]),
            chart=str(chart["name"]),
            version=str(chart["version"]),
            crds=crds_of("\n---\n".join(map(str, manifests)).encode()),
        )
    except Unreadable:
        raise
    except (binascii.Error, zlib.error, ValueError, TypeError, KeyError):
        raise Unreadable("it is not what Helm stores") from None


def crds_of(manifest: bytes, *, applied: bool = False) -> dict[str, Crd]:
    """The CRDs of a manifest with many documents, by name.

    One within a list must say keep itself as well where the manifest will be C(applied): the cluster has no list.
    """
    try:
        found = [each for each in documents(manifest) if each is not None]
    except NotYaml as error:
        raise Unreadable(f"its manifest is not YAML ({error})") from None
    if not found or not all(isinstance(each, Mapping) and each.get("kind") for each in found):
        raise Unreadable("its manifest has no object, or something that is none")
    crds: dict[str, Crd] = {}
    for document in found:
        head = _annotations(document)
        keep, hook = head.get(POLICY) == "keep", HOOK in head
        for crd in map(Crd.of, _within(document)):
            crds[crd.name] = replace(crd, keep=keep and (crd.keep or not applied), hook=hook)
    return crds


def _within(document: Mapping[str, t.Any]) -> Iterator[Mapping[str, t.Any]]:
    """The CRD that a document is, or those of its list."""
    kind = str(document["kind"])
    if kind == _CRD:
        yield document
    elif kind.endswith("List"):
        items = document.get("items") or []
        if not isinstance(items, list) or not all(isinstance(each, Mapping) for each in items):
            raise Unreadable("its manifest has a list of something that is none")
        for each in items:
            yield from _within({**each, "kind": each.get("kind") or kind.removesuffix("List")})


def _annotations(document: Mapping[str, t.Any]) -> Mapping[str, t.Any]:
    return _mapping(_mapping(document, "metadata"), "annotations")


def _mapping(parent: Mapping[str, t.Any], key: str) -> Mapping[str, t.Any]:
    found = parent.get(key) or {}
    if not isinstance(found, Mapping):
        raise Unreadable(f"an object in it has {key} that are no mapping")
    return found


def _unpacked(packed: bytes) -> bytes:
    machine = zlib.decompressobj(wbits=_GZIP)
    unpacked = machine.decompress(packed, _MOST)
    if machine.unconsumed_tail or not machine.eof:
        raise Unreadable("it is longer than a release can be, or cut off")
    return unpacked
