# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to stand in Vault before a narrow token can be issued: the mount, the policies and the token roles. Private.

Everything is looked at first, then every permission is checked, and only then something is changed.
"""

from __future__ import annotations

import time
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import Need, refuse_lacking

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

EQUAL: t.Final = "equal"
NEW: t.Final = "new"
CHANGED: t.Final = "changed"
DRIFT: t.Final = "drift"
# Of what is somebody else's.
MISSING: t.Final = "missing"
UNREADABLE: t.Final = "not readable"

READ: t.Final = frozenset({"read"})


@dataclass(frozen=True)
class Finding:
    """How one thing in Vault is, compared with how it should be. C(before) and C(after) hold no secret.

    C(warning) says what else a change does that nobody may overlook.
    """

    kind: str
    name: str
    state: str
    before: str = ""
    after: str = ""
    note: str = ""
    warning: str = ""

    @property
    def changes(self) -> bool:
        return self.state in (NEW, CHANGED)

    def as_dict(self) -> dict[str, str]:
        return {"kind": self.kind, "name": self.name, "state": self.state, "note": self.note}


class Part(t.Protocol):
    """One thing in Vault that has to stand."""

    kind: t.ClassVar[str]
    looks: t.ClassVar[frozenset[str]]  # what looking at it asks for
    rests_on: t.ClassVar[str]  # the kind of which nothing may be somebody else's where it is written

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def path(self) -> str:
        """Where it is read."""

    def judge(self, found: Mapping[str, t.Any] | None) -> Finding:
        """Compare what is there."""

    def needs(self, finding: Finding) -> Iterable[Need]:
        """What changing it asks for."""

    def apply(self, vault: VaultAdmin) -> None:
        """Change it."""


@dataclass(frozen=True)
class Mount:
    """The secrets engine of KV version 2. It is made when it is missing, and never migrated."""

    name: str
    migrating: str  # the command for its owner
    kind: t.ClassVar[str] = "mount"
    looks: t.ClassVar[frozenset[str]] = READ
    rests_on: t.ClassVar[str] = ""

    @property
    def path(self) -> str:
        return "sys/mounts"

    def judge(self, found: Mapping[str, t.Any] | None) -> Finding:
        mount = (found or {}).get(f"{self.name}/")
        if mount is None:
            return Finding(self.kind, self.name, NEW, after="secrets engine kv, version 2\n")
        options = mount.get("options")
        version = str((options if isinstance(options, Mapping) else {}).get("version") or "1")
        if mount.get("type") != "kv":
            raise BootstrapError(
                f"mount_point: {self.name}/ is there already and holds something else than a KV secrets engine. Choose "
                "another mount_point."
            )
        if version != "2":
            raise BootstrapError(
                f"mount_point: {self.name}/ is a KV secrets engine of version {version}, not 2. It is never migrated "
                "silently, since its paths change for everybody who reads it. Choose another mount_point, or migrate "
                f"it yourself:\n  {self.migrating}"
            )
        return Finding(self.kind, self.name, EQUAL)

    def needs(self, finding: Finding) -> Iterable[Need]:
        if finding.changes:
            yield Need(f"sys/mounts/{self.name}", frozenset({"update"}), "make the KV version 2 mount")

    def apply(self, vault: VaultAdmin) -> None:
        body = {
            "type": "kv",
            "options": {"version": "2"},
            "description": "Secrets of tazlab.bootstrap and its clusters",
        }
        vault.write(f"sys/mounts/{self.name}", body, f"Making the mount {self.name}/")
        _until_ready(vault)


def _until_ready(vault: VaultAdmin) -> None:
    """A new mount of KV version 2 prepares itself for a moment, and refuses everything meanwhile."""
    while True:
        try:
            vault.bundle("Waiting for the new mount")
        except BootstrapError:
            if vault.seconds_left < 1:
                raise
            time.sleep(0.1)
        else:
            return


@dataclass(frozen=True)
class Policy:
    """An ACL policy. One that is there with other rules is its owner's: it is replaced only if C(update) says so."""

    name: str
    rules: str
    update: bool = False
    kind: t.ClassVar[str] = "policy"
    looks: t.ClassVar[frozenset[str]] = READ
    rests_on: t.ClassVar[str] = ""

    @property
    def path(self) -> str:
        return f"sys/policies/acl/{self.name}"

    def judge(self, found: Mapping[str, t.Any] | None) -> Finding:
        after = _lines(self.rules)
        if found is None:
            return Finding(self.kind, self.name, NEW, after=after)
        before = _lines(str(found.get("policy") or ""))
        ours, theirs = _rules(after), _rules(before)
        if ours == theirs:
            return Finding(self.kind, self.name, EQUAL)
        note = "; ".join(
            f"{verb} {' '.join(lines)}"
            for verb, lines in (
                ("it also has", [line for line in theirs if line not in ours]),
                ("it lacks", [line for line in ours if line not in theirs]),
            )
            if lines
        )
        return Finding(
            self.kind, self.name, CHANGED if self.update else DRIFT, before, after, note or "its rules differ"
        )

    def needs(self, finding: Finding) -> Iterable[Need]:
        if finding.changes:
            yield Need(self.path, frozenset({"update"}), f"write the policy {self.name}")

    def apply(self, vault: VaultAdmin) -> None:
        vault.write(self.path, {"policy": self.rules}, f"Writing the policy {self.name}")


def _lines(rules: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in rules.strip().splitlines())


def _rules(rules: str) -> list[str]:
    """The lines that say something, however they are spaced."""
    lines = (" ".join(line.split()) for line in rules.splitlines())
    return [line for line in lines if line and not line.startswith(("#", "//"))]


@dataclass(frozen=True)
class TokenRole:
    """What a token issued through it is: periodic, without parent and default policy, with these policies alone."""

    name: str
    policies: tuple[str, ...]
    period: int
    update: bool = False
    kind: t.ClassVar[str] = "token role"
    looks: t.ClassVar[frozenset[str]] = READ
    rests_on: t.ClassVar[str] = ""

    @property
    def path(self) -> str:
        return f"auth/token/roles/{self.name}"

    @property
    def settings(self) -> dict[str, t.Any]:
        return {
            "allowed_policies": list(self.policies),
            "allowed_policies_glob": [],
            "disallowed_policies": [],
            "disallowed_policies_glob": [],
            "orphan": True,
            "path_suffix": "",
            "renewable": True,
            "token_bound_cidrs": [],
            "token_explicit_max_ttl": 0,
            "token_no_default_policy": True,
            "token_num_uses": 0,
            "token_period": self.period,
            "token_type": "service",
        }

    def judge(self, found: Mapping[str, t.Any] | None) -> Finding:
        return compared(self.kind, self.name, self.settings, found, self.update)

    def needs(self, finding: Finding) -> Iterable[Need]:
        if finding.changes:
            what = "create" if finding.state == NEW else "update"
            yield Need(self.path, frozenset({what}), f"write the token role {self.name}")

    def apply(self, vault: VaultAdmin) -> None:
        vault.write(self.path, self.settings, f"Writing the token role {self.name}")


def compared(
    kind: str, name: str, wanted: Mapping[str, t.Any], found: Mapping[str, t.Any] | None, update: bool
) -> Finding:
    """How settings are that are there, compared with those that are wanted. What else there is, is not ours."""
    if found is None:
        return Finding(kind, name, NEW, after=_settings(wanted, wanted))
    differing = [key for key, value in wanted.items() if _differs(value, found.get(key))]
    if not differing:
        return Finding(kind, name, EQUAL)
    note = ", ".join(f"{key} is {found.get(key)!r} instead of {wanted[key]!r}" for key in differing)
    return Finding(
        kind, name, CHANGED if update else DRIFT, _settings(found, differing), _settings(wanted, differing), note
    )


def _settings(settings: Mapping[str, t.Any], names: Iterable[str]) -> str:
    return "".join(f"{name}: {settings.get(name)}\n" for name in names)


def _differs(wanted: t.Any, found: t.Any) -> bool:
    """Servers leave out, or give as null, what is empty; the order of policies means nothing."""
    if not wanted and not found:
        return False
    if isinstance(wanted, list) and isinstance(found, list):
        return sorted(wanted) != sorted(map(str, found))
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return any(_differs(wanted.get(key), found.get(key)) for key in {*wanted, *found})
    return bool(wanted != found)


@dataclass(frozen=True)
class Bundle:
    """That a later task writes the bundle: over a deleted newest version only if C(over) is its number."""

    over: int | None = None


def ensure(
    vault: VaultAdmin, parts: Sequence[Part], needs: Sequence[Need], check_mode: bool, bundle: Bundle | None = None
) -> list[Finding]:
    """Look at everything, refuse when a permission is missing anywhere, then change what is not as it should be."""
    reads = [Need(part.path, part.looks, f"look at the {part.kind}") for part in parts]
    possible = [need for part in parts for need in part.needs(Finding(part.kind, "", NEW))]
    granted = vault.capabilities(need.path for need in (*reads, *possible, *needs))
    findings = _held(parts, [_judged(vault, part, granted) for part in parts])
    wanted = [need for part, finding in zip(parts, findings, strict=True) for need in part.needs(finding)]
    refuse_lacking([*reads, *wanted, *needs], granted, vault.settings.token_source)
    if bundle is not None:
        vault.bundle("Looking at the bundle, which will be written", over=bundle.over)
    if not check_mode:
        for part, finding in zip(parts, findings, strict=True):
            if finding.changes:
                part.apply(vault)
    return findings


def _held(parts: Sequence[Part], findings: Sequence[Finding]) -> list[Finding]:
    """Nothing is written that rests on what is somebody else's, and is left to them."""
    others = {finding.kind for finding in findings if finding.state == DRIFT}
    return [
        replace(finding, state=DRIFT, note=f"it is not written, as the {part.rests_on} is somebody else's")
        if finding.changes and part.rests_on in others
        else finding
        for part, finding in zip(parts, findings, strict=True)
    ]


def verify(vault: VaultAdmin, parts: Sequence[Part]) -> list[Finding]:
    """Look at what is somebody else's, as far as that is allowed. Nothing is changed."""
    granted = vault.capabilities(part.path for part in parts)
    findings = []
    for part in parts:
        if _closed(part, granted):
            note = f"{', '.join(sorted(part.looks))} on {part.path} is not granted"
            findings.append(Finding(part.kind, part.name, UNREADABLE, note=note))
            continue
        found = looked_at(vault, part)
        findings.append(replace(found, state={EQUAL: EQUAL, NEW: MISSING}.get(found.state, DRIFT)))
    return findings


def _judged(vault: VaultAdmin, part: Part, granted: Mapping[str, frozenset[str]]) -> Finding:
    """What may not be read is taken for missing: the permissions for making it are then reported as well."""
    return part.judge(None) if _closed(part, granted) else looked_at(vault, part)


def _closed(part: Part, granted: Mapping[str, frozenset[str]]) -> bool:
    return not part.looks <= granted[part.path] and "root" not in granted[part.path]


def looked_at(vault: VaultAdmin, part: Part) -> Finding:
    return part.judge(vault.read(part.path, f"Looking at the {part.kind}"))
