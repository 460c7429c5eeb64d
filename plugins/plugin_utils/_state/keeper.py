# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that shows in Vault that a run lives, for as long as it does. It ends with the run, however that ends.

It gets what it needs, the token among it, by its standard input. Private: other collections must not import it.
"""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.lifeline import watch
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.run_record import RunRecord
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.vault_lock import BEAT, VaultLock
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings

SECONDS: t.Final = 10.0  # for one sign of life

_KEEPER: t.Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.keeper import main; main()"
)


def start(cluster: str, settings: VaultSettings, here: RunRecord) -> None:
    """Begin to show that the run lives. Nobody waits for the process."""
    wanted = ("HOME", "PATH")  # where a user's own Python packages are, and nothing that is a secret
    kept = {name: value for name, value in os.environ.items() if name in wanted or name.lower().endswith("_proxy")}
    keeper = subprocess.Popen(  # pylint: disable=ansible-bad-function  # no module: it runs on the controller
        [sys.executable, "-P", "-c", _KEEPER, str(Path(__file__).parents[6])],
        env=kept,
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    if keeper.stdin is not None:
        with keeper.stdin as pipe:
            pipe.write(pickle.dumps((cluster, settings, here)))
    keeper.returncode = 0  # it outlives this process, and ends with the run


def main() -> None:
    """Give a sign of life now and then, until the run has ended or the record is another's."""
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import bounded

    cluster, settings, here = pickle.loads(sys.stdin.buffer.read())  # noqa: S301  # by our own parent
    try:
        end = watch(here.pid)
    except ProcessLookupError:
        return
    while True:
        if end is None:
            time.sleep(BEAT)
            if not _lives(here.pid):
                return
        elif select.select([end], [], [], BEAT)[0]:
            return
        try:
            if not bounded(settings, SECONDS, lambda vault: VaultLock(cluster, vault).beat(here)):
                return
        except BootstrapError:  # Vault may be back at the next time
            continue


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True
