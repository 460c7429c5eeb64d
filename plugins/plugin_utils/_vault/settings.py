# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom to ask and with what: the options of Vault, completed from the environment, token files and the anchor's CA.

No network here. Private: other collections must not import it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, InvalidValue
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import Content, exposed, read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import DEFAULT_FIELDS, Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.kinds import clean_token, strip_token
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.pem import certificates
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.environment import (
    authorities_of,
    client_certificate,
    variable,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.login import Login, NoLogin, login_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import VAULT_OPTIONS

DEFAULT_MOUNT: t.Final[str] = VAULT_OPTIONS["mount_point"]["default"]
DEFAULT_PATH: t.Final[str] = VAULT_OPTIONS["path"]["default"]
# Where a token may lie: where rotation puts it, and in the anchor.
ROTATED: t.Final = ".config/tazlab/bootstrap-token"
IN_ANCHOR: t.Final = "bootstrap-token.txt"


@dataclass(frozen=True)
class VaultSettings:
    """Everything that decides what Vault answers, and how it is known to be Vault."""

    url: str
    token: str = field(repr=False)
    token_source: str
    ca_pem: str | None = field(default=None, repr=False)
    ca_source: str = "the system's store"
    ca_file: Path | None = None
    validate_certs: bool = True
    namespace: str | None = None
    mount_point: str = DEFAULT_MOUNT
    path: str = DEFAULT_PATH
    version: int | None = None
    asks_if_wrapped: bool = False  # the token may be a wrapping token, which its first use would use up
    unwrap: bool = False
    login: Login | None = None  # instead of the token, which is empty then
    client_certificate: tuple[str, str] | None = None  # its file, and its key's
    tls_server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)  # its address may hold a login
    warnings: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def address(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.url).netloc

    @property
    def secret_path(self) -> str:
        return f"{self.mount_point}/data/{self.path}"

    def key(self) -> bytes:
        """What identifies the outcome in a run: what is asked, with which token and trust; not how long one waits."""
        asked = [
            self.url,
            self.token,
            self.unwrap,
            self.login and astuple(self.login),
            self.ca_pem,
            self.validate_certs,
            self.namespace,
            self.mount_point,
            self.path,
            self.version,
            self.client_certificate,
            self.tls_server_name,
            self.proxy,
        ]
        return hashlib.sha256(json.dumps(asked).encode()).digest()


@dataclass(frozen=True)
class NoVault:
    """Why Vault cannot even be asked. Like an unreachable Vault, this lets the fallback answer."""

    reason: str
    message: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class TokenPlace:
    """A place where a token may be: what it is called, and what is there.

    C(must_exist): the user named this file. C(variable): it is this variable of the environment.
    """

    label: str
    path: Path | None = None
    raw: str | Content | None = field(default=None, repr=False)
    must_exist: bool = False
    variable: str = ""

    @property
    def problem(self) -> str | None:
        return self.raw.problem if isinstance(self.raw, Content) else None

    @property
    def text(self) -> str | None:
        return self.raw.text if isinstance(self.raw, Content) else self.raw

    @property
    def lacks_file(self) -> bool:
        return self.must_exist and self.text is None

    @property
    def has_value(self) -> bool:
        return self.text is not None and bool(strip_token(self.text))

    def exposed(self) -> str | None:
        """A warning where others may read the file."""
        return exposed(self.path, self.raw) if self.path and isinstance(self.raw, Content) else None

    def token(self, whose: str, advice: str) -> str:
        """The token without what surrounds it."""
        try:
            return clean_token(self.text or "")
        except InvalidValue as error:
            raise BootstrapError(f"{whose} from {self.label} {error}. {advice}", code="invalid_token") from None


def vault_settings(
    options: Mapping[str, t.Any],
    *,
    environ: Mapping[str, str],
    home: Path,
    fields: Iterable[Field] = (),
) -> VaultSettings | NoVault:
    """Complete the options of a module or lookup. What is malformed raises; what is absent is a C(NoVault)."""
    anchor = expand(options.get("anchor") or ANCHOR, home)
    mount = _path("mount_point", options.get("mount_point") or DEFAULT_MOUNT)
    path = _path("path", options.get("path") or DEFAULT_PATH)
    version = _version(options.get("version"))
    warnings: list[str] = []
    url = _url(options.get("url"), environ, warnings)
    namespace = _namespace(options.get("namespace") or variable(environ, "NAMESPACE", warnings)[1])
    login = login_of(options)
    token = _token(options, environ, home, anchor, warnings) if login is None else None
    if url is None:
        return NoVault("no_url", "No address of Vault: set url (tazlab_vault_url), or VAULT_ADDR.")
    if isinstance(login, NoLogin):
        return NoVault("no_token", login.message)
    if isinstance(token, NoVault):
        return token
    validate = _validate_certs(options.get("validate_certs"), environ, warnings)
    if url.startswith("http://") and not _is_loopback(urlsplit(url)):
        warnings.append("Vault's url is http: the token and every secret cross the network in clear. Use https.")
    ca_pem, ca_source, ca_file = None, "nothing: certificates are not verified", None
    if validate:
        ca_pem, ca_source, ca_file = _ca(options.get("ca_cert"), environ, home, anchor, fields, warnings)
    return VaultSettings(
        url=url,
        token=token[0] if token else "",
        token_source=token[1].label if token else login.label if login else "",
        asks_if_wrapped=bool(token and token[1].path is None),
        unwrap=options.get("unwrap") is True,
        ca_pem=ca_pem,
        ca_source=ca_source,
        ca_file=ca_file,
        validate_certs=validate,
        namespace=namespace,
        mount_point=mount,
        path=path,
        version=version,
        login=login,
        client_certificate=client_certificate(environ, home, warnings),
        tls_server_name=variable(environ, "TLS_SERVER_NAME", warnings)[1] or None,
        proxy=_proxy(environ, warnings),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def expand(path: str, home: Path) -> Path:
    """A path with ~ replaced by the home directory we were told."""
    text = str(path)
    # pathlib raises for the home of a user that does not exist, as it does for a name that is too long.
    return home / text[2:] if text == "~" or text.startswith("~/") else Path(os.path.expanduser(text))  # noqa: PTH111


_BASE64: t.Final = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")  # a key may hold a slash, or begin with one


def named(option: str, path: str, home: Path) -> str:
    """An option and its path, for messages. What is not a path may be a misplaced secret, and is not quoted."""
    full = expand(path, home)
    in_directory = full.parent.is_dir() and full.parent != full.parent.parent
    looks = "/" in path and (in_directory or not _BASE64.fullmatch(path))
    if path.isprintable() and (looks or os.path.exists(full)):  # noqa: PTH110
        return f"{option} {full}"
    return f"{option} (which holds no path)"


def _url(option: t.Any, environ: Mapping[str, str], warnings: list[str]) -> str | None:
    for name, value in (("url", option), variable(environ, "ADDR", None if option else warnings)):
        text = strip_token(str(value or "")).rstrip("/")
        if text:
            return _checked_url(name, text)
    return None


def _checked_url(name: str, text: str) -> str:
    try:
        parts = urlsplit(text)
        valid = bool(
            re.fullmatch(r"[!-~]+", text)
            and parts.scheme in ("http", "https")
            and parts.hostname
            and parts.port != 0
            and not parts.query
            and not parts.fragment
        )
    except ValueError:
        valid = False
    if not valid:
        raise BootstrapError(f"{name}: is not an address of a Vault server, like https://vault.example.ts.net:8200.")
    if parts.username is not None or parts.password is not None:
        raise BootstrapError(f"{name}: holds a user or password. Vault takes a token: give it as token or token_file.")
    if parts.path.startswith("/v1"):
        raise BootstrapError(
            f"{name}: ends in /v1. Give the server's address alone; mount_point and path say the rest."
        )
    return text


def _proxy(environ: Mapping[str, str], warnings: list[str]) -> str | None:
    """The proxy for Vault alone, which C(vault) and C(bao) take before the one for everything."""
    for purpose in ("PROXY_ADDR", "HTTP_PROXY"):
        name, address = variable(environ, purpose, warnings)
        if not address:
            continue
        if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
            raise BootstrapError(f"{name}: is not the address of a proxy, like http://proxy.example.net:3128.")
        return address
    return None


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _path(name: str, value: t.Any) -> str:
    text = str(value).strip("/")
    if not re.fullmatch(r"[^\x00-\x1f\x7f?#%\\]+", text) or any(part in ("", ".", "..") for part in text.split("/")):
        raise BootstrapError(f"{name}: is not a path in Vault, like {DEFAULT_PATH}.")
    return text


def _version(value: t.Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not str(value).isdecimal() or int(value) < 1:
        raise BootstrapError("version: must be the number of a version, 1 or higher. Leave it out for the newest.")
    return int(value)


def _namespace(value: t.Any) -> str | None:
    text = str(value or "").strip()
    if text and not re.fullmatch(r"[!-~]+", text):
        raise BootstrapError("namespace: is not a valid name of a namespace in Vault, like admin/home.")
    return text or None


_FALSE: t.Final = ("", "0", "f", "false", "n", "no", "off")


def _validate_certs(option: t.Any, environ: Mapping[str, str], warnings: list[str]) -> bool:
    name, skip = variable(environ, "SKIP_VERIFY", None if option is not None else warnings)
    if option is None and skip.lower() not in _FALSE:
        warnings.append(f"{name} is set: nothing proves that the server is Vault. Give ca_cert instead.")
        return False
    if option is False:
        warnings.append("validate_certs is off: nothing proves that the server is Vault. Give ca_cert instead.")
        return False
    return True


def _token(
    options: Mapping[str, t.Any], environ: Mapping[str, str], home: Path, anchor: Path, warnings: list[str]
) -> tuple[str, TokenPlace] | NoVault:
    """The first token that is there, and where it was."""
    for place in _tokens(options, environ, home, anchor):
        if place.problem:
            raise BootstrapError(f"Vault's token from {place.label}: the file {place.problem}.", code="invalid_token")
        if place.lacks_file:
            return NoVault(
                "no_token",
                f"No token for Vault: {place.label} does not exist. Write the token there, or give it as token.",
            )
        if not place.has_value:
            continue
        warning = place.exposed()
        warnings += [warning] if warning else []
        if place.variable:
            variable(environ, "TOKEN", warnings)
        return place.token("Vault's token", "Put the token alone there, on one line."), place
    return NoVault(
        "no_token",
        f"No token for Vault. Tried token, token_file, VAULT_TOKEN, BAO_TOKEN, ~/{ROTATED} and "
        f"{anchor / IN_ANCHOR}. Put the scoped token into one of them.",
    )


def _tokens(options: Mapping[str, t.Any], environ: Mapping[str, str], home: Path, anchor: Path) -> Iterator[TokenPlace]:
    yield from given_tokens(options, environ, home)
    rotated, kept = home / ROTATED, anchor / IN_ANCHOR
    yield TokenPlace(f"file ~/{ROTATED}", rotated, read_text(rotated))
    yield TokenPlace(f"file {kept}", kept, read_text(kept, within=anchor))


def given_tokens(options: Mapping[str, t.Any], environ: Mapping[str, str], home: Path) -> Iterator[TokenPlace]:
    """Where a user gives a token: the options, then the environment."""
    token = options.get("token")
    yield TokenPlace("option token", raw=None if token is None else str(token))
    given = options.get("token_file")
    if given:
        path = expand(given, home)
        yield TokenPlace(named("token_file", str(given), home), path, read_text(path), must_exist=True)
    for name in ("VAULT_TOKEN", "BAO_TOKEN"):
        yield TokenPlace(f"environment {name}", raw=environ.get(name), variable=name)


def _ca(
    option: t.Any,
    environ: Mapping[str, str],
    home: Path,
    anchor: Path,
    fields: Iterable[Field],
    warnings: list[str],
) -> tuple[str | None, str, Path | None]:
    """The certificates to trust, where they were found in words, and the file; None is the system's store."""
    for name, path in (("ca_cert", option), variable(environ, "CACERT", None if option else warnings)):
        if path:
            content = read_text(expand(path, home))
            problem = _ca_problem(content)
            if problem:
                raise BootstrapError(f"{named(f'{name}:', str(path), home)} {problem}.")
            file = expand(path, home)
            return content.text, f"{name} {file}", Path(os.path.abspath(file))  # noqa: PTH100  # a link stays one
    name, directory = variable(environ, "CAPATH", warnings)
    if directory:
        text = authorities_of(expand(directory, home))
        problem = _ca_problem(Content(text or None, problem=None if text else "holds no file with a certificate"))
        if problem:
            raise BootstrapError(f"{named(f'{name}:', directory, home)} {problem}.")
        return text, f"{name} {expand(directory, home)}", None
    declared = {known.name: known for known in fields}
    for name in declared.get("VAULT_CA_CRT", DEFAULT_FIELDS["VAULT_CA_CRT"]).file_names:
        content = read_text(anchor / name, within=anchor)
        if content.text is None and content.problem is None:
            continue
        problem = _ca_problem(content)
        if problem is None:
            return content.text, f"file {anchor / name}", Path(os.path.abspath(anchor / name))  # noqa: PTH100
        warnings.append(f"The anchor's copy of Vault's CA is not used: {anchor / name} {problem}.")
    return None, "the system's store", None


def _ca_problem(content: Content) -> str | None:
    if content.text is None:
        return content.problem or "does not exist"
    try:
        found = certificates(content.text)
    except InvalidValue as error:
        return str(error)
    if not found:
        return "holds no certificate"
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found)
    except ssl.SSLError:
        return "holds a certificate that the TLS library cannot read"
    return None
