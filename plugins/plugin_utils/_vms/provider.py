# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a provider of machines is: all that the rest of the collection knows of the one that makes them.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """A key of the provider's setting, what it is, and whether it can be left out."""

    key: str
    hint: str = ""
    pattern: re.Pattern[str] | None = None
    required: bool = True


@dataclass(frozen=True)
class Targets:
    """What the credentials of a provider are tried on: its setting, the cluster's name, and the machines."""

    setting: Mapping[str, t.Any]
    cluster: str
    machines: Sequence[Mapping[str, t.Any]]


@dataclass(frozen=True)
class Provider:
    """A provider of machines.

    C(role) has the tasks C(main) (machines run), C(preflight) and C(absent) (machines are gone), and exports the facts
    C(<role>_result), C(<role>_pending), C(<role>_problems) and C(<role>_absent), which site.yml reads.
    """

    name: str  # as tazlab_provider gives it
    title: str  # as people call it
    role: str
    required: tuple[str, ...]  # what each machine must have, by the keys of the inventory's machines
    platform: str  # of the Image Factory's images and installers
    consoles: str  # where a person looks at a machine that does not answer
    install_disk: str = ""  # where Talos installs itself on a machine that names none; empty: that is found out
    makes: bool = True  # whether it makes machines and removes them
    setting: str = ""  # the inventory's variable that says where it is
    options: tuple[Option, ...] = ()
    login: str = ""  # the system of the bundle's logins
    packages: tuple[str, ...] = ()  # what its modules import on the controller
    tries: Callable[..., str] | None = None  # uses its credentials once: targets, then the login's values

    def as_dict(self) -> dict[str, t.Any]:
        """What playbooks read."""
        return {
            "name": self.name,
            "title": self.title,
            "role": f"tazlab.bootstrap.{self.role}",
            "facts": self.role,
            "platform": self.platform,
            "consoles": self.consoles,
            "install_disk": self.install_disk,
            "makes": self.makes,
            "login": self.login,
        }
