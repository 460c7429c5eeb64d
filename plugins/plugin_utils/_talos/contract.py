# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of a cluster: the minor version of Talos whose form its machine configurations have.

A cluster keeps the one with which it was born: nodes of an older Talos refuse a newer form, and another form would be a
change of every node for nothing. Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import InvalidConfig, Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import Generator, differences
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.extension import keep_login
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Found, Standing
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import minor, named

CONTRACT: t.Final = re.compile(r"v\d+\.\d+")

# The contracts at which the form of a control plane's configuration changed. Those between are like the one before.
CONTRACTS: t.Final = ((1, 3), (1, 5), (1, 6), (1, 7), (1, 8), (1, 12), (1, 14))


def contract_of(
    noted: str,
    generator: Generator,
    standings: Mapping[Node, Standing],
    seen: Mapping[Node, Found],
    raised: str = "",
) -> str:
    """The contract to use: a newborn's is its version's own, a living one's is noted, or known from its machines.

    C(raised) is the one to which a living cluster is to be brought.
    """
    own = f"v{named(minor(generator.cluster.version))}"
    if set(standings.values()) == {Standing.MAINTENANCE}:
        return own
    if raised:
        return raised
    if noted:
        return noted
    living = any(node.is_control_plane and found.standing is Standing.OURS for node, found in seen.items())
    return born_with(generator, seen) if living else own


def raise_problem(raised: str, noted: str, version: str) -> Problem | None:
    """Why a living cluster of this version is not brought to a contract, if it is not."""
    newest = f"v{named(minor(version))}"
    if not CONTRACT.fullmatch(raised):
        what = f"{raised!r} does not fit."
    elif minor(raised) > minor(version):
        what = f"{raised} is of a newer Talos than {version}, which would refuse it."
    elif noted and minor(raised) < minor(noted):
        what = f"{raised} is older than {noted}, which the cluster has."
    else:
        return None
    return Problem("contract", "tazlab_raise_contract", what, f"It is a minor version, up to {newest}.")


def born_with(generator: Generator, seen: Mapping[Node, Found]) -> str:
    """The contract whose configuration is the nearest to the living one, like v1.8; of several the newest.

    The inventory's patches have the form of one contract, and with others no configuration can be made of them.
    """
    node, found = next(
        (node, found)
        for node, found in seen.items()
        if node.is_control_plane and found.standing is Standing.OURS and found.look.version
    )
    newest = min(minor(found.look.version or ""), minor(generator.cluster.version))
    tried = [contract for contract in CONTRACTS if contract <= newest]
    distances, invalid = {}, None
    for contract in tried:
        cluster = replace(generator.cluster, contract=f"v{named(contract)}")
        try:
            config = replace(generator, cluster=cluster).machine_config(node)
        except InvalidConfig as error:
            invalid = error
            continue
        distances[contract] = len(differences(found.persistent, keep_login(found.persistent, config)))
    if invalid and not distances:
        raise invalid
    nearest = min(distances.values())
    best = max(contract for contract, distance in distances.items() if distance == nearest)
    later = [contract for contract in CONTRACTS if contract > best]
    # The contracts up to the next change are alike: where there is none yet, it is that of the machine's own version.
    return f"v{named(best if later else newest)}"
