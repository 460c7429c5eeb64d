# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cleaning: what is cut away, what is refused, and what stays byte for byte; no message ever quotes the value."""

from __future__ import annotations

import base64
import re
import string
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import InvalidValue
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import DEFAULT_FIELDS, Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.kinds import (
    clean,
    decoded_length,
    pem_blocks,
    same,
)
from lab.pems import pem_texts
from lab.tls import Authority

TOKEN = Field("A_TOKEN")
PEM = Field("A_PEM", "pem")
KEY = Field("A_KEY", "base64key")
TEXT = Field("A_TEXT", "text")

words = st.text(
    alphabet=sorted(set(string.ascii_letters + string.digits + "!#$%&()*+,-./:;<=>?@[\\]^_{|}~")), min_size=1
)
around = st.text(alphabet=" \t\r\n\"'`\ufeff\u00a0\u200b\u201c\u201d\u2018\u2019\u00ab\u00bb", max_size=8)


@given(word=words, before=around, after=around)
def test_what_surrounds_a_token_is_cut_away_and_nothing_else(word: str, before: str, after: str) -> None:
    assert clean(TOKEN, before + word + after) == word


@given(st.text())
def test_a_token_is_one_printable_word_or_missing_or_refused(raw: str) -> None:
    try:
        value = clean(TOKEN, raw)
    except InvalidValue as error:
        assert raw.strip() not in str(error) or len(raw.strip()) < 3
    else:
        assert value is None or (value in raw and re.fullmatch(r"[!-~]+", value))
        assert value is None or clean(TOKEN, value) == value


@pytest.mark.parametrize("raw", ["", " ", "\t\r\n", '""', "''", "\ufeff", ' " \' ` " \n', "\u200b"])
@pytest.mark.parametrize("field", [TOKEN, PEM, KEY, TEXT])
def test_blank_is_missing_in_every_kind(field: Field, raw: str) -> None:
    assert clean(field, raw) is None


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("one two", "a blank inside"),
        ("one\ttwo", "a blank inside"),
        ("one\ntwo", "more than one line"),
        ("one\r\ntwo", "more than one line"),
        ('one"two', "a quote inside"),
        ("one'two", "a quote inside"),
        ("one\0two", "a control character inside"),
        ("one\x1btwo", "a control character inside"),
        ("öne", "a character that no token has"),
        ("one\u200btwo", "a character that no token has"),
        ("one\u00a0two", "a blank inside"),
    ],
)
def test_what_stands_inside_a_token_is_refused_never_deleted(raw: str, reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason) as caught:
        clean(TOKEN, f" {raw}\n")
    assert raw not in str(caught.value)


@pytest.mark.parametrize("name", ["tazlab@pve!bootstrap", "root@pam!a.b-c_d", "user.name@my-realm!X1"])
def test_a_proxmox_token_id_is_accepted_whole(name: str) -> None:
    assert clean(DEFAULT_FIELDS["PROXMOX_TOKEN_ID"], f"'{name}'\n") == name


@pytest.mark.parametrize("name", ["tazlab@pve", "tazlab!x", "tazlab@pve!", "a@b!c=secret", "PVEAPIToken=a@b!c"])
def test_a_proxmox_token_id_without_its_parts_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue, match="form user@realm!tokenid"):
        clean(DEFAULT_FIELDS["PROXMOX_TOKEN_ID"], name)


@given(st.binary(min_size=32, max_size=32), around, around)
def test_a_base64_key_of_the_right_length_is_a_token(content: bytes, before: str, after: str) -> None:
    text = base64.b64encode(content).decode()
    assert clean(KEY, before + text + after) == text


@given(st.binary(min_size=1, max_size=80).filter(lambda content: len(content) != 32))
def test_a_base64_key_of_another_length_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidValue, match=f"decodes to {len(content)} bytes, not to 32"):
        clean(KEY, base64.b64encode(content).decode())


@pytest.mark.parametrize("raw", ["not base64", "abc", "====", "a" * 43, "-_" * 22, "AAAA\nAAAA"])
def test_what_is_no_base64_is_refused(raw: str) -> None:
    with pytest.raises(InvalidValue):
        clean(KEY, raw)


def test_base64_length() -> None:
    assert decoded_length(base64.b64encode(bytes(32)).decode()) == 32
    assert decoded_length("/etc/passwd") is None
    assert decoded_length("ö") is None


@given(st.text(min_size=1))
def test_a_text_stays_byte_for_byte(raw: str) -> None:
    try:
        value = clean(TEXT, raw)
    except InvalidValue:
        assert "\0" in raw
    else:
        assert value in (raw, None)


# ------------------------------------------------------------------------------------------------------------- PEM


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A CA, a certificate and its key, as real programs write them."""
    authority = Authority(tmp_path_factory.mktemp("tls"))
    certificate, key = authority.certificate("server")
    return [authority.ca_pem, certificate.read_text(), key.read_text()]


@given(data=st.data())
def test_pem_comes_out_byte_for_byte(blocks: list[str], data: st.DataObject) -> None:
    text, number = data.draw(pem_texts(blocks))
    assert clean(PEM, text) == text
    assert len(pem_blocks(text)) == number


def test_pem_content_is_what_a_real_parser_reads(blocks: list[str]) -> None:
    label, content = pem_blocks(f"subject=/CN=x\n{blocks[0]}")[0]
    parsed = x509.load_pem_x509_certificate(blocks[0].encode())
    assert (label, content) == ("CERTIFICATE", parsed.public_bytes(serialization.Encoding.DER))


@pytest.mark.parametrize("kind", ["rsa", "ec", "ed25519", "pkcs1", "encrypted", "openssh"])
def test_keys_of_every_sort_parse(tmp_path: Path, kind: str) -> None:
    commands = {
        "rsa": ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
        "ec": ["openssl", "ecparam", "-name", "prime256v1", "-genkey"],
        "ed25519": ["openssl", "genpkey", "-algorithm", "ED25519"],
        "pkcs1": ["openssl", "genrsa", "-traditional", "1024"],
        "encrypted": ["openssl", "genrsa", "-traditional", "-aes128", "-passout", "pass:x", "1024"],
        "openssh": ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")],
    }
    done = subprocess.run(commands[kind], capture_output=True, text=True, check=True)
    text = (tmp_path / "key").read_text() if kind == "openssh" else done.stdout
    assert clean(PEM, text) == text


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda text: text.replace("-----BEGIN", "----BEGIN"), "holds no PEM block"),
        (lambda text: text[: len(text) // 2], "without its END line"),
        (lambda text: text.replace("END CERTIFICATE", "END PRIVATE KEY"), "without its END line"),
        (lambda text: re.sub(r"\n(....)", r"\n!!!!", text, count=1), "not base64"),
        (lambda text: text.replace(text.splitlines()[3] + "\n", ""), "cut off or damaged"),
        (lambda text: text.replace("\n", " "), "holds no PEM block"),
        (lambda text: text.replace("\n", ""), "holds no PEM block"),
        (lambda text: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "without content"),
        (lambda text: text.replace("\n", "\0\n", 1), "NUL"),
        (lambda text: "just a word", "holds no PEM block"),
    ],
)
def test_a_damaged_pem_is_refused(blocks: list[str], damage: object, reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason):
        clean(PEM, damage(blocks[1]))  # type: ignore[operator]


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_no_damage_raises_anything_else(blocks: list[str], place: int, change: int) -> None:
    text = blocks[1]
    place %= len(text)
    damaged = text[:place] + chr((ord(text[place]) + change) % 0x110000 % 0xD800) + text[place + 1 :]
    try:
        assert clean(PEM, damaged) == damaged
    except InvalidValue as error:
        assert all(line not in str(error) for line in text.splitlines()[1:-1])


def test_a_byte_order_mark_before_a_pem_stays(blocks: list[str]) -> None:
    text = f"\ufeff{blocks[0]}"
    assert clean(PEM, text) == text
    assert pem_blocks(text) == pem_blocks(blocks[0])


@pytest.mark.parametrize("trust", [[], ["-addtrust", "serverAuth", "-setalias", "ours"]])
def test_a_trusted_certificate_of_openssl_is_whole(blocks: list[str], trust: list[str]) -> None:
    argv = ["openssl", "x509", "-trustout", *trust]
    text = subprocess.run(argv, input=blocks[0], capture_output=True, text=True, check=True).stdout
    assert clean(PEM, text) == text
    assert "BEGIN TRUSTED CERTIFICATE" in text
    lines = text.splitlines(keepends=True)
    with pytest.raises(InvalidValue, match="cut off or damaged"):
        clean(PEM, "".join(lines[:2] + lines[3:]))


def test_what_means_the_same_is_the_same(blocks: list[str]) -> None:
    assert same(PEM, blocks[0], "text before\n" + blocks[0].replace("\n", "\r\n").rstrip())
    assert not same(PEM, blocks[0], blocks[1])
    assert same(TEXT, "a\n", "a")
    assert not same(TEXT, "a", "a ")
    assert not same(TOKEN, "a", "b")
