# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Secret that Flux delivers, as it is declared once: where its values are in Vault, and who uses it. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

ESO, VSO = "eso", "vso"
PROPERTY: t.Final = "value"  # of a secret in Vault that holds one value
REFRESH: t.Final = "1h"


@dataclass(frozen=True)
class Value:
    """A property of a secret in Vault's key-value store. The path is without its mount."""

    path: str
    property: str = PROPERTY

    def declared(self) -> str | dict[str, str]:
        return self.path if self.property == PROPERTY else {"path": self.path, "property": self.property}


@dataclass(frozen=True)
class Key:
    """A key of the Secret: one value, or a template over several, by the names that it has for them."""

    values: Mapping[str, Value]
    template: str = ""

    @classmethod
    def plain(cls, value: Value) -> Key:
        return cls({"": value})

    def declared(self) -> t.Any:
        if not self.template:
            (value,) = self.values.values()
            return value.declared()
        return {"template": self.template, "values": {name: each.declared() for name, each in self.values.items()}}


@dataclass(frozen=True)
class Consumer:
    """A workload in the Secret's namespace that is restarted when it changes.

    C(helm_release) is the HelmRelease whose chart makes it; without one the repository has its manifest.
    """

    kind: str
    name: str = ""
    helm_release: str = ""

    def declared(self) -> dict[str, str]:
        found = {"kind": self.kind, "name": self.name, "helm_release": self.helm_release}
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True)
class Declared:
    """One Secret. C(all_of): the paths of which each property becomes a key. C(through): the store of ESO, or the
    VaultAuth of VSO, by which it is read; nothing is the default one. C(file): where it shall be declared to Flux."""

    name: str
    namespace: str
    writer: str = ""
    keys: Mapping[str, Key] = field(default_factory=dict)
    all_of: tuple[str, ...] = ()
    type: str = "Opaque"
    refresh: str = REFRESH
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    create_only: bool = False
    consumers: tuple[Consumer, ...] = ()
    through: str = ""
    file: str = ""

    @property
    def label(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path in Vault that feeds it."""
        found = [value.path for key in self.keys.values() for value in key.values.values()]
        return tuple(dict.fromkeys([*found, *self.all_of]))

    def declared(self) -> dict[str, t.Any]:
        """The declaration as an inventory has it, without what is as by default."""
        always = {"name": self.name, "namespace": self.namespace, "writer": self.writer}
        more: dict[str, t.Any] = {
            "type": self.type if self.type != "Opaque" else "",
            "keys": {name: key.declared() for name, key in self.keys.items()},
            "all_of": list(self.all_of),
            "consumers": [each.declared() for each in self.consumers],
            "refresh": self.refresh if self.refresh != REFRESH and not self.create_only else "",
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "create_only": self.create_only,
            "through": self.through,
            "file": self.file,
        }
        return {**always, **{name: value for name, value in more.items() if value}}
