# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the archive that a release is: what ansible-galaxy packs, but the same bytes for the same commit.

ansible-galaxy writes the moment of building into it, and the order in which a file system lists its directories.
C(./dev build [DIRECTORY]) puts it into the directory, by default this one.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MANIFEST, FILES = "MANIFEST.json", "FILES.json"


def build(directory: Path) -> Path:
    """The archive's path, in a directory that is made if need be. Its time is that of the commit."""
    directory.mkdir(parents=True, exist_ok=True)
    moment = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    with tempfile.TemporaryDirectory() as work:
        galaxy = ["ansible-galaxy", "collection", "build", "--output-path", work]
        subprocess.run(galaxy, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        (built,) = Path(work).glob("*.tar.gz")
        archive = directory / built.name
        archive.write_bytes(normal(built.read_bytes(), int(moment)))
    return archive


def normal(archive: bytes, moment: int) -> bytes:
    """The same archive with its entries in order, and with this time (seconds since the epoch) on all of them."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as given:
        members = {member.name: member for member in given}
        content = {name: given.extractfile(member).read() for name, member in members.items() if member.isfile()}  # type: ignore[union-attr]
    files = json.loads(content[FILES])
    files["files"].sort(key=lambda entry: entry["name"])
    content[FILES] = _json(files)
    manifest = json.loads(content[MANIFEST])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(content[FILES]).hexdigest()
    content[MANIFEST] = _json(manifest)
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=moment) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archived,
    ):
        for name in sorted(members, key=lambda name: (name not in (MANIFEST, FILES), name)):
            member = members[name]
            member.mtime = moment
            member.pax_headers = {}
            member.size = len(content.get(name, b""))
            archived.addfile(member, io.BytesIO(content[name]) if name in content else None)
    return packed.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode()


if __name__ == "__main__":
    print(build(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
