# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions of Talos and Kubernetes go together: the one table of them. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem

Minor = tuple[int, int]

# Each minor version of Talos that is supported -> the oldest and the newest of Kubernetes that it runs, as its own
# table of compatibility says (pkg/machinery/compatibility in its source). Before 1.12 a machine configuration is not
# made of several documents, the hostname among them.
SUPPORTED: Mapping[Minor, tuple[Minor, Minor]] = {
    (1, 12): ((1, 30), (1, 35)),
    (1, 13): ((1, 31), (1, 36)),
    (1, 14): ((1, 32), (1, 37)),
}
OLDEST, NEWEST = min(SUPPORTED), max(SUPPORTED)


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version: v1.12.6-beta.1 is (1, 12, 6)."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("-")[0]))


def minor(version: str) -> Minor:
    """The minor version: of v1.12.6 it is (1, 12)."""
    major, second = numbers(version)[:2]
    return major, second


def named(version: Minor) -> str:
    """A minor version as it is written, without a v."""
    return ".".join(map(str, version))


def talos_problem(version: str, subject: str) -> Problem | None:
    """Why a version of Talos is not supported, if it is not."""
    if minor(version) >= OLDEST:
        return None
    return Problem(
        "unsupported",
        subject,
        f"{version} is too old.",
        f"Use Talos v{named(OLDEST)} or newer; tested up to v{named(NEWEST)}.",
    )


def pair_problem(talos: str, kubernetes: str, subject: str) -> Problem | None:
    """Why this version of Talos does not run this one of Kubernetes, if it does not.

    Of a newer Talos than the table has nothing is known, but that it runs no older Kubernetes than the last one.
    """
    oldest, newest = SUPPORTED.get(minor(talos), (SUPPORTED[NEWEST][0], None))
    found = minor(kubernetes)
    if found >= oldest and (newest is None or found <= newest):
        return None
    runs = f"{named(oldest)} {f'to {named(newest)}' if newest else 'or newer'}"
    return Problem(
        "impossible_pair",
        subject,
        f"{kubernetes} does not run on Talos v{talos.removeprefix('v')}, which runs Kubernetes {runs}.",
        "Choose one of these, or another Talos.",
    )


def untested(talos: str, client: str) -> list[str]:
    """What to warn of: versions that are newer than all that were tried."""
    newest = f"v{named(NEWEST)}"
    warnings = []
    if minor(talos) > NEWEST:
        warnings.append(
            f"Talos {talos} is newer than {newest}, the newest that was tried with this collection. Its form of "
            "configuration and its range of Kubernetes are not known here."
        )
    if minor(client) > max(NEWEST, minor(talos)):
        warnings.append(f"talosctl {client} is newer than {newest}, the newest that was tried with this collection.")
    return warnings
