# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a token is kept: a private file, or a field of the bundle; never the recovery anchor. Private."""

from __future__ import annotations

import contextlib
import os
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, InvalidValue
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import (
    PrivateFile,
    write_private_file,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.kinds import clean_token, strip_token
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Found, Provenance
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import ROTATED
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.gone import given_up
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import plan_present, update_bundle

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

# How many versions of the bundle are searched for tokens that it held before.
OLDER_VERSIONS: t.Final = 20


class Store(t.Protocol):
    """Where a token is kept."""

    place: str

    def read(self) -> str | None:
        """The token that is there, or None."""

    def reserved(self) -> contextlib.AbstractContextManager[Callable[[str], None]]:
        """Make sure that a token can be stored, before there is one; what it gives stores it."""

    def may_hold(self, token: str) -> bool:
        """Whether the token may be there, after storing it has failed."""


class FileStore:
    """A private file. C(superseded) holds the token that is being replaced, until that one has ended.

    C(before) holds what the file held and nobody has ended: it may be all that somebody else has of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path)
        self.superseded = path.with_name(f"{path.name}.superseded")
        self.before = path.with_name(f"{path.name}.before")

    def read(self) -> str | None:
        return token_in(self.path)

    def set_aside(self, token: str) -> None:
        """Keep a token beside the file, which is about to hold another one."""
        kept = (read_text(self.before).text or "").splitlines()
        if token not in kept:
            write_private_file(self.before, "".join(f"{line}\n" for line in (*kept, token)))

    @contextlib.contextmanager
    def reserved(self) -> Iterator[Callable[[str], None]]:
        with PrivateFile(self.path) as file:
            yield lambda token: file.store(f"{token}\n")

    def may_hold(self, token: str) -> bool:
        return self.read() == token


class BundleStore:
    """A field of the bundle, written by check-and-set."""

    def __init__(self, vault: VaultAdmin, known: Field, over: int | None = None) -> None:
        self.bundle = f"{vault.settings.mount_point}/{vault.settings.path}"
        self.place = f"{known.name} in {self.bundle}"
        self.warnings: list[str] = []
        self.known = known
        self._vault = vault
        self._over = over

    def read(self) -> str | None:
        stored = self._vault.bundle(f"Reading {self.place}", over=self._over)
        self.warnings = [given_up(self.bundle, stored)] if stored.gone else []
        value = stored.data.get(self.known.name)
        return _cleaned(value) if isinstance(value, str) else None

    def former(self) -> list[str]:
        """Other tokens that older versions of the bundle hold: a rotation that was interrupted may have left them."""
        doing = f"Reading older versions of {self.place}"
        newest = self._vault.bundle(doing, over=self._over)
        now = newest.data.get(self.known.name)
        values = []
        for version in range(newest.version - 1, max(0, newest.version - 1 - OLDER_VERSIONS), -1):
            older = self._vault.bundle(doing, version)
            if not older.version:
                break
            values.append(older.data.get(self.known.name))
        current = _cleaned(now) if isinstance(now, str) else None
        tokens = dict.fromkeys(_cleaned(value) for value in values if isinstance(value, str))
        return [token for token in tokens if token and token != current]

    @contextlib.contextmanager
    def reserved(self) -> Iterator[Callable[[str], None]]:
        yield self._write

    def may_hold(self, token: str) -> bool:
        """A write without an answer may have arrived. An unused token dies by itself; a revoked one in use hurts."""
        return True

    def _write(self, token: str) -> None:
        wanted = {self.known.name: Found(token, Provenance("issued", "vault", "issued just now"))}
        update_bundle(
            self._vault,
            lambda stored: plan_present((self.known,), wanted, stored.data),
            check_mode=False,
            doing=f"Writing {self.place}",
            over=self._over,
        )


def token_in(path: Path, within: Path | None = None) -> str | None:
    content = read_text(path, within=within)
    return None if content.text is None else _cleaned(content.text)


def _cleaned(raw: str) -> str | None:
    try:
        return clean_token(raw) if strip_token(raw) else None
    except InvalidValue:
        return None


def refuse_other(path: Path) -> None:
    """Refuse a file that holds anything but a token: it is somebody's, and was named by mistake."""
    content = read_text(path)
    if content.text is None:
        problem = content.problem if os.access(path, os.F_OK) else None  # a link to nothing is nothing
    elif not strip_token(content.text) or _cleaned(content.text):
        problem = None
    else:
        problem = "holds something that is not a token"
    if problem:
        raise BootstrapError(
            f"dest: {path} {problem}. Nothing was changed. Name a file for the token alone, or one that does not exist "
            "yet (tazlab_vault_token_file, for a wrapping token vault_bootstrap_wrapped_file), or move this one away."
        )


def refuse_anchor(path: Path, anchor: Path, copying: str) -> None:
    """The recovery anchor is never written: its owner copies by hand, which C(copying) says how to do."""
    if not path.parent.resolve().is_relative_to(anchor.resolve()):
        return
    raise BootstrapError(
        f"dest: {path} is inside the recovery anchor {anchor}, which is never written. Leave dest out, so that the "
        f"token goes to ~/{ROTATED}, then keep a copy by hand:\n  {copying}"
    )
