# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""hvac's client on one connection with one deadline, for whoever reads or changes something in Vault. Private.

Import it only when Vault is really asked: it loads hvac and requests, which takes longer than everything else here.
"""

from __future__ import annotations

import ssl
import time
import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

try:
    import hvac
    from hvac.adapters import RawAdapter

    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.transport import (
        bounded_session,
        handshake,
        tls_context,
    )
except ImportError:
    HAS_HVAC = False
else:
    HAS_HVAC = True

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.masking import register
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.causes import (
    PAUSE,
    RETRIED,
    VaultFailure,
    answer_failure,
    failure_of,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.login import APPROLE, Login
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings

PAUSES: t.Final = (PAUSE, 3 * PAUSE)
CLOCK_GRAIN: t.Final = 2.0  # seconds
LISTEN: t.Final = 1.0  # seconds


@dataclass(frozen=True)
class Answer:
    """An answer that is Vault's: its status, and its JSON."""

    status: int
    json: Mapping[str, t.Any]

    @property
    def data(self) -> Mapping[str, t.Any]:
        data = self.json.get("data")
        return data if isinstance(data, dict) else {}


class VaultConnection:
    """hvac's client on one connection with one deadline. C(call) turns whatever happens into an answer or a failure."""

    def __init__(self, settings: VaultSettings, deadline: float) -> None:
        if not HAS_HVAC:
            raise BootstrapError("Asking Vault needs the Python package hvac on the controller: pip install hvac.")
        self.settings = settings
        self.deadline = deadline
        self.clock_off = 0.0  # seconds by which the server's clock is ahead, as its answers tell
        try:
            context = tls_context(settings.ca_pem, settings.validate_certs)
        except ssl.SSLError:
            raise BootstrapError(f"{settings.ca_source}: the TLS library cannot read its certificates.") from None
        if settings.client_certificate:
            try:
                context.load_cert_chain(*settings.client_certificate, password="")  # it asks for none
            except (OSError, ssl.SSLError):
                raise BootstrapError(
                    "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY (or BAO_...): the TLS library cannot use them together. Is "
                    "it the certificate's own key, in PEM, without a passphrase?"
                ) from None
        self._context = context
        self._session = bounded_session(settings.url, deadline, context, settings.tls_server_name, settings.proxy)
        self.client = hvac.Client(
            url=settings.url,
            token=settings.token or None,
            verify=self._session.verify,
            session=self._session,
            adapter=RawAdapter,
            namespace=settings.namespace,
            allow_redirects=False,
            ignore_exceptions=True,
        )

    def __enter__(self) -> VaultConnection:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._session.close()

    def log_in(self, login: Login) -> Mapping[str, t.Any]:
        """Log in, and act with the token that comes of it: what Vault says of it, its value apart."""
        auth = self.client.auth
        if login.method == APPROLE:
            secret_id = login.secret or None
            answer = self.call(
                lambda _client: auth.approle.login(
                    login.name, secret_id=secret_id, use_token=False, mount_point=login.mount
                )
            )
        else:
            answer = self.call(
                lambda _client: auth.jwt.jwt_login(login.name or None, login.secret, use_token=False, path=login.mount)
            )
        given = answer.json.get("auth")
        given = dict(given) if isinstance(given, dict) else {}
        self.client.token = given.pop("client_token", None)
        if not self.client.token:
            raise VaultFailure("not_vault", answered=True, status=answer.status)
        register([self.client.token])
        return given

    def ignores_namespaces(self) -> bool:
        """Whether this is Vault's community edition, which takes every namespace for its only one.

        It says so since 1.16 (sys/health, C(enterprise)); OpenBao has no such field, and namespaces.
        """
        try:
            return self.call(lambda client: client.sys.read_health_status(method="GET")).json.get("enterprise") is False
        except VaultFailure:
            return False

    def wrapped_by(self) -> str | None:
        """The path whose answer our token stands for; none for one that is no wrapping token. It is not used up."""
        token, self.client.token = self.client.token, None
        try:
            answer = self.call(lambda client: client.adapter.post("/v1/sys/wrapping/lookup", json={"token": token}))
        except VaultFailure as failure:
            if failure.errors is None:
                raise
            return None  # Vault's own refusal: it is of another kind, or may not be asked about
        finally:
            self.client.token = token
        return str(answer.data.get("creation_path") or "?")

    def unwrap(self) -> bool:
        """Act with the token that our wrapping token stands for, from now on. Return whether it stood for one."""
        try:
            answer = self.call(lambda client: client.sys.unwrap())
        except VaultFailure:
            return False
        auth = answer.json.get("auth")
        self.client.token = auth.get("client_token") if isinstance(auth, dict) else None
        register([self.client.token or ""])
        return bool(self.client.token)

    def log_out(self) -> bool:
        """Revoke the token that we act with. Return whether Vault has done so."""
        try:
            self.call(lambda client: with_content(client.auth.token.revoke_self()))
        except VaultFailure:
            return False
        return True

    def why_unavailable(self) -> str:
        """Ask, without a token, whether the server is sealed, or not even initialised: the reason."""
        token, self.client.token = self.client.token, None
        try:
            status = self.call(lambda client: client.sys.read_seal_status()).json
        except VaultFailure:
            return "unavailable"
        finally:
            self.client.token = token
        if status.get("initialized") is False:
            return "not_initialised"
        return "sealed" if status.get("sealed") is True else "unavailable"

    def call(self, request: Callable[[hvac.Client], t.Any]) -> Answer:
        """Make one request; again when nothing was sent or when the server says so, as long as the deadline allows."""
        tries = 0
        while True:
            try:
                return self._once(request)
            except VaultFailure as failure:
                pause = _pause(failure, tries)
                if pause is None or time.monotonic() + pause >= self.deadline:
                    raise
                tries += 1
                time.sleep(pause)

    def _once(self, request: Callable[[hvac.Client], t.Any]) -> Answer:
        try:
            response = request(self.client)
        except VaultFailure:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a library raises may quote the token
            raise self._refusal(failure_of(error)) from None
        self.clock_off = _clock_off(response.headers.get("Date"), time.time())
        failure = answer_failure(response.status_code, response.headers, response.content)
        if failure:
            raise failure
        return Answer(response.status_code, response.json())

    def _refusal(self, failure: VaultFailure) -> VaultFailure:
        """The same, or why the server does not want this client, where that was lost with the connection.

        TLS 1.3 lets it judge our certificate after our side of the handshake. A request that is on its way by then
        makes the kernel reset the connection, and the alert may be gone with it: who only listens gets to hear it.
        """
        seconds = min(LISTEN, (self.deadline - time.monotonic()) / 3)  # for each of connecting, shaking, listening
        direct = self.settings.url.startswith("https:") and not self._session.proxies
        if failure.reason != "closed" or not direct or seconds <= 0:
            return failure
        try:
            handshake(self.settings.url, self._context, self.settings.tls_server_name, seconds, listen=True)
        except OSError as error:
            heard = failure_of(error)
            return heard if heard.reason.startswith("tls") else failure
        return failure


def with_content(response: t.Any) -> t.Any:
    """Vault answers many a write with 204 and no content: an empty object says the same."""
    if response.status_code == 204:
        response.status_code, response._content = 200, b'{"data": {}}'
    return response


def _clock_off(date: str | None, now: float) -> float:
    """How far a server's clock is ahead; 0 where it does not tell, or where it tells no more than its whole seconds."""
    try:
        off = parsedate_to_datetime(date or "").timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return off if abs(off) > CLOCK_GRAIN else 0.0


def _pause(failure: VaultFailure, tries: int) -> float | None:
    """The seconds until the next try, if there is one. Who asks for none at all is asked less and less often."""
    if failure.retry_after is not None:
        return max(failure.retry_after, PAUSE * float(2**tries))
    return PAUSES[tries] if failure.reason in RETRIED and tries < len(PAUSES) else None
