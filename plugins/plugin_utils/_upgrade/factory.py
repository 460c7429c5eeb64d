# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the Image Factory which versions of Talos there are, and whether it has an installer. Private.

Import it only when it is really asked: it loads requests.
"""

from __future__ import annotations

import re
import time
import typing as t
from urllib.parse import urlsplit

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.causes import cause_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import Minor, minor, named, numbers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.transport import bounded_session, tls_context

SECONDS: t.Final = 90.0  # an installer that nobody has asked for yet is made first
RELEASE: t.Final = re.compile(r"v\d+\.\d+\.\d+")
MANIFESTS: t.Final = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)


class Factory:
    """The Image Factory at an address like https://factory.talos.dev. It is asked without credentials."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._host = urlsplit(url).netloc

    def newest(self, wanted: Minor) -> str:
        """The newest release of a minor version of Talos."""
        answer = self._ask("GET", f"{self._url}/versions", {})
        try:
            listed = [str(version) for version in answer.json()] if answer.status_code == 200 else []
        except (ValueError, TypeError):
            listed = []
        releases = [version for version in listed if RELEASE.fullmatch(version) and minor(version) == wanted]
        if not releases:
            raise BootstrapError(
                f"{self._host} lists no release of Talos {named(wanted)}, through which the way goes (status "
                f"{answer.status_code}). Set tazlab_talos.version to one of these first, and upgrade to that."
            )
        return max(releases, key=numbers)

    def has(self, image: str) -> bool | None:
        """Whether it has an installer, like C(HOST/nocloud-installer/SCHEMATIC:v1.13.8); None where it does not say."""
        host, _slash, rest = image.partition("/")
        name, _colon, version = rest.rpartition(":")
        scheme = urlsplit(self._url).scheme
        url = f"{scheme}://{host}/v2/{name}/manifests/{version}"
        status = int(self._ask("HEAD", url, {"Accept": MANIFESTS}).status_code)
        if status in (400, 404):
            return False
        return True if status == 200 else None

    def _ask(self, method: str, url: str, headers: dict[str, str]) -> t.Any:
        with bounded_session(self._url, time.monotonic() + SECONDS, tls_context(None, validate=True)) as session:
            try:
                return session.request(method, url, headers=headers, allow_redirects=True)
            except Exception as error:  # noqa: BLE001  # whatever a library raises
                reason = cause_of(error).value.replace("_", " ")
                raise BootstrapError(
                    f"{self._host} was not reached ({reason}). Check this machine's network and its certificates.",
                    code="unreached",
                ) from None
