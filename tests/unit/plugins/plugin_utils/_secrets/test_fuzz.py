# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated bundles and anchors through the pure core: no error but our own, no value invented, no field lost.

TAZLAB_FUZZ sets the number of examples; CI runs a few hundred, and 20000 take some minutes.
"""

from __future__ import annotations

import base64
import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import texts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import (
    DEFAULT_FIELDS,
    Field,
    declared_fields,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.kinds import clean, same
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import (
    CommandProvider,
    EnvironmentProvider,
    FileProvider,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import (
    Provenance,
    Provider,
    accept,
    resolve,
)
from lab.pems import pem_texts
from lab.tls import Authority

FIELDS = declared_fields({**dict.fromkeys(DEFAULT_FIELDS), "A_KEY": {"kind": "pem"}, "A_TEXT": {"kind": "text"}})
NAMES = [known.name for known in FIELDS]
# These come out byte for byte; of the others only what surrounds them may be cut away.
WHOLE = ("pem", "text")
EXAMPLES = int(os.environ.get("TAZLAB_FUZZ", "300"))
FILES = {known.name: known.file_names[-1] for known in FIELDS}
VAULT = Provenance("vault", "secret/x", "vault v1")
DER = base64.b64encode(b"\x30\x03\x02\x01\x05").decode()

token = st.from_regex(r"[ \t'\"]{0,2}[A-Za-z0-9._@!-]{1,40}['\"\r\n ]{0,3}", fullmatch=True)
key = st.binary(min_size=30, max_size=34).map(lambda content: base64.b64encode(content).decode())
pem = st.builds(
    lambda before, body, label, newline: newline.join(
        [before, f"-----BEGIN {label}-----", body, f"-----END {label}-----", ""]
    ),
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.one_of(st.just(DER), st.text("AB=/+ -\n", max_size=20)),
    st.sampled_from(["CERTIFICATE", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "X Y"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
blank = st.sampled_from(["", " ", '""', "\ufeff", "\0", "/etc/passwd", "~"])
loose = st.text(st.characters(codec="utf-8"), max_size=30)
# What no message may hold, in whatever else: our own words could be generated, too.
canary = st.builds(
    lambda before, number, after: f"{before}canary{number}{after}",
    st.one_of(token, pem, loose),
    st.integers(10**11, 10**12 - 1),
    st.one_of(token, pem, loose),
)
text = st.one_of(token, key, pem, loose, canary, blank)
anything = st.one_of(text, st.none(), st.integers(), st.booleans(), st.lists(st.integers(), max_size=2))
bundles = st.dictionaries(st.sampled_from([*NAMES, "OTHER"]), anything)
files = st.dictionaries(st.sampled_from(NAMES), st.one_of(text.map(str.encode), st.binary(max_size=20)), max_size=4)


@pytest.fixture(scope="module")
def anchor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("anchor")


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(bundle=bundles, environment=st.dictionaries(st.sampled_from(NAMES), text, max_size=4), held=files)
def test_the_core_holds(
    anchor: Path, bundle: dict[str, Any], environment: dict[str, str], held: dict[str, bytes]
) -> None:
    for file in anchor.iterdir():
        file.unlink()
    for name, content in held.items():
        (anchor / FILES[name]).write_bytes(content)
    fields = FIELDS
    accepted = accept(fields, bundle, dict.fromkeys(NAMES, VAULT))
    providers = [EnvironmentProvider(environment, anchor), FileProvider(anchor)]
    result = resolve(fields, accepted.found, providers)
    invalid = {problem.subject for problem in (*accepted.invalid, *result.invalid)}
    for known in fields:
        name = known.name
        assert (name in result.found) or (name in result.missing) or (name in invalid), "a field is lost"
        if name not in result.found:
            continue
        value = result.found[name].value
        sources = _sources(name, bundle, environment, held)
        if known.kind in WHOLE:
            assert value in sources, "a value is changed"
        else:
            assert any(value in source for source in sources), "a value is invented"
        assert clean(known, value) == value
        assert same(known, value, value)
        if isinstance(bundle.get(name), str) and name in accepted.found:
            assert result.found[name].provenance is VAULT
    for message in (
        *texts([*accepted.invalid, *result.invalid]),
        *result.warnings,
        *(entry.message for entry in result.drift),
    ):
        assert "canary" not in message, "a message quotes a value"


def _sources(name: str, bundle: dict[str, Any], environment: dict[str, str], held: dict[str, bytes]) -> list[str]:
    """Every text that the field's value could be, or be a part of."""
    sources = [bundle.get(name), environment.get(name)]
    if "/etc/passwd" in (environment.get(name) or ""):
        sources.append(Path("/etc/passwd").read_text())
    with contextlib.suppress(KeyError, UnicodeDecodeError):
        sources.append(held[name].decode())
    return [source for source in sources if isinstance(source, str)]


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    certificate, key = authority.certificate("server")
    return [authority.ca_pem, certificate.read_text(), key.read_text()]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_pem_comes_out_of_every_provider_as_it_was_stored(
    anchor: Path, blocks: list[str], data: st.DataObject
) -> None:
    text, _number = data.draw(pem_texts(blocks))
    field = Field("A_KEY", "pem", files=("stored",))
    (anchor / "stored").write_bytes(text.encode())
    providers: dict[str, Provider] = {
        "file": FileProvider(anchor),
        "path": EnvironmentProvider({"A_KEY": str(anchor / "stored")}, anchor),
        "environment": EnvironmentProvider({"A_KEY": text}, anchor),
        "command": CommandProvider(("cat", str(anchor / "stored")), os.environ),
    }
    for name, provider in providers.items():
        assert resolve([field], {}, [provider]).found["A_KEY"].value == text, name


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.dictionaries(
        st.one_of(st.sampled_from(NAMES), st.text(max_size=6)),
        st.one_of(
            st.none(),
            anything,
            st.dictionaries(st.sampled_from(["kind", "required", "pattern", "files", "env", "bytes", "x"]), anything),
        ),
        max_size=3,
    )
)
def test_a_declaration_is_read_or_refused_with_our_own_error(declaration: dict[str, Any]) -> None:
    try:
        fields = declared_fields(declaration)
    except BootstrapError:
        return
    assert [known.name for known in fields] == list(declaration)
