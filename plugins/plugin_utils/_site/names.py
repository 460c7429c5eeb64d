# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that look like ours and are not: a misspelt variable or group would be missed late, or never.

Other people's names are left alone. Private: other collections must not import it.
"""

from __future__ import annotations

import difflib
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.providers import PROVIDERS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.machine import DEFAULTS, GROUPS, HOST_VARIABLES

PREFIX: t.Final = "tazlab_"

# What a user may write, beside tazlab_vault_<option>.
VARIABLES: t.Final = frozenset(
    (
        "tazlab_adopt",
        "tazlab_anchor",
        "tazlab_backup",
        "tazlab_change_writer",
        "tazlab_cluster",
        "tazlab_commit",
        "tazlab_configure_only",
        "tazlab_cluster_vars",
        "tazlab_coredns",
        "tazlab_crds_release",
        "tazlab_crds_rendered",
        "tazlab_crds_since",
        "tazlab_crds_to",
        "tazlab_delivery",
        "tazlab_destroy",
        "tazlab_destroy_purge",
        "tazlab_endpoint",
        "tazlab_eso_field",
        "tazlab_eso_path",
        "tazlab_etcd_lost",
        "tazlab_fields",
        "tazlab_flux",
        "tazlab_flux_move",
        "tazlab_health_json",
        "tazlab_import_to",
        "tazlab_issued_rotates",
        "tazlab_jwt",
        "tazlab_kubeconfig",
        "tazlab_login_rotates",
        "tazlab_max_versions",
        "tazlab_new_secrets",
        "tazlab_over_deleted",
        "tazlab_owner",
        "tazlab_plan_json",
        "tazlab_provider",
        "tazlab_publish",
        "tazlab_raise_contract",
        "tazlab_rebirth_despite",
        "tazlab_rebirth_gate_seconds",
        "tazlab_rebirth_gates",
        "tazlab_purpose",
        "tazlab_push",
        "tazlab_remove",
        "tazlab_renew",
        "tazlab_reseed",
        "tazlab_restore",
        "tazlab_restore_from",
        "tazlab_rotate",
        "tazlab_rotate_file",
        "tazlab_rotate_property",
        "tazlab_rotate_wait",
        "tazlab_seed_exact",
        "tazlab_state",
        "tazlab_state_dir",
        "tazlab_state_from",
        "tazlab_tailnet",
        "tazlab_tailnet_remove",
        "tazlab_take_lock",
        "tazlab_tailscale_ca_cert",
        "tazlab_tailscale_token_url",
        "tazlab_talos",
        "tazlab_talos_patches",
        "tazlab_token_rotates",
        "tazlab_upgrade",
        "tazlab_value_rotates",
        "tazlab_workload_secrets",
    )
)
# The setting of each provider of machines.
SETTINGS: t.Final = frozenset(each.setting for each in PROVIDERS.values() if each.setting)
# What the playbooks set for themselves.
OWN: t.Final = frozenset(
    (
        "tazlab_anchor_file",
        "tazlab_birth",
        "tazlab_bundle",
        "tazlab_checked",
        "tazlab_consumers",
        "tazlab_crds",
        "tazlab_directory",
        "tazlab_found",
        "tazlab_health",
        "tazlab_eso_login",
        "tazlab_first",
        "tazlab_health_fails",
        "tazlab_home",
        "tazlab_in_vault",
        "tazlab_jwt_given",
        "tazlab_kube",
        "tazlab_lock",
        "tazlab_made",
        "tazlab_malformed",
        "tazlab_release",
        "tazlab_removed",
        "tazlab_logins",
        "tazlab_moved",
        "tazlab_machines",
        "tazlab_name",
        "tazlab_new_login",
        "tazlab_new_value",
        "tazlab_only_token",
        "tazlab_operator",
        "tazlab_operator_token",
        "tazlab_password_field",
        "tazlab_problems",
        "tazlab_path_rotates",
        "tazlab_readable",
        "tazlab_reader",
        "tazlab_rebirth",
        "tazlab_rebirth_asks",
        "tazlab_rebirth_plans",
        "tazlab_reborn",
        "tazlab_report_secrets",
        "tazlab_repository",
        "tazlab_restores",
        "tazlab_rotated",
        "tazlab_scratch",
        "tazlab_secret",
        "tazlab_settings",
        "tazlab_source",
        "tazlab_source_dir",
        "tazlab_source_path",
        "tazlab_spare",
        "tazlab_tailnet_fields",
        "tazlab_token_problems",
        "tazlab_typed",
        "tazlab_vms",
        "tazlab_vso_login",
    )
)
# How else people call the groups of a cluster's machines.
GROUP_NAMES: t.Final = {
    **dict.fromkeys(("control_plane", "control_planes", "controlplane", "talos_controlplane"), "talos_control_plane"),
    **dict.fromkeys(("worker", "workers", "talos_worker"), "talos_workers"),
}


def variable_problems(names: Iterable[str], options: Iterable[str]) -> Iterator[Problem]:
    """Variables that begin as ours do, and are none. C(options) are the names that the modules' options have."""
    known = {*VARIABLES, *SETTINGS, *options}
    for name in sorted(set(names)):
        if name.startswith(PREFIX) and name not in known and name not in OWN:
            bare = {one.removeprefix(PREFIX): one for one in sorted(known)}
            close = difflib.get_close_matches(name.removeprefix(PREFIX), list(bare), 1, cutoff=0.75)
            step = f"{bare[close[0]]} was meant?" if close else "Take it out, or give your own variable another prefix."
            yield Problem("unknown_variable", name, "there is no such variable.", f"Correct the name: {step}")


def host_problems(hosts: Mapping[str, Mapping[str, t.Any]], required: Sequence[str]) -> Iterator[Problem]:
    """Variables of our hosts that nearly have the name of one that is not set.

    C(required): what a machine must have, by its keys.
    """
    wanted = {HOST_VARIABLES[key] for key in (*required, *DEFAULTS, "install_disk")}
    for host, variables in hosts.items():
        for name in sorted(set(variables) - {*HOST_VARIABLES.values()}):
            meant = difflib.get_close_matches(name, sorted(wanted - set(variables)), 1, cutoff=0.8)
            if meant:
                what = f"{name} is not known, and {meant[0]} is not set."
                yield Problem("near_miss", host, what, f"If {meant[0]} was meant, correct the name.")


def group_problems(groups: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Groups that nearly have the name of ours, where ours has no host, and whose hosts stand in none of ours."""
    ours = {host for name in GROUPS for host in groups.get(name, ())}
    for name, hosts in groups.items():
        close = difflib.get_close_matches(name, list(GROUPS), 1, cutoff=0.85)
        meant = GROUP_NAMES.get(name) or (close[0] if close else None)
        if meant and name not in GROUPS and hosts and not groups.get(meant) and ours.isdisjoint(hosts):
            what = f"the group {name} is not known, and {meant} has no host."
            yield Problem("near_miss", "inventory", what, f"If {meant} was meant, correct the name.")
