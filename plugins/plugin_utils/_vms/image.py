# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Image Factory's disk image: which it is, and where it is downloaded. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError

VERSION = re.compile(r"v?\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?")
SCHEMATIC = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Image:
    """A disk image of Talos: the nocloud platform, which takes its address from the VM's cloud-init drive."""

    schematic: str
    version: str
    factory_url: str

    @classmethod
    def read(cls, schematic: str, version: str, factory_url: str) -> Image:
        image = cls(schematic.strip(), f"v{version.strip().removeprefix('v')}", factory_url.strip().rstrip("/"))
        if not SCHEMATIC.fullmatch(image.schematic):
            raise BootstrapError("schematic: it is not an id of the Image Factory, which has 64 hexadecimal digits.")
        if not VERSION.fullmatch(image.version):
            raise BootstrapError(f"version: {version!r} is not a version of Talos such as v1.12.6.")
        if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", image.factory_url):
            raise BootstrapError(
                "factory_url: it is not an address such as https://factory.talos.dev (without user or query)."
            )
        return image

    @property
    def filename(self) -> str:
        return f"talos-{self.version}-{self.schematic[:12]}-nocloud-amd64.qcow2"

    @property
    def url(self) -> str:
        return f"{self.factory_url}/image/{self.schematic}/{self.version}/nocloud-amd64.qcow2"

    def volid(self, storage: str) -> str:
        return f"{storage}:import/{self.filename}"
