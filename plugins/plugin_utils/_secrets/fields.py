# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a field of the bundle is, and the eight that exist unless the user declares others. Private.

Modules, lookup, roles and documentation read the fields here and nowhere else.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError

KINDS = ("token", "pem", "base64key", "text")


@dataclass(frozen=True)
class Field:
    """One value of the bundle: what it must look like, and under which names the sources know it."""

    name: str
    kind: str = "token"
    required: bool = True
    pattern: str | None = None
    files: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    expression: str | None = None
    bytes: int = 32
    form: str = ""  # what the pattern asks for, in a person's words

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of its file in an anchor: as declared, else its own in kebab-case, with or without .txt."""
        kebab = kebab_case(self.name)
        return self.files or (kebab, f"{kebab}.txt")

    @property
    def variable_names(self) -> tuple[str, ...]:
        """The environment variables that may hold it: as declared, else the field's own name."""
        return self.env or (self.name,)


def logins(chosen: Mapping[str, t.Any]) -> dict[str, list[str]]:
    """The fields of each system, with those that the user chose for some of them."""
    unknown = [str(system) for system in chosen if system not in LOGINS]
    if unknown:
        raise BootstrapError(f"logins: {', '.join(unknown)} is not one of {', '.join(LOGINS)}.", code="unknown_key")
    return {system: [str(chosen[system])] if chosen.get(system) else list(names) for system, names in LOGINS.items()}


def kebab_case(name: str) -> str:
    return name.lower().replace("_", "-")


# The bundle as world.md describes it. Everything that knows a field's name, kind or fallback learns it from this table.
DEFAULT_FIELDS: t.Final[dict[str, Field]] = {
    known.name: known
    for known in (
        Field(
            "PROXMOX_TOKEN_ID",
            pattern=r"[^@!:/=]+@[^@!:/=]+![A-Za-z][A-Za-z0-9._-]*",
            form="user@realm!tokenid, as Proxmox shows it",
        ),
        Field("PROXMOX_TOKEN_SECRET"),
        Field("GITHUB_TOKEN"),
        Field("TALOS_SECRETBOX_KEY", kind="base64key", bytes=32),
        Field("TAILSCALE_OPERATOR_CLIENT_ID"),
        Field("TAILSCALE_OPERATOR_CLIENT_SECRET"),
        Field("VAULT_CA_CRT", kind="pem", files=("vault-ca-crt", "vault-ca-crt.txt", "vault-ca.crt")),
        Field("ESO_READER_TOKEN"),
    )
}

# The systems in which one logs in with fields of the bundle, and with which. For Git and the ESO reader users choose
# the field themselves. Everything that needs to know asks here.
LOGINS: t.Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "proxmox": ("PROXMOX_TOKEN_ID", "PROXMOX_TOKEN_SECRET"),
        "git": ("GITHUB_TOKEN",),
        "tailscale": ("TAILSCALE_OPERATOR_CLIENT_ID", "TAILSCALE_OPERATOR_CLIENT_SECRET"),
        "eso": ("ESO_READER_TOKEN",),
        "talos": ("TALOS_SECRETBOX_KEY",),
        "vault": ("VAULT_CA_CRT",),
    }
)

# Another value corrupts what the old one has encrypted.
FIXED_AT_BIRTH: t.Final = LOGINS["talos"]

_KEYS: t.Final = frozenset(known.name for known in fields(Field)) - {"name", "form"}
_NAME: t.Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_FILE_NAME: t.Final = re.compile(r"(?!\.{1,2}\Z)[^/\0\r\n]+")
_VARIABLE: t.Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def declared_fields(declaration: Mapping[str, t.Any] | None) -> tuple[Field, ...]:
    """Read the option C(fields). What it names replaces the eight; what it does not say of one of them stays."""
    if declaration is None:
        return tuple(DEFAULT_FIELDS.values())
    if not declaration:
        raise BootstrapError("fields: names no field. Leave the option out to get the eight default fields.")
    return tuple(_declared(str(name), options or {}) for name, options in declaration.items())


def _declared(name: str, options: t.Any) -> Field:
    where = f"fields: {name}"
    if not _NAME.fullmatch(name):
        raise BootstrapError(f"{where}: a field's name is made of letters, digits, '_', '.' and '-'.")
    if not isinstance(options, Mapping):
        raise BootstrapError(f"{where}: is not a dictionary. Write the field's options below its name, or nothing.")
    unknown = sorted(str(key) for key in options if key not in _KEYS)
    if unknown:
        raise BootstrapError(f"{where}: unknown option {', '.join(unknown)}. Known are {', '.join(sorted(_KEYS))}.")
    base = DEFAULT_FIELDS.get(name, Field(name))
    changed = {key: _READERS[key](f"{where}.{key}", value) for key, value in options.items() if value is not None}
    form = "" if "pattern" in changed else base.form
    return Field(**{**{key: getattr(base, key) for key in _KEYS}, **changed}, name=name, form=form)


def _kind(where: str, value: t.Any) -> str:
    if value not in KINDS:
        raise BootstrapError(f"{where}: must be one of {', '.join(KINDS)}.")
    return str(value)


def _boolean(where: str, value: t.Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    result = value if isinstance(value, bool) else words.get(str(value).lower())
    if result is None:
        raise BootstrapError(f"{where}: must be true or false.")
    return result


def _pattern(where: str, value: t.Any) -> str:
    try:
        re.compile(str(value))
    except (re.error, OverflowError, RecursionError):
        raise BootstrapError(f"{where}: is not a regular expression that Python understands.") from None
    return str(value)


def _length(where: str, value: t.Any) -> int:
    if isinstance(value, bool) or not str(value).isdecimal() or not 0 < int(value) <= 4096:
        raise BootstrapError(f"{where}: must be a number of bytes from 1 to 4096.")
    return int(value)


def _names(valid: re.Pattern[str], what: str) -> t.Callable[[str, t.Any], tuple[str, ...]]:
    def read(where: str, value: t.Any) -> tuple[str, ...]:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, (list, tuple)) or not all(
            isinstance(name, str) and valid.fullmatch(name) for name in names
        ):
            raise BootstrapError(f"{where}: must be a list of {what}.")
        return tuple(str(name) for name in names)

    return read


def _expression(where: str, value: t.Any) -> str:
    compile_expression(where, str(value))
    return str(value)


def compile_expression(where: str, expression: str) -> t.Any:
    """A compiled JMESPath expression. The library is imported only here: most bundles are flat."""
    try:
        import jmespath
        import jmespath.exceptions
    except ImportError:
        raise BootstrapError(
            f"{where}: needs the Python package jmespath on the controller: pip install jmespath."
        ) from None
    try:
        return jmespath.compile(expression)
    except (jmespath.exceptions.JMESPathError, ValueError):
        raise BootstrapError(f"{where}: is not a JMESPath expression.") from None


_READERS: t.Final[dict[str, t.Callable[[str, t.Any], t.Any]]] = {
    "kind": _kind,
    "required": _boolean,
    "pattern": _pattern,
    "files": _names(_FILE_NAME, "file names without a directory"),
    "env": _names(_VARIABLE, "names of environment variables"),
    "expression": _expression,
    "bytes": _length,
}
