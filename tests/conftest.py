# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes C(ansible_collections.tazlab.bootstrap) importable, by the loader that Ansible itself uses."""

from __future__ import annotations

from ansible.plugins.loader import init_plugin_loader

init_plugin_loader()
