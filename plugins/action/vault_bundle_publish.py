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
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field, declared_fields
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.keepers import Keeper, file_keeper
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import declared_providers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import (
    Found,
    accept,
    refuse_invalid,
    resolve,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import BUNDLE_OPTIONS, PROVIDERS_OPTION
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.gone import refuse_outdated
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.intake import (
    chosen_fields,
    refuse_missing,
    values_given,
    values_of_files,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.metadata import Metadata, plan_metadata
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import (
    OPERATOR_OPTIONS,
    Need,
    lacking,
    refuse_lacking,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publication import Publication
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import (
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
        chosen = chosen_fields(fields, names, params["values"] or params["value_files"])
        wanted = self._wanted(params, chosen)

        looked_at: dict[int, StoredBundle] = {}

        def decide(vault: VaultAdmin, stored: StoredBundle) -> Plan:
            plan = plan_present(chosen, wanted, stored.data, params["keep"], [known.name for known in fields])
            issued = params["keep"] if self.check_mode else ()  # what Vault would issue by now
            refuse_missing([known for known in chosen if known.name not in issued], plan, params["anchor"])
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
        for option, read in (("values", values_given), ("value_files", values_of_files)):
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
                    f"anchor: {gone} is not a directory that can be read, so there is nothing to publish."
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
        newest = updated.before + 1 if self.check_mode and updated.plan.changed else updated.after
        place = f"{settings.mount_point}/{settings.path}"
        told = Publication(place, stored, updated, metadata, metadata.lost(newest), self.check_mode)
        # A run that is not in check mode may look with this task first; what is done is told when it is done.
        looks = self.check_mode and not self._templar.available_variables.get("ansible_check_mode", True)
        notes = told.copies(keepers, settings) if not self.check_mode else []
        for line in (*(told.lines() if not looks else ()), *notes):
            self.progress(line)
        return {
            "changed": updated.plan.changed or metadata.changed,
            "fields": [change.as_dict() for change in updated.plan.changes],
            "version": updated.after,
            "previous_version": updated.before,
            "metadata": sorted(metadata.wanted),
            "versions_lost": told.lost,
            "notes": notes,
            "diff": [] if looks else self.shown(told.differences()),
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
