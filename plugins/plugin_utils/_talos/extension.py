# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The login of the Tailscale extension in a machine configuration. Pure.

It is a key that served once, at the machine's birth: nobody describes it afterwards, and without it the configuration
would differ for ever. Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml, documents, dump

KIND: t.Final = "ExtensionServiceConfig"
NAME: t.Final = "tailscale"
LOGIN: t.Final = "TS_AUTHKEY="


def keep_login(living: bytes, wanted: bytes) -> bytes:
    """The wanted configuration with the key that the living one has, unless it brings one of its own."""
    try:
        key = _key(_document(documents(living)))
        found = [each for each in documents(wanted) if each is not None]
    except NotYaml:
        return wanted
    mine = _document(found)
    if key is None or _key(mine) is not None:
        return wanted
    if mine is None:
        found.append({"apiVersion": "v1alpha1", "kind": KIND, "name": NAME, "environment": [key]})
    else:
        mine["environment"] = [*(mine.get("environment") or []), key]
    return b"---\n".join(dump(each) for each in found)


def with_login(wanted: bytes, key: str) -> bytes:
    """The configuration with a fresh key, with which the machine joins its tailnet."""
    login = {"apiVersion": "v1alpha1", "kind": KIND, "name": NAME, "environment": [f"{LOGIN}{key}"]}
    return keep_login(dump(login), wanted)


def without_login(config: bytes) -> bytes:
    """The configuration without such a key, and without the document that holds nothing else."""
    try:
        found = [each for each in documents(config) if each is not None]
    except NotYaml:
        return config
    mine = _document(found)
    key = _key(mine)
    if mine is None or key is None:
        return config
    mine["environment"] = [entry for entry in mine["environment"] if str(entry) != key]
    if not mine["environment"]:
        del mine["environment"]
    kept = [each for each in found if each is not mine or set(each) - {"apiVersion", "kind", "name"}]
    return b"---\n".join(dump(each) for each in kept)


def _document(found: t.Sequence[t.Any]) -> dict[str, t.Any] | None:
    named = [each for each in found if isinstance(each, dict) and each.get("kind") == KIND]
    return next((each for each in named if each.get("name") == NAME), None)


def _key(document: Mapping[str, t.Any] | None) -> str | None:
    entries = (document or {}).get("environment") or []
    return next((str(entry) for entry in entries if str(entry).startswith(LOGIN)), None)
