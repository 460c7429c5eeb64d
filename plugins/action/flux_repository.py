# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of flux_repository: reads the branch that Flux shall follow, with the token in no argument list."""

from __future__ import annotations

import typing as t
import urllib.error
from pathlib import Path

from ansible.module_utils.urls import open_url

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.gitops import authority
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux import repository as _flux
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.git import Checkout, Remote

MOST_BYTES = 16 * 2**20  # of a file of components; Flux's own is half a MiB


class ActionModule(ControllerAction):
    secret_result = True
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "url": {"type": "str", "required": True},
        "branch": {"type": "str", "required": True},
        "path": {"type": "str", "required": True},
        "username": {"type": "str", "default": "git"},
        "password": {"type": "str", "default": "", "no_log": True},
        "ca_cert": {"type": "str", "default": ""},
        "components": {"type": "str", "default": ""},
        "timeout": {"type": "int", "default": 60},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        deadline = Deadline(params["timeout"])
        ca_pem = authority(str(params["ca_cert"]))
        remote = Remote(
            url=str(params["url"]).strip(),
            branch=str(params["branch"]).strip(),
            username=str(params["username"]).strip(),
            password=str(params["password"]).strip(),
            ca_pem=ca_pem,
        )
        wanted = _flux.Wanted(remote.url, remote.branch, str(params["path"]), login=bool(remote.password))
        components = _components(str(params["components"]), deadline) if params["components"] else None
        with Checkout(remote, deadline) as checkout:
            flux = _flux.read(checkout, wanted, components)
        revision = f"{remote.branch}@sha1:{checkout.commit}"
        self.progress(f"{remote.url} is at {revision}")
        return {
            "revision": revision,
            "commit": checkout.commit,
            "definitions": flux.definitions,
            "controllers": flux.controllers,
            "sync": flux.sync,
            "brings_flux": flux.own,
            "components": _flux.components(flux),
            "namespace": flux.namespace,
            "secret": flux.secret,
            "ca_cert": ca_pem,
        }


def _components(place: str, deadline: Deadline) -> list[_flux.Document]:
    """The components of a file or an https address."""
    if place.startswith("https://"):
        content = _download(place, deadline)
    elif "://" in place:
        raise BootstrapError(f"components: {place} must be a file or an https:// address.")
    else:
        path = Path(place).expanduser()
        try:
            content = path.read_bytes()
        except OSError:
            raise BootstrapError(f"components: the file {path} cannot be read.") from None
    documents = _flux.parse(content, place)
    if not documents:
        raise BootstrapError(f"components: {place} holds no Kubernetes object.")
    return documents


def _download(url: str, deadline: Deadline) -> bytes:
    try:
        with open_url(url, timeout=max(1.0, deadline.left)) as answer:
            content: bytes = answer.read(MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        raise BootstrapError(f"components: {url} answered {error.code}.") from None
    except OSError:
        raise BootstrapError(f"components: {url} cannot be reached.") from None
    if len(content) > MOST_BYTES:
        raise BootstrapError(
            f"components: {url} is larger than {MOST_BYTES // 2**20} MiB, so it is not a file of components."
        )
    return content
