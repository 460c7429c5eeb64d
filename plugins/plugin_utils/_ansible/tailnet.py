# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tailnet as the options of a task describe it. Private: other collections must not import it."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import TAILNET_URL
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import read_text

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._tailnet.api import Client

# What actions take; the documentation is doc_fragments/tailnet.py.
TAILNET: t.Final[dict[str, t.Any]] = {
    "type": "dict",
    "no_log": False,  # but for its secret
    "options": {
        "tags": {"type": "list", "elements": "str", "default": []},
        "client_id": {"type": "str"},
        "client_secret": {"type": "str", "no_log": True},
        "url": {"type": "str", "default": TAILNET_URL},
        "ca_cert": {"type": "path"},
    },
}


def tailnet_client(given: Mapping[str, t.Any] | None) -> Client | None:
    """The OAuth client; None where no tailnet is used."""
    if not given or not given.get("tags"):
        return None
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._tailnet.api import TAG, Client

    wrong = [tag for tag in given["tags"] if not TAG.fullmatch(str(tag))]
    if wrong:
        raise BootstrapError(f"tazlab_tailnet.tags: {', '.join(wrong)} is not a tag, like tag:k8s.")
    if not given.get("client_id") or not given.get("client_secret"):
        raise BootstrapError(
            "tazlab_tailnet: the OAuth client has no id or no secret. Name the bundle's fields that hold them as "
            "client_id_field and client_secret_field, and declare these in tazlab_fields."
        )
    ca_pem = ""
    if given.get("ca_cert"):
        content = read_text(Path(str(given["ca_cert"])).expanduser())
        if content.text is None:
            raise BootstrapError(f"tazlab_tailnet: ca_cert {given['ca_cert']} {content.problem or 'does not exist'}.")
        ca_pem = content.text
    return Client(str(given["url"]), str(given["client_id"]), str(given["client_secret"]), ca_pem)
