# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key with which a machine once joined its tailnet is no difference later."""

from __future__ import annotations

import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import differences
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.extension import keep_login

MACHINE = {"machine": {"type": "worker"}}


def config(*environment: str, machine: object = MACHINE) -> bytes:
    service = {"apiVersion": "v1alpha1", "kind": "ExtensionServiceConfig", "name": "tailscale"}
    found = [machine, *([{**service, "environment": list(environment)}] if environment else [])]
    return yaml.safe_dump_all(found).encode()


def left(living: bytes, wanted: bytes) -> list[str]:
    return differences(living, keep_login(living, wanted))


def test_a_key_that_nobody_describes_is_no_difference() -> None:
    assert left(config("TS_AUTHKEY=canary"), config()) == []
    assert left(config("TS_ROUTES=a", "TS_AUTHKEY=canary"), config("TS_ROUTES=a")) == []


def test_everything_else_of_it_is() -> None:
    changed = left(config("TS_ROUTES=a", "TS_AUTHKEY=x"), config("TS_ROUTES=b"))
    assert changed == ["~ ExtensionServiceConfig/tailscale.environment"]
    assert left(config("TS_ROUTES=a"), config()) != []
    assert left(config("TS_AUTHKEY=old"), config("TS_AUTHKEY=new")) != [], "who brings a key means it"


def test_what_has_no_key_is_left_as_it_is() -> None:
    wanted = config("TS_ROUTES=a")
    assert keep_login(config(), wanted) is wanted
    assert keep_login(b"{", wanted) is wanted
