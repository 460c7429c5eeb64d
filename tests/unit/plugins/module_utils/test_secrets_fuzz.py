# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated bundles and anchors through the pure core: no error but our own, no value invented, no field lost.

TAZLAB_FUZZ sets the number of examples; CI runs a few hundred, and 20000 take some minutes.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.tazlab.bootstrap.plugins.module_utils._errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.module_utils._fields import DEFAULT_FIELDS, declared_fields
from ansible_collections.tazlab.bootstrap.plugins.module_utils._kinds import clean, same
from ansible_collections.tazlab.bootstrap.plugins.module_utils._providers import EnvironmentProvider, FileProvider
from ansible_collections.tazlab.bootstrap.plugins.module_utils._resolution import Provenance, accept, resolve

NAMES = list(DEFAULT_FIELDS)
EXAMPLES = int(os.environ.get("TAZLAB_FUZZ", "300"))
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
text = st.one_of(token, key, pem, st.text(st.characters(codec="utf-8"), max_size=30), blank)
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
        (anchor / DEFAULT_FIELDS[name].file_names[-1]).write_bytes(content)
    fields = declared_fields(None)
    accepted = accept(fields, bundle, dict.fromkeys(NAMES, VAULT))
    providers = [EnvironmentProvider(environment, anchor), FileProvider(anchor)]
    result = resolve(fields, accepted.found, providers)
    invalid = {message.partition(" ")[0] for message in (*accepted.invalid, *result.invalid)}
    for known in fields:
        name = known.name
        assert (name in result.found) or (name in result.missing) or (name in invalid), "a field is lost"
        if name not in result.found:
            continue
        value = result.found[name].value
        sources = [bundle.get(name), environment.get(name), (held.get(name) or b"").decode(errors="replace")]
        assert any(isinstance(source, str) and value in source for source in sources), "a value is invented"
        assert clean(known, value) == value
        assert same(known, value, value)
        if isinstance(bundle.get(name), str) and name in accepted.found:
            assert result.found[name].provenance is VAULT
    for message in (*accepted.invalid, *result.invalid, *result.warnings, *(entry.message for entry in result.drift)):
        for name in NAMES:
            if name in result.found and len(result.found[name].value) > 20:
                assert result.found[name].value not in message, "a message quotes a value"


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
