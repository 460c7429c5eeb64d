# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to Vault for whoever changes something there: few calls, each with an outcome in our own words. Private.

Import it only when Vault is really asked: it loads hvac and requests.
"""

from __future__ import annotations

import contextlib
import time
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import TracebackType

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Aside
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.masking import register
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.causes import VaultFailure, explain
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.connection import VaultConnection, with_content
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.login import LOGIN_REFUSED, Login, hint
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_health import vault_time
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.gone import refuse_gone
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import (
    DELETED,
    DESTROYED,
    LostRace,
    StoredBundle,
)

# What the server may have done although no answer came.
_UNKNOWN_END: t.Final = ("closed", "timeout", "unknown", "too_large", "not_vault", "unavailable")
# What KV says of a write whose cas is not the newest version.
CHECK_AND_SET: t.Final = "check-and-set parameter did not match"
# What is said of an auth method that is not there.
NO_AUTH_METHOD: t.Final = "no auth engine at"
# How long one may still take back what was begun when the time for everything asked is over.
GRACE: t.Final = 5.0


@dataclass
class LoggedIn:
    """Vault as a login sees it, what its token may do, and for how many seconds. C(revoked) is known at the end."""

    vault: VaultAdmin
    policies: tuple[str, ...]
    seconds: int
    revoked: bool = False


class VaultAdmin:
    """Vault as one token sees it. C(read) and C(write) say what was tried when they fail."""

    # Said when no answer to a change came.
    unknown_end: t.ClassVar[str] = (
        " Whether it was done is not known. Run this again: what is done already is found and not done twice."
    )

    def __init__(self, settings: VaultSettings, deadline: float) -> None:
        self.settings = settings
        self._connection = VaultConnection(settings, deadline)
        self.grace = 0.0

    def __enter__(self) -> VaultAdmin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.__exit__(kind, error, traceback)

    def as_token(self, token: str, source: str) -> VaultAdmin:
        """The same Vault with another token, until the same deadline."""
        return VaultAdmin(replace(self.settings, token=token, token_source=source), self._connection.deadline)

    def beyond_deadline(self) -> VaultAdmin:
        """The same Vault for a few seconds more, whatever the deadline leaves: to take back what was begun."""
        self.grace = GRACE
        return VaultAdmin(self.settings, time.monotonic() + GRACE)

    @contextlib.contextmanager
    def logged_in(self, login: Login) -> Iterator[LoggedIn]:
        """The same Vault as whoever logs in so, until the same deadline. The token is revoked at the end."""
        register([login.secret])
        settings = replace(self.settings, token="", token_source=login.label)
        with VaultAdmin(settings, self._connection.deadline) as own:
            try:
                auth = own._connection.log_in(login)
            except VaultFailure as failure:
                if failure.status not in LOGIN_REFUSED:
                    raise self.error(failure, f"The {login.label}", f"write auth/{login.mount}/login") from None
                raise BootstrapError(hint(failure.errors), code="login_refused", status=failure.status) from None
            found = LoggedIn(own, tuple(map(str, auth.get("policies") or ())), int(auth.get("lease_duration") or 0))
            try:
                yield found
            finally:
                found.revoked = own._connection.log_out()

    @property
    def now(self) -> float:
        """The time, in seconds since the epoch, by Vault's clock as its last answer told it."""
        return time.time() + self._connection.clock_off

    def hear_clock(self) -> None:
        """Let Vault answer once, whatever it says, so that its time is known before anything is asked."""
        self._connection.why_unavailable()  # it asks without a token, and what nobody may refuse

    @property
    def seconds_left(self) -> float:
        return self._connection.deadline - time.monotonic()

    # ---------------------------------------------------------------------------------------------- edge

    def request(self, make: Callable[[t.Any], t.Any]) -> Mapping[str, t.Any]:
        """One request; the answer's JSON, or a C(VaultFailure)."""
        return self._connection.call(lambda client: with_content(make(client))).json

    def read(self, path: str, doing: str) -> Mapping[str, t.Any] | None:
        """The data at a path, or None where nothing is."""
        try:
            return _data(self.request(lambda client: client.read(path)))
        except VaultFailure as failure:
            if failure.reason == "not_found" or _no_auth_method(failure, path):
                return None
            raise self.error(failure, doing, f"read {path}") from None

    def listed(self, path: str, doing: str) -> list[str]:
        """The names below a path; none where nothing is."""
        try:
            keys = _data(self.request(lambda client: client.list(path))).get("keys")
        except VaultFailure as failure:
            if failure.reason == "not_found":
                return []
            raise self.error(failure, doing, f"list {path}") from None
        return [str(key) for key in keys or []]

    def write(
        self,
        path: str,
        body: Mapping[str, t.Any],
        doing: str,
        wrap_ttl: int | None = None,
        unknown_end: str = unknown_end,
    ) -> Mapping[str, t.Any]:
        """Write to a path; the whole answer. C(unknown_end) is said when no answer came."""
        wrap = f"{wrap_ttl}s" if wrap_ttl else None
        try:
            return self.request(lambda client: client.write_data(path, data=dict(body), wrap_ttl=wrap))
        except VaultFailure as failure:
            raise self.error(failure, doing, f"write {path}", unknown_end) from None

    def error(self, failure: VaultFailure, doing: str, what: str, unknown_end: str = "") -> BootstrapError:
        """What kept us from doing something, and the next step."""
        reason = self._connection.why_unavailable() if failure.reason == "unavailable" else failure.reason
        text = explain(reason, self.settings, status=failure.status, what=what)
        note = unknown_end if reason in _UNKNOWN_END else ""
        return BootstrapError(f"{doing}: {text}{note}", code=reason, status=failure.status)

    # ------------------------------------------------------------------------------------------ what for

    def capabilities(self, paths: Iterable[str]) -> dict[str, frozenset[str]]:
        """What the token may do on each path."""
        asked = list(dict.fromkeys(paths))
        doing = "Asking what the operator's token may do"
        try:
            answer = _data(self.request(lambda client: client.sys.get_capabilities(asked)))
        except VaultFailure as failure:
            if failure.reason != "forbidden":
                raise self.error(failure, doing, "write sys/capabilities-self") from None
            raise BootstrapError(
                f"{doing}: Vault at {self.settings.address} refused (HTTP 403). Either the token "
                f"({self.settings.token_source}) is wrong, expired or revoked, or it lacks update on "
                "sys/capabilities-self, which the default policy has. Is it a bootstrap token? That one may only read."
            ) from None
        return {path: frozenset(map(str, answer.get(path) or ())) for path in asked}

    def bundle(self, doing: str, version: int | None = None, over: int | None = None) -> StoredBundle:
        """A version of the bundle, by default the newest. A deleted version has a number and no data.

        A newest version of which values can be brought back is refused, unless C(over) is its number: whoever asks for
        the newest decides by it, and would take it for empty.
        """
        stored = self.stored(doing, version)
        if version is None:
            refuse_gone(self.settings, stored, lambda number: self.stored(doing, number), doing, over)
        return stored

    def stored(self, doing: str, version: int | None = None) -> StoredBundle:
        """A version of what lies at our path, whatever became of it."""
        settings = self.settings
        path = settings.secret_path
        asked = f"{path}?version={version}" if version else path
        try:
            data = _data(self.request(lambda client: client.read(asked)))
        except VaultFailure as failure:
            if failure.reason == "no_mount":
                return StoredBundle(mounted=False)
            if failure.reason == "not_found":
                self._prove_kv2(doing)
                return StoredBundle()
            raise self.error(failure, doing, f"read {path}") from None
        metadata, values = data.get("metadata"), data.get("data")
        if not isinstance(metadata, Mapping) or not isinstance(values, (Mapping, type(None))):
            raise BootstrapError(f"{doing}: {explain('not_kv2', settings)}")
        created = vault_time(metadata.get("created_time"))
        gone = DESTROYED if metadata.get("destroyed") is True else DELETED
        return StoredBundle(
            int(metadata.get("version") or 0),
            values or {},
            created=created.timestamp() if created else None,
            gone=gone if values is None else "",
            deletion=vault_time(metadata.get("deletion_time")),
        )

    def _prove_kv2(self, doing: str) -> None:
        """Where nothing is, KV version 1 answers like version 2, and would take a write for a secret of its own."""
        path = f"sys/internal/ui/mounts/{self.settings.mount_point}"  # open to whoever may do anything in the mount
        mount = self.read(path, f"{doing}: looking at the mount") or {}
        options = mount.get("options")
        if not isinstance(options, Mapping) or str(options.get("version")) != "2":
            raise BootstrapError(f"{doing}: {explain('not_kv2', self.settings)} Correct mount_point.")

    def write_bundle(self, values: Mapping[str, t.Any], after: int, doing: str) -> int:
        """Write a new version of the bundle, if the newest one is still C(after). C(LostRace) if it is not."""
        path = self.settings.secret_path
        body = {"options": {"cas": after}, "data": dict(values)}
        try:
            answer = self.request(lambda client: client.write_data(path, data=body))
        except VaultFailure as failure:
            said = failure.errors if isinstance(failure.errors, list) else []
            if failure.status == 400 and any(CHECK_AND_SET in str(each) for each in said):
                raise LostRace from None
            raise self.error(failure, doing, f"write {path}", self.unknown_end) from None
        return int(_data(answer).get("version") or 0)


def bounded(settings: VaultSettings, timeout: float, work: Callable[[VaultAdmin], _Result]) -> _Result:
    """Do all that is asked of Vault within C(timeout) seconds, whatever the network or a name server does."""
    if not 0 < timeout <= 3600:
        raise BootstrapError("timeout: must be more than 0 and at most 3600 seconds.")
    deadline = time.monotonic() + timeout
    admins: list[VaultAdmin] = []

    def run() -> _Result:
        with VaultAdmin(settings, deadline) as vault:
            admins.append(vault)
            return work(vault)

    asking = Aside(run)
    asking.wait(timeout + 1)
    asking.wait(sum(vault.grace for vault in admins))
    if asking.errors:
        raise asking.errors[0]
    if not asking.results:
        note = " Whether everything was done is not known. Run this again."
        raise BootstrapError(explain("timeout", settings, timeout=timeout) + note, code="timeout")
    return asking.results[0]


_Result = t.TypeVar("_Result")


def _data(answer: Mapping[str, t.Any]) -> Mapping[str, t.Any]:
    data = answer.get("data")
    return data if isinstance(data, Mapping) else {}


def _no_auth_method(failure: VaultFailure, path: str) -> bool:
    """Whether the answer is that no auth method is mounted there, as it is said of the mount and of what is below."""
    said = failure.errors if isinstance(failure.errors, list) else []
    return (failure.reason == "no_mount" and path.startswith("auth/")) or (
        failure.status == 400 and any(NO_AUTH_METHOD in str(each).lower() for each in said)
    )
