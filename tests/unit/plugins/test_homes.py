# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each truth has one home: what else says it is named here, with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[3] / "plugins"

# A truth, how whoever tells it himself would write it, and the files that may.
HOMES = {
    "how a cause is recognised": (
        r"gaierror|SSLCertVerificationError|verify_code|errno\.E(CONN|HOST|NET|TIMEDOUT)|RemoteDisconnected",
        ("_base/causes.py",),
    ),
    "how a child process is run": (
        r"subprocess\.(Popen|run|check)|os\.(system|exec|spawn|posix_spawn)|\brunning\(",
        ("_base/lifeline.py", "_base/command.py", "_sharing/client.py", "_state/keeper.py"),
    ),
    "how work is bounded by a thread": (
        r"threading\.Thread\(",
        ("_base/deadline.py", "_base/lifeline.py"),
    ),
    "how much is done side by side": (r"ThreadPoolExecutor", ("_base/together.py",)),
    "how a difference is printed": (r"unified_diff|before_header", ("_ansible/diff.py",)),
    "how a table is printed": (r"\.ljust\(|:<\{", ("_base/text.py",)),
    "how a list of problems is numbered": (r"\\n\s*\{number\}", ("_base/text.py",)),
    "what a machine may look like": (
        r"999_?999_?999|131_?072|8_?388_?608|\[0-9A-Fa-f\]\{2\}:",
        ("_vms/machine.py",),
    ),
    "which field logs in where": (
        r"[\"'](PROXMOX_TOKEN|GITHUB_TOKEN|TALOS_SECRETBOX|TAILSCALE_OPERATOR|ESO_READER)",
        ("_secrets/fields.py",),
    ),
    "what holds where the user says nothing": (
        r"[\"'](vmbr0|~/secrets|https://factory\.talos\.dev|https://api\.tailscale\.com)|2764800",
        ("_base/defaults.py", "_vault/options.py"),
    ),
    "why Vault does not serve": (r"read_seal_status", ("_vault/connection.py",)),
}


def told(pattern: str, homes: tuple[str, ...]) -> Iterator[str]:
    for path in sorted(PLUGINS.rglob("*.py")):
        # Documentation may show an example of anything; modules hold nothing else.
        if path.as_posix().endswith(homes) or path.parent.name in ("modules", "doc_fragments", "lookup"):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(pattern, line) and not line.lstrip().startswith("#"):
                yield f"{path.relative_to(PLUGINS.parent)}:{number}: {line.strip()}"


@pytest.mark.parametrize("truth", HOMES)
def test_a_truth_has_one_home(truth: str) -> None:
    pattern, homes = HOMES[truth]
    assert [home for home in homes if not re.search(pattern, (PLUGINS / "plugin_utils" / home).read_text())] == []
    assert list(told(pattern, homes)) == []
