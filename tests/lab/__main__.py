# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab by itself:

    lab up                        start it in the background; prints what to export
    lab down                      stop it; nothing is left
    lab status                    what runs
    lab env                       what to export, again
    lab operator                  an administrator's token for Vault, to export: for publish, rotate and the guides
    lab requests                  what Vault was asked with the bootstrap token, from its audit log
    lab vault stop|start|seal|unseal|pause|resume
    lab proxmox|git|factory stop|start

It lies in TAZLAB_LAB, else in XDG_RUNTIME_DIR or the temporary directory: two labs run side by side in two directories.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from lab.process import LabError
from lab.supervisor import Background, default_directory, hold


def say(message: str) -> None:
    print(f"lab: {message}", file=sys.stderr, flush=True)


def print_environment(lab: Background) -> None:
    for name, value in lab.environment().items():
        print(f"export {name}={shlex.quote(value)}")
    print(f"# ansible-playbook tazlab.bootstrap.site -i {shlex.quote(str(lab.directory / 'inventory.yml'))}")


def main(arguments: list[str]) -> int:
    lab = Background(default_directory())
    match arguments:
        case ["up"]:
            lab.start(say, share=True)
            print_environment(lab)
        case ["down"]:
            lab.stop()
        case ["env"]:
            print_environment(lab)
        case ["hold", directory, *how]:  # what "up" starts
            hold(Path(directory), leashed="leashed" in how, delivery="delivery" in how)
        case ["status"]:
            print("\n".join(lab.ask("status")))
        case ["operator"]:
            print(f"export VAULT_TOKEN={shlex.quote(lab.ask('operator'))}")
        case ["requests"]:
            for path, times in lab.ask("requests").items():
                print(f"{times:4} {path}")
        case [_part, _verb]:
            print(lab.ask(*arguments))
        case _:
            print(__doc__)
            return 0 if arguments in ([], ["--help"], ["-h"]) else 2
    return 0


if __name__ == "__main__":
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
        sys.exit(status)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # its end would complain of it
        sys.exit(1)
    except LabError as error:
        say(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
