# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bundle holds and where its fallback lies, for modules and for the lookup."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
notes:
  - Every option may stand in the inventory as the variable C(tazlab_vault_<option>), O(fields) also as C(tazlab_fields)
    and O(anchor) as C(tazlab_anchor). An option of the task wins over the variable, which wins over the environment.
  - It runs on the controller, where the token and the recovery anchor are. A host it is looped over is not contacted.
options:
  fields:
    description:
      - The fields of the bundle. What is named here replaces the eight default fields, C(PROXMOX_TOKEN_ID),
        C(PROXMOX_TOKEN_SECRET), C(GITHUB_TOKEN), C(TALOS_SECRETBOX_KEY), C(TAILSCALE_OPERATOR_CLIENT_ID),
        C(TAILSCALE_OPERATOR_CLIENT_SECRET), C(VAULT_CA_CRT) and C(ESO_READER_TOKEN).
      - A dictionary from the field's name to its options, which may be empty.
      - C(kind) is C(token) (default; one line without blanks and quotes; what surrounds it is cut away), C(base64key)
        (a token that decodes to C(bytes) bytes), C(pem) (byte for byte as stored, and it must parse) or C(text) (byte
        for byte).
      - C(required) (default C(true)) says whether it is an error when no source has it.
      - C(pattern) is a regular expression that the whole value must match.
      - C(files) and C(env) are lists of its names as a file of the anchor and as an environment variable. By default it
        is its name in kebab-case, with or without C(.txt), and its name itself.
      - C(expression) is a JMESPath expression that finds it in a bundle whose layout is nested.
      - C(bytes) (default 32) is the length of a C(base64key).
      - What is not said about one of the eight default fields stays as it is.
    type: dict
  anchor:
    description:
      - The directory of the recovery anchor, which has one file for each field. It is read and never touched.
      - It is where the C(file) provider looks, and where a copy of Vault's CA and a token may lie.
    type: path
    default: ~/secrets
"""

    PROVIDERS = r"""
options:
  providers:
    description:
      - The fallback sources for what Vault did not give, in the order in which they are asked. An empty list means that
        nobody else is asked.
      - >-
        The default is C([{type: env}, {type: file}]).
    type: list
    elements: dict
    suboptions:
      type:
        description:
          - V(env) asks the environment. A variable holds the value, or the path of a file that holds it, which begins
            with C(/) or C(~).
          - V(file) reads the files of a directory.
          - V(command) runs a program, for instance a password store's, and reads what it prints. There is no shell, and
            a status other than 0 means that the program has no such value. It is asked only for what nobody else had.
        type: str
        required: true
        choices: [env, file, command]
      directory:
        description: The directory of V(file), by default O(anchor).
        type: str
      argv:
        description:
          - The program of V(command) and its words.
          - >-
            C({name}) in a word stands for the field's name, C({file}) for that name in kebab-case.
          - Put no secret into them. Where the program gives no value, the message shows them, to be run by hand.
        type: list
        elements: str
      timeout:
        description: For how many seconds the program of V(command) may run, by default 60.
        type: float
"""
