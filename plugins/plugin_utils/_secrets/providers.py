# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fallback sources: environment variables, the files of the recovery anchor, and commands such as a password store.

Private: other collections must not import it.
"""

from __future__ import annotations

import os
import shlex
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.command import CommandOutput, run_command
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import exposed, holds_nothing, read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field, kebab_case
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.kinds import decoded_length, strip_token
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Attempt, Provenance, Provider

COMMAND_TIMEOUT: t.Final = 60


@dataclass(frozen=True)
class EnvironmentProvider:
    """Variables of the environment: each holds a value, or the path of the file that holds it."""

    environ: Mapping[str, str] = field(repr=False)
    home: Path
    is_anchor: t.ClassVar[bool] = False

    def missing_anchor(self) -> str | None:
        return None

    def lacks(self) -> str:
        return ""

    def attempts(self, field: Field) -> Iterator[Attempt]:
        for name in field.variable_names:
            yield self._attempt(field, name)

    def _attempt(self, field: Field, name: str) -> Attempt:
        origin = Provenance("environment", name, f"environment {name}")
        value = self.environ.get(name)
        if value is None:
            return Attempt(origin, note="not set")
        if not _is_path(field, value):
            return Attempt(origin, raw=value)
        content = read_text(_expand(strip_token(value), self.home))
        if content.text is None:
            problem = content.problem or "does not exist"
            return Attempt(origin, problem=f"names a file, since it begins with / or ~, and that file {problem}")
        return Attempt(Provenance("environment", name, f"environment {name} (a file)", content.age), raw=content.text)


def _is_path(field: Field, value: str) -> bool:
    candidate = strip_token(value)
    if field.kind == "base64key" and decoded_length(candidate) is not None:
        return False
    if field.kind == "pem" and "-----BEGIN " in candidate:  # before it may stand anything
        return False
    return candidate.startswith(("/", "~"))


@dataclass(frozen=True)
class FileProvider:
    """A directory with one file for each field: the recovery anchor. It is read and never touched."""

    directory: Path
    is_anchor: t.ClassVar[bool] = True

    def missing_anchor(self) -> str | None:
        # pathlib raises where a parent may not be searched.
        return None if os.path.isdir(self.directory) else str(self.directory)  # noqa: PTH112

    def lacks(self) -> str:
        try:
            what = "is empty" if holds_nothing(self.directory) else "has no file of any field's name"
        except FileNotFoundError:
            what = "is not there"
        except NotADirectoryError:
            what = "is a file, not a directory"
        except OSError:
            what = "may not be read by this user"
        return f"{self.directory} {what}"

    def attempts(self, field: Field) -> Iterator[Attempt]:
        for name in field.file_names:
            path = self.directory / name
            content = read_text(path, within=self.directory)
            yield Attempt(
                Provenance("file", str(path), f"file {name}", content.age),
                raw=content.text,
                problem=content.problem,
                note="no such file",
                warning=exposed(path, content),
            )


@dataclass(frozen=True)
class CommandProvider:
    """A program that prints the value, e.g. a password store's show command. Asked only for what nobody else had."""

    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    timeout: float = COMMAND_TIMEOUT
    run: t.Callable[[Sequence[str], Mapping[str, str], float], CommandOutput] = run_command
    is_anchor: t.ClassVar[bool] = False

    def missing_anchor(self) -> str | None:
        return None

    def lacks(self) -> str:
        return ""

    def argv_for(self, name: str) -> tuple[str, ...]:
        """The command for a field of this name."""
        return tuple(word.replace("{name}", name).replace("{file}", kebab_case(name)) for word in self.argv)

    def attempts(self, field: Field) -> Iterator[Attempt]:
        argv = self.argv_for(field.name)
        program = Path(argv[0]).name
        origin = Provenance("command", program, f"command {program}")
        output = self.run(argv, self.environ, self.timeout)
        yield Attempt(origin, raw=output.text, problem=output.problem, note=_advice(output, program, argv))


def _advice(output: CommandOutput, program: str, argv: Sequence[str]) -> str:
    """How a command ended, and what its owner can do: what it said itself is withheld, since it may quote a secret."""
    if not output.note or not output.ran:
        return output.note
    likely = "; if it asks for a passphrase: export GPG_TTY=$(tty)" if program in _ASK else ""
    return f"{output.note}; by hand: {shlex.join(argv)}{likely}"


# Password stores that let GnuPG ask for a passphrase, on the terminal that GPG_TTY names.
_ASK: t.Final = frozenset({"gopass", "gpg", "gpg2", "pass"})


def declared_providers(
    declaration: Sequence[t.Any] | None,
    *,
    fields: Iterable[Field],
    anchor: str | None,
    environ: Mapping[str, str],
    home: Path,
) -> tuple[Provider, ...]:
    """Read the option C(providers). By default the environment is asked first, then the anchor's files."""
    if declaration is None:
        declaration = [{"type": "env"}, {"type": "file"}]
    providers: list[Provider] = []
    for number, options in enumerate(declaration, 1):
        where = f"providers: number {number}"
        kind = options.get("type") if isinstance(options, Mapping) else None
        if kind not in _OPTIONS:
            raise BootstrapError(f"{where}: type must be one of {', '.join(_OPTIONS)}.")
        unknown = sorted(str(key) for key, value in options.items() if value is not None and key not in _OPTIONS[kind])
        if unknown:
            raise BootstrapError(f"{where}: a provider of type {kind} has no option {', '.join(unknown)}.")
        if kind == "env":
            providers.append(EnvironmentProvider(environ, home))
        elif kind == "file":
            providers.append(FileProvider(_expand(options.get("directory") or anchor or ANCHOR, home)))
        else:
            providers.append(_command(where, options, without_secrets(environ, fields)))
    return tuple(providers)


_OPTIONS: t.Final[dict[str, tuple[str, ...]]] = {
    "env": ("type",),
    "file": ("type", "directory"),
    "command": ("type", "argv", "timeout"),
}


def _command(where: str, options: Mapping[str, t.Any], environ: Mapping[str, str]) -> CommandProvider:
    argv = options.get("argv")
    if not isinstance(argv, (list, tuple)) or not argv or not all(isinstance(word, str) and word for word in argv):
        raise BootstrapError(f"{where}: argv must be a list of words, e.g. [gopass, show, -o, 'tazlab/{{file}}'].")
    try:
        timeout = float(options.get("timeout") or COMMAND_TIMEOUT)
    except (TypeError, ValueError):
        raise BootstrapError(f"{where}: timeout must be a number of seconds.") from None
    return CommandProvider(tuple(str(word) for word in argv), environ, timeout)


def without_secrets(environ: Mapping[str, str], fields: Iterable[Field]) -> dict[str, str]:
    """The environment of a command: what may hold a secret is none of its business."""
    secret = {
        "VAULT_TOKEN",
        "BAO_TOKEN",
        "TAZLAB_STATE_TOKEN",
        *(name for field in fields for name in field.variable_names),
    }
    return {name: value for name, value in environ.items() if name not in secret}


def _expand(path: str, home: Path) -> Path:
    """Make a path absolute: ~ is the home directory we were told, ~user that user's."""
    if path == "~" or path.startswith("~/"):
        return home / path[2:]
    return Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111  # links stay as they are
