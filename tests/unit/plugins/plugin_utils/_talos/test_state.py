# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of a cluster's identity: the state directory, secrets, and when credentials are replaced."""

from __future__ import annotations

import base64
import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import dump
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import SECRETS, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.etcd import kubeconfig_serves
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.secrets import difference, generate
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Private, Talosctl

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "config" / "home")


def test_the_directory_and_its_files_are_for_their_owner_alone(state: State) -> None:
    assert state.tighten()
    assert not state.tighten()
    state.replace("kubeconfig", b"x")
    state.path("kubeconfig").chmod(0o644)
    state.directory.chmod(0o755)
    assert state.loose() == [state.directory, state.path("kubeconfig")]
    assert state.tighten()
    assert [path.stat().st_mode & 0o777 for path in (state.directory, state.path("kubeconfig"))] == [0o700, 0o600]


def test_what_exists_is_never_created_again(state: State) -> None:
    state.tighten()
    assert state.create(SECRETS, b"first")
    assert not state.create(SECRETS, b"second")
    assert state.read(SECRETS) == b"first"
    assert [path.name for path in state.directory.iterdir()] == [SECRETS]
    assert state.path(SECRETS).stat().st_mode & 0o777 == 0o600
    assert state.path(SECRETS).stat().st_nlink == 1


def test_a_file_that_is_not_there_is_none_and_a_directory_in_its_place_an_error(state: State) -> None:
    assert state.read(SECRETS) is None
    state.path(SECRETS).mkdir(parents=True)
    with pytest.raises(BootstrapError, match="is a directory"):
        state.read(SECRETS)


def test_the_anchor_is_refused_also_through_a_link(tmp_path: Path) -> None:
    anchor = tmp_path / "secrets"
    anchor.mkdir()
    (tmp_path / "link").symlink_to(anchor)
    for directory in (anchor, anchor / "home", tmp_path / "link" / "home"):
        assert "only ever read" in str(State(directory).problem(str(anchor)))
    assert State(tmp_path / "secrets-2").problem(str(anchor)) is None
    assert State(tmp_path / "elsewhere" / "home").problem() is None


def test_a_file_in_the_way_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("")
    assert "is not a directory" in str(State(tmp_path / "config" / "home").problem())


class Printing(Talosctl):
    """A talosctl that prints what it is made with."""

    def __init__(self, text: bytes) -> None:
        super().__init__({})
        object.__setattr__(self, "text", text)

    def run(self, *arguments: str | Private, timeout: float = 1, target: str = "", heard: object = None) -> bytes:
        return bytes(self.__dict__["text"])


GENERATED = b"""cluster:
    id: abc=
    secret: c2VjcmV0
secrets:
    bootstraptoken: 1e3.4e5
    secretboxencryptionsecret: Z2VuZXJhdGVk
certs:
    os:
        crt: Y3J0
    k8s:
        key: a2V5
"""


def test_the_secretbox_key_is_replaced_at_birth_and_nothing_else() -> None:
    found = generate(Printing(GENERATED), "v1.12", KEY)
    assert found == GENERATED.replace(b"Z2VuZXJhdGVk", KEY.encode())
    assert difference(found, Path("s"), KEY) is None
    other = difference(found, Path("s"), base64.b64encode(b"o" * 32).decode())
    assert other is not None
    assert KEY not in other.text
    with pytest.raises(BootstrapError, match="no secretbox key"):
        generate(Printing(b"cluster: {}\n"), "v1.12", KEY)


@pytest.mark.parametrize("content", [b"", b"canary", b"secrets: [canary", GENERATED[:80], b"certs: canary\n"])
def test_secrets_that_are_not_whole_are_refused_and_not_quoted(content: bytes) -> None:
    with pytest.raises(BootstrapError, match="restore it from your backup") as caught:
        difference(content, Path("s"), KEY)
    assert "canary" not in str(caught.value)


def certificate(days: int) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - datetime.timedelta(days=365))
        .not_valid_after(NOW + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


def kubeconfig(server: str = "https://a:6443", ca: str = "ca", days: int = 365) -> bytes:
    return dump(
        {
            "clusters": [{"name": "home", "cluster": {"server": server, "certificate-authority-data": ca}}],
            "users": [{"name": "admin", "user": {"client-certificate-data": certificate(days)}}],
            "contexts": [{"name": "admin@home", "context": {"cluster": "home", "user": "admin"}}],
            "current-context": "admin@home",
        }
    )


@pytest.mark.parametrize(
    ("stored", "serves"),
    [
        (None, False),
        (b"", False),
        (b"clusters: 1", False),
        (kubeconfig(), True),
        (kubeconfig(days=31), True),
        (kubeconfig(days=29), False),
        (kubeconfig(days=-1), False),
        (kubeconfig(server="https://b:6443"), False),
        (kubeconfig(ca="other"), False),
    ],
)
def test_a_kubeconfig_is_replaced_only_when_it_no_longer_serves(stored: bytes | None, serves: bool) -> None:
    assert kubeconfig_serves(stored, kubeconfig(), NOW) is serves
