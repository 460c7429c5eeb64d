# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of vault_bundle_publish: the anchor's values become a new version of the bundle."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.operator import OperatorAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field, declared_fields
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.keepers import Keeper, file_keeper
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import declared_providers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import (
    Found,
    Provenance,
    accept,
    refuse_invalid,
    resolve,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.consumers import FIXED_AT_BIRTH
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import take, vault_tool
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import BUNDLE_OPTIONS, PROVIDERS_OPTION
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings, expand
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_health import iso
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.gone import given_up, refuse_outdated
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.metadata import Metadata, plan_metadata
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import (
    OPERATOR_OPTIONS,
    Need,
    lacking,
    refuse_lacking,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import (
    FieldChange,
    Plan,
    StoredBundle,
    Updated,
    history,
    outdated,
    plan_absent,
    plan_present,
    update_bundle,
)

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

READ: t.Final = frozenset({"read"})


class ActionModule(OperatorAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **OPERATOR_OPTIONS,
        **BUNDLE_OPTIONS,
        **PROVIDERS_OPTION,
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "names": {"type": "list", "elements": "str"},
        "values": {"type": "dict", "no_log": True},
        "value_files": {"type": "dict"},
        "keep": {"type": "list", "elements": "str", "default": []},
        "over_deleted": {"type": "int"},
        "custom_metadata": {"type": "dict"},
        "custom_metadata_defaults": {"type": "dict"},
        "max_versions": {"type": "int"},
    }
    spec_rules: t.ClassVar[dict[str, t.Any]] = {
        "mutually_exclusive": [("values", "value_files"), ("values", "providers"), ("value_files", "providers")],
        "required_if": [("state", "absent", ("names",))],
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        fields = declared_fields(params["fields"])
        names = params["names"]
        if names is not None and not names:
            raise BootstrapError("names: names no field. Name the fields, or leave it out.")
        if params["max_versions"] is not None and params["max_versions"] < 1:
            raise BootstrapError("max_versions: must be at least 1. Leave it out to keep what Vault has.")
        if params["state"] == "absent":
            return self._published(params, fields, lambda _vault, stored: plan_absent(names or (), stored.data), {})
        chosen = _chosen(fields, names, params["values"] or params["value_files"])
        wanted = self._wanted(params, chosen)

        looked_at: dict[int, StoredBundle] = {}

        def decide(vault: VaultAdmin, stored: StoredBundle) -> Plan:
            plan = plan_present(chosen, wanted, stored.data, params["keep"], [known.name for known in fields])
            issued = params["keep"] if self.check_mode else ()  # what Vault would issue by now
            _refuse_missing([known for known in chosen if known.name not in issued], plan, params)
            unasked = names is None and not params["values"] and not params["value_files"]
            if unasked and plan.changed:
                doing = "Looking at the bundle's older versions"
                versions = history(vault, stored, looked_at, params["over_deleted"], doing)
                undone = outdated(chosen, plan, wanted, versions, vault.now)
                shown = {one.name for one in undone}
                keepers = self._keepers(params, [known for known in chosen if known.name in shown], wanted)
                refuse_outdated(undone, wanted, keepers, vault.settings)
            return plan

        elsewhere = chosen if params["values"] or params["value_files"] else []
        return self._published(params, fields, decide, self._keepers(params, elsewhere, {}))

    def _keepers(
        self, params: Mapping[str, t.Any], fields: Sequence[Field], found: Mapping[str, Found]
    ) -> dict[str, Keeper]:
        """Where the anchor's owner keeps each value: the file that it was read from, else where it is looked for."""
        keepers: dict[str, Keeper] = {}
        for known in fields:
            read = found[known.name].provenance if known.name in found else None
            if read is not None and read.source == "file":
                keepers[known.name] = file_keeper(read.place)
            else:
                keepers[known.name] = self.keeper(params, known.name, known.file_names)
        return keepers

    # ------------------------------------------------------------------------------------------------ values

    def _wanted(self, params: dict[str, t.Any], chosen: Sequence[Field]) -> dict[str, Found]:
        """The values to publish: those given, or those of the anchor."""
        for option, read in (("values", _given), ("value_files", _from_files)):
            if params[option]:
                raw, origins = read(params[option])
                known = accept(chosen, raw, origins)
                empty = [name for name in known.missing if name in raw]
                if empty:
                    raise BootstrapError(f"{option}: {', '.join(empty)}: the new value is empty. Nothing was changed.")
                refuse_invalid(known.invalid)
                return known.found
        providers = declared_providers(
            params["providers"] or [{"type": "file"}],
            fields=chosen,
            anchor=params["anchor"],
            environ=os.environ,
            home=Path.home(),
        )
        resolution = resolve(chosen, {}, providers)
        for provider in providers:
            gone = provider.missing_anchor()
            if gone and not resolution.found:
                raise BootstrapError(
                    f"anchor: {gone} is no directory that can be read, so there is nothing to publish."
                )
        refuse_invalid(resolution.invalid)
        for warning in resolution.warnings:
            self.progress(f"WARNING: {warning}")
        return resolution.found

    # -------------------------------------------------------------------------------------------- publishing

    def _published(
        self,
        params: dict[str, t.Any],
        fields: Sequence[Field],
        decide: t.Callable[[VaultAdmin, StoredBundle], Plan],
        keepers: Mapping[str, Keeper],
    ) -> dict[str, t.Any]:
        def work(vault: VaultAdmin) -> tuple[StoredBundle, Updated, Metadata, VaultSettings]:
            stored, metadata = self._checked(params, vault, decide)
            updated = update_bundle(
                vault,
                partial(decide, vault),
                check_mode=self.check_mode,
                stored=stored,
                over=params["over_deleted"],
            )
            if metadata.changed and not self.check_mode:
                found = metadata.before or vault.read(metadata.path, "Reading the bundle's metadata") or {}
                vault.write(metadata.path, metadata.body(found), "Writing the bundle's metadata")
            return stored, updated, metadata, vault.settings

        stored, updated, metadata, settings = self.as_operator(params, work, fields)
        lost = metadata.lost(updated.before + 1 if self.check_mode and updated.plan.changed else updated.after)
        # A run that is not in check mode may look with this task first; what is done is told when it is done.
        looks = self.check_mode and not self._templar.available_variables.get("ansible_check_mode", True)
        if not looks:
            self._report(params, stored, updated, metadata, lost)
        notes = _taking(keepers, updated, settings) if not self.check_mode else []
        for note in notes:
            self.progress(note)
        return {
            "changed": updated.plan.changed or metadata.changed,
            "fields": [change.as_dict() for change in updated.plan.changes],
            "version": updated.after,
            "previous_version": updated.before,
            "metadata": sorted(metadata.wanted),
            "versions_lost": lost,
            "notes": notes,
            "diff": [] if looks else self.shown(_diffs(params, updated, metadata)),
        }

    def _checked(
        self, params: dict[str, t.Any], vault: VaultAdmin, decide: t.Callable[[VaultAdmin, StoredBundle], Plan]
    ) -> tuple[StoredBundle, Metadata]:
        """What is there. Refuses before anything is changed what the operator's token may not do."""
        settings = vault.settings
        reads = [Need(settings.secret_path, READ, "compare the bundle")]
        everything = [Need(settings.secret_path, READ | {"create", "update"}, "publish the bundle")]
        metadata_path = f"{settings.mount_point}/metadata/{settings.path}"
        if any(params[name] is not None for name in ("custom_metadata", "custom_metadata_defaults", "max_versions")):
            reads.append(Need(metadata_path, READ, "compare its metadata"))
            everything.append(Need(metadata_path, READ | {"update"}, "publish the bundle"))
        granted = vault.capabilities(need.path for need in reads)
        if lacking(reads, granted):
            refuse_lacking(everything, granted, settings.token_source)
        stored = vault.bundle("Publishing the bundle", over=params["over_deleted"])
        if not stored.mounted and not self.check_mode:
            raise BootstrapError(
                f"mount_point: nothing is mounted at {settings.mount_point}/. Run role vault_bootstrap first, or "
                "correct mount_point."
            )
        found = (
            vault.read(metadata_path, "Reading the bundle's metadata") if stored.mounted and len(reads) > 1 else None
        )
        metadata = plan_metadata(
            metadata_path,
            found,
            limit=params["max_versions"],
            custom=params["custom_metadata"],
            defaults=params["custom_metadata_defaults"],
        )
        writes = []
        if decide(vault, stored).changed:
            what = frozenset({"update" if stored.version else "create"})
            writes.append(Need(settings.secret_path, what, "write the bundle"))
        if metadata.changed:
            writes.append(Need(metadata_path, frozenset({"update"}), "write its metadata"))
        refuse_lacking(writes, granted, settings.token_source)
        return stored, metadata

    def _report(
        self,
        params: dict[str, t.Any],
        stored: StoredBundle,
        updated: Updated,
        metadata: Metadata,
        lost: Sequence[int],
    ) -> None:
        plan = updated.plan
        width = max((len(change.name) for change in plan.changes), default=0)
        for change in plan.changes:
            source = f"  from {change.source}" if change.source else ""
            note = f"  ({change.note})" if change.note else ""
            self.progress(f"{change.name:<{width}}  {change.state}{source}{note}")
            if change.state == "changed" and change.name in FIXED_AT_BIRTH:
                self.progress(
                    f"WARNING: {change.name} is fixed at a cluster's birth: the new value serves only a cluster that "
                    "is born anew."
                )
        place = f"{params['mount_point']}/{params['path']}"
        if stored.gone and plan.changed:
            self.progress(f"WARNING: {given_up(place, stored)}")
        elif stored.deletion:
            self.progress(
                f"WARNING: {place}: Vault deletes each version by itself after a time, version {stored.version} on "
                f"{iso(stored.deletion)}, since delete_version_after is set on it or on its mount"
            )
        if not plan.changed:
            self.progress(f"{place}: version {updated.before} holds all of that already; nothing is written")
        elif self.check_mode:
            self.progress(f"{place}: check mode; version {updated.before + 1} would be written")
        else:
            self.progress(f"{place}: version {updated.after} is written")
        if metadata.changed:
            verb = "would be set" if self.check_mode else "is set"
            self.progress(f"{place}: {' and '.join(sorted(metadata.wanted))} {verb}")
        if lost:
            count = "1 version" if len(lost) == 1 else f"{len(lost)} versions"
            self.progress(
                f"WARNING: {place}: with max_versions {metadata.wanted['max_versions']} Vault destroys {count} at the "
                f"next write, unless the mount keeps more: {', '.join(map(str, lost))}"
            )


def _chosen(fields: Sequence[Field], names: Sequence[str] | None, given: Mapping[str, t.Any] | None) -> list[Field]:
    """The fields that this is about: those named, else those given, else all."""
    declared = {known.name: known for known in fields}
    asked = list(dict.fromkeys(names if names is not None else given or declared))
    unknown = sorted(name for name in (*asked, *(given or ())) if name not in declared)
    if unknown:
        raise BootstrapError(
            f"{', '.join(dict.fromkeys(unknown))}: no field of the bundle. Declare it in fields (tazlab_fields)."
        )
    nested = [name for name in asked if declared[name].expression is not None]
    if nested:
        raise BootstrapError(
            f"fields: {', '.join(nested)}: has an expression, which says how to read it and not how to write it. "
            "Publish a nested bundle by hand."
        )
    return [declared[name] for name in asked]


def _given(values: Mapping[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, Provenance]]:
    return dict(values), {name: Provenance("values", name, "option values") for name in values}


def _from_files(files: Mapping[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, Provenance]]:
    raw: dict[str, t.Any] = {}
    origins: dict[str, Provenance] = {}
    for name, file in files.items():
        path = expand(str(file), Path.home())
        content = read_text(path)
        if content.text is None:
            raise BootstrapError(f"value_files: {name}: {path} {content.problem or 'does not exist'}.")
        raw[name] = content.text
        origins[name] = Provenance("file", str(path), f"file {path.name}", content.age)
    return raw, origins


def _refuse_missing(chosen: Sequence[Field], plan: Plan, params: Mapping[str, t.Any]) -> None:
    """A required field that neither the anchor nor Vault has makes a bundle from which no cluster can be born."""
    required = {known.name: known for known in chosen if known.required}
    missing = [change.name for change in plan.changes if change.state == "missing" and change.name in required]
    if missing:
        places = "; ".join(f"{name} (tried {' and '.join(required[name].file_names)})" for name in missing)
        raise BootstrapError(
            f"Neither {params['anchor']} nor Vault has {places}. Nothing was published. Put the values there, or "
            "declare the fields required: false."
        )


def _taking(keepers: Mapping[str, Keeper], updated: Updated, settings: VaultSettings) -> list[str]:
    """How the anchor's owner takes over what was written and did not come from the anchor."""
    tool = vault_tool()
    written = [change.name for change in updated.plan.changes if change.state in ("new", "changed")]
    notes = [
        f"The anchor is never written. To keep a copy of {name} there: {take(tool, settings, name, keepers[name])}"
        for name in written
        if name in keepers
    ]
    return [*notes, tool.note] if notes and tool.note else notes


def _diffs(params: Mapping[str, t.Any], updated: Updated, metadata: Metadata) -> t.Iterator[tuple[str, str, str]]:
    """The bundle and its metadata, before and after, with a word in place of each value."""
    if updated.plan.changed:
        lines = [_line(change) for change in updated.plan.changes]
        place = f"{params['mount_point']}/{params['path']}"
        yield place, "".join(before for before, _after in lines), "".join(after for _before, after in lines)
    if metadata.changed:
        before = "".join(f"{key}: {metadata.before.get(key)}\n" for key in sorted(metadata.wanted))
        after = "".join(f"{key}: {value}\n" for key, value in sorted(metadata.wanted.items()))
        yield metadata.path, before, after


def _line(change: FieldChange) -> tuple[str, str]:
    old, new = f"{change.name}: (a value)\n", f"{change.name}: (another value)\n"
    words = {
        "new": ("", f"{change.name}: (a value)\n"),
        "changed": (old, new),
        "removed": (old, ""),
        "missing": ("", ""),
        "absent": ("", ""),
    }
    return words.get(change.state, (old, old))
