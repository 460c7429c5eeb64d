# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets playbooks write lookup('tazlab.vault_bundle', ...).

Ansible resolves a name of two parts only through a file of that very name in a lookup plugin path.
"""

from __future__ import annotations

from ansible_collections.tazlab.bootstrap.plugins.lookup.vault_bundle import LookupModule

__all__ = ["LookupModule"]
