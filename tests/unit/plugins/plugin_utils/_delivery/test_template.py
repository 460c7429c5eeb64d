# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates: what cannot be parsed is seen, and plain ones become those of VSO and come back."""

from __future__ import annotations

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.template import (
    BadTemplate,
    from_secrets,
    identifiers,
    is_plain,
    names,
    of_secrets,
    one_value,
    takes_all,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id={{ .id }}, {{- .secret -}}", ("id", "secret")),
        ('{{ printf "%s.no" .id | b64enc }}', ("id",)),
        ("{{ if .a }}{{ .b }}{{ else }}{{ .c }}{{ end }}", ("a", "b", "c")),
        ("{{/* .nothing */}}{{ .id }}", ("id",)),
        ("{{ (fromJson .id).user }}", ("id",)),
        ("{{ $x := .id }}{{ $x.user }}", ("id",)),
        ("words alone", ()),
        ("{{ with .a }}{{ . }}{{ $.b }}{{ end }}", ("a", "b")),
    ],
)
def test_the_values_that_a_template_names(text: str, found: tuple[str, ...]) -> None:
    assert names(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *("{{ .id", ".id }}", "{{ .id }} }}", "{{ }}", '{{ "x }}', "{{ (.id }}", "{{ if .id }}", "{{ end }}"),
        "{{ .id }}{{ end }}{{ if .id }}",
    ],
)
def test_what_is_no_template_is_seen(text: str) -> None:
    with pytest.raises(BadTemplate):
        names(text)


@pytest.mark.parametrize(
    ("text", "of_vso"),
    [
        ("{{ .id }}", '{{ get .Secrets "client id" }}'),
        ("a {{- .id -}} b {{.secret}}", 'a {{- get .Secrets "client id" -}} b {{ get .Secrets "value" }}'),
        ("{{ .id | toString }}", '{{ get .Secrets "client id" }}'),
        ("no value", "no value"),
    ],
)
def test_a_plain_template_is_written_for_vso(text: str, of_vso: str) -> None:
    assert is_plain(text)
    assert of_secrets(text, {"id": "client id", "secret": "value"}) == of_vso


def test_a_template_that_does_more_is_not_plain() -> None:
    assert not is_plain("{{ .id | b64enc }}")
    assert not is_plain("{{ if .id }}x{{ end }}")


@pytest.mark.parametrize(
    "text",
    ['{{ get .Secrets "a-b" }}', "{{ get .Secrets `a-b` }}", '{{- index .Secrets "a-b" -}}', "{{ .Secrets.a_b }}"],
)
def test_each_way_in_which_vso_names_a_property_is_read(text: str) -> None:
    found = from_secrets(text)
    assert found is not None
    template, properties = found
    assert one_value(template) == "a_b"
    assert properties["a_b"] in ("a-b", "a_b")


@pytest.mark.parametrize(
    ("text", "all_"),
    [
        *(('{{ index . "a-b" }}', True), ("{{ toJson . }}", True), ("{{ range $k, $v := . }}{{ $v }}{{ end }}", True)),
        *(("{{ with .a }}{{ . }}{{ end }}", False), ("{{ with .a }}{{ toJson $ }}{{ end }}", True)),
        *(("{{ with .a }}{{ . }}{{ end }}{{ . }}", True), ("{{ if .a }}{{ . }}{{ end }}", True)),
        *(("{{ .a }}{{ $.b }}", False), ('{{ "a . b" }}{{ .a }}', False), ("{{ $x := .a }}{{ $x }}", False)),
    ],
)
def test_a_template_that_takes_all_values_at_once_is_seen(text: str, all_: bool) -> None:
    assert takes_all(text) is all_


def test_properties_that_would_have_one_name_get_two() -> None:
    found = from_secrets('{{ get .Secrets "a-b" }}:{{ get .Secrets "a_b" }}:{{ get .Secrets "1a" }}')
    assert found is not None
    assert found[0] == "{{ .a_b }}:{{ .a_b_2 }}:{{ ._1a }}"
    assert found[1] == {"a_b": "a-b", "a_b_2": "a_b", "_1a": "1a"}


def test_what_vso_does_beside_naming_is_not_taken_for_a_name() -> None:
    assert from_secrets('{{ get .Secrets "a" | b64enc }}') is None


def test_only_a_template_that_is_all_one_value_is_one() -> None:
    assert one_value("{{ .id }}") == "id"
    assert one_value("{{ .id }}\n") is None, "the line end is a part of what it makes"
    assert one_value("{{ .id }}{{ .id }}") is None


def test_a_name_in_a_template_is_given_once() -> None:
    found = dict(identifiers(["tls.crt", "tls-crt", "1st", "id"], {"id"}))
    assert found == {"tls.crt": "tls_crt", "tls-crt": "tls_crt_2", "1st": "_1st", "id": "id_2"}
