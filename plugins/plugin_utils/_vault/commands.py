# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands about Vault and the recovery anchor that we print for people to paste. Private.

Each is one line for a POSIX shell, bash or zsh, with every word quoted and no secret in any argv. One that writes a
file or an entry changes nothing when it fails: what comes is held by the shell, since C(bao) ends with status 0 when a
full disk has cut its output off, and must not be empty; then it is written beside the file and moved over it.
"""

from __future__ import annotations

import json
import shlex
import shutil
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.keepers import FileKeeper, Keeper, StoreKeeper
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import ROTATED, VaultSettings

TOOLS: t.Final = ("bao", "vault")

# What somebody has exported must not lead to another server, namespace or form of the answer, nor wrap it: a wrapped
# answer to unwrapping would be the end of the token. An exported agent's address wins even over -address.
_ALONE: t.Final = (
    "for n in AGENT_ADDR CACERT CAPATH FORMAT NAMESPACE SKIP_VERIFY TLS_SERVER_NAME WRAP_TTL; "
    "do unset BAO_$n VAULT_$n; done; "
)
_SIGNALS: t.Final = "trap 'exit 1' HUP INT TERM; "
_UNCHANGED: t.Final = " || { s=$?; printf '%s\\n' \"$f is as it was\" >&2; exit $s; }"


@dataclass(frozen=True)
class Tool:
    """The client of Vault or OpenBao, which take the same commands."""

    name: str = TOOLS[0]
    installed: bool = True

    @property
    def note(self) -> str:
        """What to do first, where there is something to do first."""
        if self.installed:
            return ""
        return "Neither bao nor vault is on PATH: install bao (OpenBao's client), or vault and write vault for bao."

    @property
    def line(self) -> str:
        """The same as a line of its own below others."""
        return f"\n{self.note}" if self.note else ""


def vault_tool(search_path: str | None = None) -> Tool:
    """The client that is installed: C(bao) if it is found, else C(vault)."""
    for name in TOOLS:
        if shutil.which(name, path=search_path):
            return Tool(name)
    return Tool(installed=False)


def take(tool: Tool, settings: VaultSettings, field: str, keeper: Keeper, version: int | None = None) -> str:
    """How the anchor's owner takes over what Vault has. KV's own command gives a field byte for byte."""
    words = [f"-mount={settings.mount_point}", f"-field={field}", settings.path]
    if version is not None:
        words.insert(1, f"-version={version}")
    return _kept(_call(tool, settings, ("kv", "get"), *words), keeper, alone=_ALONE)


def copy(source: Path, keeper: Keeper) -> str:
    """How the anchor's owner takes over a token from its file."""
    return _kept(shlex.join(["cat", str(source)]), keeper)


def unwrap(tool: Tool, settings: VaultSettings, wrapped: str) -> str:
    """How another machine gets its token out of the wrapping token, which serves once.

    So there must be room for the token before it is asked for, and once it has come it is never removed. The files lie
    in the directory in which this is run: the wrapping token in C(wrapped), and the CA under its own name.
    """
    call = _call(tool, settings, ("unwrap",), "-field=token", ca_file=settings.ca_file and Path(settings.ca_file.name))
    target = Path(ROTATED)
    return (
        f"(umask 077; {_ALONE}f=~/{target}; t=; k=; "
        """trap '[ "$k" ] && [ -s "$t" ] && printf "%s\\n" "the token is in $t" >&2 || rm -f "$t"' EXIT; """
        f"""{_SIGNALS}mkdir -p ~/{target.parent} && [ ! -d "$f" ] && t=$(mktemp "$f.XXXXXX") && """
        f"""printf %4096s . >| "$t" && : >| "$t" && w=$({shlex.join(["cat", wrapped])}) && [ -n "$w" ] && """
        f"""export BAO_TOKEN="$w" VAULT_TOKEN="$w" && v=$({call}) && [ -n "$v" ] && """
        f"""printf '%s\\n' "$v" >| "$t" && k=1 && mv -f "$t" "$f"{_UNCHANGED})"""
    )


def revoke(tool: Tool, settings: VaultSettings, accessor: str) -> str:
    """How an operator ends a token that nobody holds."""
    return _alone(_call(tool, settings, ("token", "revoke"), "-accessor", accessor))


def enable_versioning(tool: Tool, settings: VaultSettings, mount: str) -> str:
    """How an operator makes version 2 of a KV secrets engine of version 1."""
    return _alone(_call(tool, settings, ("kv", "enable-versioning"), f"{mount}/"))


def write(tool: Tool, settings: VaultSettings, path: str, body: Mapping[str, t.Any]) -> str:
    """How an operator writes to a path what is no secret."""
    given = shlex.join(["printf", "%s", json.dumps(dict(body))])
    return f"({_ALONE}{given} | {_call(tool, settings, ('write',), path, '-')})"


def undelete(tool: Tool, settings: VaultSettings, version: int) -> str:
    """How an operator brings a deleted version back; a deletion to come is put off or called off by it as well."""
    return _alone(_call(tool, settings, ("kv", "undelete"), *_in_mount(settings, f"-versions={version}")))


def rollback(tool: Tool, settings: VaultSettings, version: int) -> str:
    """How an operator makes the values of an older version the newest ones."""
    return _alone(_call(tool, settings, ("kv", "rollback"), *_in_mount(settings, f"-version={version}")))


def _in_mount(settings: VaultSettings, option: str) -> tuple[str, str, str]:
    return f"-mount={settings.mount_point}", option, settings.path


def login(tool: Tool, settings: VaultSettings | None) -> str:
    """How an operator gets a token, which is not shown; C(settings) where Vault's address is known already."""
    return _alone(_call(tool, settings, ("login", "-no-print"))) if settings else f"{tool.name} login -no-print"


def _call(tool: Tool, settings: VaultSettings, verb: tuple[str, ...], *words: str, ca_file: Path | None = None) -> str:
    """The client's call, which says itself where to go: C(bao) would prefer an exported BAO_ADDR to a VAULT_ADDR."""
    ca_file = ca_file or settings.ca_file
    options = [f"-address={settings.url}"]
    options += [f"-ca-cert={ca_file}"] if ca_file else []
    options += [] if settings.validate_certs else ["-tls-skip-verify"]
    options += [f"-namespace={settings.namespace}"] if settings.namespace else []
    return shlex.join([tool.name, *verb, *options, *words])


def _alone(call: str) -> str:
    return f"({_ALONE}{call})"


def _kept(read: str, keeper: Keeper, alone: str = "") -> str:
    """Put what a command prints where the anchor's owner keeps it; in words, where we do not know how."""
    got = f"""v=$({read} && printf x) && [ "$v" != x ] && """  # the x keeps the shell from cutting newlines off the end
    if isinstance(keeper, FileKeeper):
        return (
            f"""(umask 077; {alone}f={shlex.quote(str(keeper.path))}; t=; trap 'rm -f "$t"' EXIT; {_SIGNALS}{got}"""
            """[ ! -d "$f" ] && t=$(mktemp "$f.XXXXXX") && printf %s "${v%x}" >| "$t" && mv -f "$t" "$f\""""
            f"{_UNCHANGED})"
        )
    if isinstance(keeper, StoreKeeper):
        return f"""({alone}{got}printf %s "${{v%x}}" | {shlex.join(keeper.insert)})"""
    shown = _alone(read) if alone else read
    if keeper.argv:
        return f"put what {shown} prints where {shlex.join(keeper.argv)} finds it"
    return f"put what {shown} prints where you keep what a recovery needs (no provider says where that is)"
