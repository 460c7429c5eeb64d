# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs C(talosctl): bounded in time, in a private environment, secrets in memory only, every failure in our own words.

Private: other collections must not import it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.command import Ended, run
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError

# No single call may take longer: a node that restarts accepts a connection and never answers.
CALL_SECONDS = 20.0

# All that talosctl gets of our environment. Its own variables (TALOSCONFIG) and proxies would decide whom it talks to.
KEPT = ("PATH", "HOME")


class Failure(Enum):
    """Why a call failed, and how a person says it."""

    MISSING = "talosctl is not on PATH"
    UNREACHABLE = "it does not answer"
    CUT = "it closes the connection"
    CONFIGURED = "it asks for a client certificate: it is configured"
    UNTRUSTED = "its certificate is of another CA"
    NAME = "its certificate does not name this address"
    CLOCK = "its certificate is expired or not yet valid: compare the clocks"
    NOT_TALOS = "what answers is not Talos"
    DENIED = "it does not let these credentials do that"
    EXISTS = "it says AlreadyExists"
    NOT_YET = "it is not ready for that yet"
    REBOOT = "the change needs a reboot"
    REFUSED = "it refuses the configuration"
    PULL = "it cannot pull the image"
    INSTALLER = "the installer gave up"
    NOT_HERE = "it is not able to do that in its present state"
    UNKNOWN = "talosctl failed"


# What talosctl prints on standard error -> the failure. The first that fits wins, so what is special stands first.
_SIGNS = (
    (r"(?s)error pulling upgrade image(?!.*code = (?:Unavailable|DeadlineExceeded|Canceled))", Failure.PULL),
    (r"error validating installer image", Failure.PULL),
    (r"upgrade failed with exit code", Failure.INSTALLER),
    (r"failed to acquire upgrade mutex|all members must be (?:healthy|running)", Failure.NOT_YET),
    (r"tls: certificate required|tls: bad certificate", Failure.CONFIGURED),
    (r"x509: certificate signed by unknown authority", Failure.UNTRUSTED),
    (r"x509: certificate is valid for|x509: cannot validate certificate for", Failure.NAME),
    (r"x509: certificate has expired or is not yet valid", Failure.CLOCK),
    (r"first record does not look like a TLS handshake", Failure.NOT_TALOS),
    (r"code = AlreadyExists", Failure.EXISTS),
    (r"can't be applied in immediate mode", Failure.REBOOT),
    (r"code = (?:FailedPrecondition|Aborted)", Failure.NOT_YET),
    (r"code = PermissionDenied|code = Unauthenticated", Failure.DENIED),
    (r"code = InvalidArgument|failed to parse config", Failure.REFUSED),
    (r"code = Unimplemented", Failure.NOT_HERE),
    (r"broken pipe|connection reset|\bEOF\b", Failure.CUT),
    (
        r"code = (?:Unavailable|DeadlineExceeded|Canceled)|connection (?:refused|reset)|no route to host|i/o timeout",
        Failure.UNREACHABLE,
    ),
)


class TalosctlError(BootstrapError):
    """A call of talosctl that failed. The message is ours; what talosctl said is kept out of it."""

    def __init__(self, failure: Failure, message: str, said: str = "") -> None:
        super().__init__(message)
        self.failure = failure
        self.said = said  # may quote the configuration: for recognising constants, never for a message


@dataclass(frozen=True)
class Private:
    """An argument that names a file whose content must lie on no disk: talosctl reads it from our memory."""

    content: bytes = field(repr=False)
    prefix: str = ""


@dataclass(frozen=True)
class Talosctl:
    """The program C(talosctl), as it is found on PATH."""

    environ: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(dict(os.environ)), repr=False)

    def version(self) -> str:
        """The client's version, like v1.12.6."""
        answer = self.run("version", "--client", "--short").decode(errors="replace")
        found = re.search(r"\bv\d+\.\d+\.\d+\S*", answer)
        if found is None:
            raise TalosctlError(
                Failure.UNKNOWN, "talosctl version --client does not tell a version. Is it Talos' client?"
            )
        return found[0]

    def run(
        self,
        *arguments: str | Private,
        timeout: float = CALL_SECONDS,
        target: str = "",
        heard: Callable[[str], None] | None = None,
    ) -> bytes:
        """What a call prints on standard output. C(target) is the node's name, for the message of a failure.

        C(heard) gets each line while it runs.
        """
        program = shutil.which("talosctl", path=self.environ.get("PATH", os.defpath))
        if program is None:
            raise TalosctlError(
                Failure.MISSING,
                "talosctl is not on PATH. Install Talos' client in the wanted version "
                "(https://docs.siderolabs.com/talos/latest/getting-started/talosctl).",
            )
        verb = _verb(arguments)
        with _readable(arguments) as (words, descriptors):
            ended = self._call([program, *words], descriptors, timeout, heard)
        if ended.status == 0:
            return ended.output
        said = ended.said.decode(errors="replace")
        failure = Failure.UNREACHABLE if ended.status is None else _recognise(said)
        place = f"{target}: " if target else ""
        raise TalosctlError(failure, f"{place}talosctl {verb}: {failure.value}{_code(said)}.", said)

    def _call(
        self,
        argv: Sequence[str],
        descriptors: Sequence[int],
        timeout: float,
        heard: Callable[[str], None] | None,
    ) -> Ended:
        environment = {name: self.environ[name] for name in KEPT if name in self.environ}
        environment |= {"LC_ALL": "C", "NO_COLOR": "1"}
        try:
            return run(argv, env=environment, seconds=timeout, pass_fds=descriptors, heard=heard)
        except OSError as error:
            raise TalosctlError(
                Failure.MISSING, f"talosctl at {argv[0]} cannot be started (errno {error.errno}). Install it anew."
            ) from None


@contextmanager
def _readable(arguments: Sequence[str | Private]) -> Iterator[tuple[list[str], list[int]]]:
    """The arguments as words. Each private one becomes an anonymous file that only our child inherits."""
    files: list[int] = []
    words = []
    try:
        for argument in arguments:
            if isinstance(argument, Private):
                files.append(_anonymous(argument.content))
                words.append(f"{argument.prefix}/dev/fd/{files[-1]}")
            else:
                words.append(argument)
        yield words, files
    finally:
        for file in files:
            os.close(file)


def _anonymous(content: bytes) -> int:
    """A descriptor of a file that has no name: in memory where the system can, else private and already removed."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("talos", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    with os.fdopen(descriptor, "wb", closefd=False) as stream:
        stream.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _verb(arguments: Sequence[str | Private]) -> str:
    """The command's words, without its flags: what a message may name."""
    words = []
    for argument in arguments:
        if isinstance(argument, Private) or argument.startswith("-"):
            break
        words.append(argument)
    return " ".join(words[:2])


def _recognise(said: str) -> Failure:
    for sign, failure in _SIGNS:
        if re.search(sign, said):
            return failure
    return Failure.UNKNOWN


def _code(said: str) -> str:
    """The gRPC status code that talosctl reported, which is one of a fixed set of words."""
    found = re.search(r"\bcode = ([A-Z][A-Za-z]{1,20})\b", said)
    return f" ({found[1]})" if found else ""
