# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings that a user writes in the inventory, checked without network.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.providers import provider, provider_problems
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import pair_problem, talos_problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.image import SCHEMATIC, VERSION
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.provider import Provider

CLUSTER_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True)
class Setting:
    """A variable of the inventory that a phase cannot do without."""

    variable: str
    phases: frozenset[str]
    hint: str
    pattern: re.Pattern[str] | None = None
    check: Callable[[str, str], Problem | None] | None = None


def _setting(
    variable: str,
    phases: str,
    hint: str,
    pattern: re.Pattern[str] | None = None,
    check: Callable[[str, str], Problem | None] | None = None,
) -> Setting:
    return Setting(variable, frozenset(phases.split()), hint, pattern, check)


SETTINGS = (
    _setting(
        "tazlab_cluster", "vms talos seed flux", "the cluster's name: lower case letters, digits, -", CLUSTER_NAME
    ),
    _setting("tazlab_talos.version", "vms talos", "Talos' version, e.g. v1.12.6", VERSION, talos_problem),
    _setting("tazlab_talos.kubernetes_version", "talos", "Kubernetes' version, e.g. 1.35.4", VERSION),
    _setting("tazlab_talos.schematic", "vms talos", "the Image Factory's id: 64 hexadecimal digits", SCHEMATIC),
    _setting("tazlab_flux.url", "flux", "the repository's address, e.g. https://github.com/you/cluster"),
    _setting("tazlab_flux.branch", "flux", "the branch that Flux follows, e.g. main"),
    _setting("tazlab_flux.path", "flux", "the cluster's folder in the repository, e.g. ./clusters/home"),
)


def _of(machines: Provider) -> Iterator[Setting]:
    """What the provider of machines cannot do without."""
    for option in machines.options:
        if option.required:
            yield _setting(f"{machines.setting}.{option.key}", "vms", option.hint, option.pattern)


def _keys(machines: Provider) -> Iterator[tuple[str, tuple[str, ...]]]:
    if machines.setting:
        yield machines.setting, tuple(option.key for option in machines.options)


# Every key of a setting that is a dictionary: one that is misspelt would be missed late, or never.
KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tazlab_talos": ("version", "kubernetes_version", "schematic", "factory_url", "platform", "cluster_name"),
        "tazlab_talos_patches": ("all", "control_plane", "worker"),
        "tazlab_adopt": ("from", "talosconfig"),
        "tazlab_backup": ("directory",),
        "tazlab_upgrade": ("drain", "drain_seconds"),
        "tazlab_delivery": (
            *("checkout", "eso_version", "store", "vault_auth", "files", "lists"),
            *("operators", "vault_url", "eso_login", "vso_login", "places"),
        ),
        "tazlab_state": ("backend", "path", "token_field", "anchor"),
        "tazlab_tailnet": ("tags", "client_id_field", "client_secret_field", "url", "ca_cert"),
        "tazlab_jwt": ("mount", "issuer", "audiences", "own", "eso_account", "vso_accounts", "roles"),
        "tazlab_flux": ("url", "branch", "path", "username", "password_field", "ca_cert"),
    }
)


def form_problems(settings: Mapping[str, t.Any], more: Iterable[tuple[str, tuple[str, ...]]] = ()) -> Iterator[Problem]:
    """The settings that are no mappings where one belongs, or have a key that there is not. C(more): other keys."""
    for variable, keys in (*KEYS.items(), *more):
        given = settings.get(variable)
        if given and not isinstance(given, Mapping):
            kind = "a list" if isinstance(given, Sequence) and not isinstance(given, str) else "a single value"
            what = f"it is {kind}, where a mapping belongs."
            yield Problem("malformed", variable, what, f"Write one with the keys {', '.join(keys)}.")
        unknown = [str(key) for key in given if key not in keys] if isinstance(given, Mapping) else []
        if unknown:
            what = f"does not know {', '.join(unknown)}."
            yield Problem("unknown_key", variable, what, f"It has {', '.join(keys)}.")


def setting_problems(settings: Mapping[str, t.Any], phases: Sequence[str]) -> list[Problem]:
    """The settings of the chosen phases that are missing or malformed. C(settings) maps variable names to values."""
    machines = provider(settings.get("tazlab_provider"))
    problems = provider_problems(settings.get("tazlab_provider"))
    problems += form_problems(settings, _keys(machines))
    for setting in (*SETTINGS, *_of(machines)):
        if not setting.phases.intersection(phases):
            continue
        outer, dot, inner = setting.variable.partition(".")
        value = settings.get(outer)
        if dot:
            value = value.get(inner) if isinstance(value, Mapping) else None
        if value is None or str(value).strip() == "":
            problems.append(Problem("unset", setting.variable, "is not set.", f"It is {setting.hint}."))
        elif setting.pattern and not setting.pattern.fullmatch(str(value)):
            what = f"{value!r} does not fit."
            problems.append(Problem("malformed", setting.variable, what, f"It is {setting.hint}."))
        elif setting.check and (problem := setting.check(str(value), setting.variable)):
            problems.append(problem)
    return problems + _pair_problem(settings.get("tazlab_talos"), phases)


def _pair_problem(talos: t.Any, phases: Sequence[str]) -> list[Problem]:
    """Versions of Talos and Kubernetes that do not go together."""
    keys = ("version", "kubernetes_version")
    given = [str(talos.get(key) or "") for key in keys] if isinstance(talos, Mapping) else []
    if "talos" not in phases or not given or not all(map(VERSION.fullmatch, given)) or talos_problem(given[0], ""):
        return []
    problem = pair_problem(given[0], given[1], "tazlab_talos.kubernetes_version")
    return [problem] if problem else []
