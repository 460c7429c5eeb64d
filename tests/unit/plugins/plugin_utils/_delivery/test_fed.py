# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a path of Vault feeds, and whether a Secret holds a value."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.fed import (
    REFLECTS,
    Asked,
    Feed,
    Held,
    bare,
    fed,
    holds,
    mirrors,
    mounts,
    paths,
    seconds,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Object

PATH = "tazlab-k8s/static/db/PASSWORD"
ASKED = Asked(PATH, "value")
ONCE = "it is made once, and keeps what it has"
VALUE = 'correct "horse"/battery'


def thing(api: str, kind: str, spec: Any, name: str = "db", **metadata: Any) -> Object:
    document = {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "apps", **metadata}}
    return Object({**document, "spec": spec}, "", "")


def external(**spec: Any) -> Object:
    store = {"kind": "ClusterSecretStore", "name": "vault"}
    return thing("external-secrets.io/v1beta1", "ExternalSecret", {"secretStoreRef": store, **spec})


def data(key: str = PATH, name: str = "password", prop: str = "value", **more: Any) -> dict[str, Any]:
    return {"secretKey": name, "remoteRef": {"key": key, "property": prop, **more}}


def static(**spec: Any) -> Object:
    base = {"mount": "secret", "path": PATH, "type": "kv-v2", "refreshAfter": "30s", "destination": {"name": "db"}}
    return thing("secrets.hashicorp.com/v1beta1", "VaultStaticSecret", {**base, **spec})


def transformed(*, raw: bool = False, excludes: Any = (), includes: Any = (), **templates: str) -> Object:
    texts = {key: {"text": text} for key, text in templates.items()}
    filters = {"excludeRaw": not raw, "excludes": excludes, "includes": includes}
    return static(destination={"name": "db", "transformation": {**filters, "templates": texts}})


def only(each: Object, asked: Asked = ASKED) -> Feed:
    (feed,) = fed([each], asked)
    return feed


def templated(text: str, **more: Any) -> Object:
    other = data("tazlab-k8s/static/db/USER", "user")
    return external(data=[data(), other], target={"name": "db", "template": {"data": {"url": text}, **more}})


@pytest.mark.parametrize(
    ("made", "keys", "loose"),
    [
        (external(data=[data()]), {"password": True}, False),
        (external(data=[data(f"secret/data/{PATH}")]), {"password": True}, False),
        (external(data=[data(), data(prop="", name="all")]), {"password": True, "all": False}, False),
        (external(data=[data(prop="value.inner")]), {"password": False}, False),
        (templated("{{ .password }}"), {"url": True}, False),
        (templated("pg://{{ .user }}:{{ .password }}@db"), {"url": False}, False),
        (templated("{{ .user }} {{ .password }}", mergePolicy="Merge"), {"password": True, "url": False}, False),
        (templated("{{ .other }}"), {}, True),
        (external(dataFrom=[{"extract": {"key": PATH}}]), {"value": True}, False),
        (external(dataFrom=[{"extract": {"key": PATH}, "rewrite": [{}]}]), {}, True),
        (external(dataFrom=[{"find": {"path": "tazlab-k8s/static/db", "name": {"regexp": "PASS"}}}]), {}, True),
        (external(dataFrom=[{"find": {"tags": {"of": "db"}}}]), {}, True),
        (static(), {"value": True}, True),
        (transformed(), {"value": True}, False),
        (transformed(raw=True), {"value": True}, True),
        (transformed(
            excludes=[".*"],
            pw='{{ get .Secrets "value" }}',
            url='pg://{{ get .Secrets "value" }}',
            user='{{ get .Secrets "user" }}',
        ), {"pw": True, "url": False}, False),
        (transformed(excludes=[".*"], hash='{{ htpasswd "a" (get .Secrets "value") }}'), {"hash": False}, True),
        (transformed(includes=["v.*"]), {}, True),
        (transformed(excludes=["other"], url='pg://{{ get .Secrets "value" }}'), {"url": False}, True),
        (transformed(includes=["v.*"], pw='{{ .Secrets.value }}'), {"pw": True}, True),
        (transformed(excludes=[".*"], all="{{ .Secrets | mustToPrettyJson }}"), {}, True),
        (transformed(excludes=[".*"], pw="{{ .Secrets.value }}", all="{{ toYaml .Secrets }}"), {"pw": True}, True),
        (transformed(all="{{ unfinished"), {"value": True}, True),
    ],
)  # fmt: skip
def test_the_keys_are_told_that_hold_the_value_and_that_are_made_of_it(
    made: Object, keys: dict[str, bool], loose: bool
) -> None:
    feed = only(made)
    assert (feed.label, dict(feed.keys), feed.loose) == ("apps/db", keys, loose)


@pytest.mark.parametrize(
    "text",
    [
        "{{ . | toJson }}",
        "{{ toJson (.) }}",
        "{{ range $key, $value := . }}{{ $key }}={{ $value }}{{ end }}",
        '{{ index . "password" }}',
        '{{ get . "password" }}',
        '{{ $x := . }}{{ "\\"" }}{{ $x.password }}',
        '{{ template "all" $ }}',
    ],
)
def test_a_template_that_takes_all_values_at_once_holds_this_one_beside_one_that_names_it(text: str) -> None:
    feed = only(external(data=[data()], target={"template": {"data": {"all": text, "url": "{{ .password }}"}}}))
    assert (dict(feed.keys), feed.loose) == ({"all": False, "url": True}, False)


@pytest.mark.parametrize("text", ["{{ .user }}", '{{ .user | replace "." "$" }}', "{{ printf `index .` }}", "a. $b"])
def test_a_template_that_takes_other_values_alone_does_not_hold_this_one(text: str) -> None:
    feed = only(external(data=[data()], target={"template": {"data": {"other": text, "url": "{{ .password }}"}}}))
    assert (dict(feed.keys), feed.loose) == ({"url": True}, False)


@pytest.mark.parametrize(
    "made",
    [
        external(data=[data("tazlab-k8s/static/db/PASSWORD2")]),
        external(data=[data(prop="other")]),
        external(dataFrom=[{"find": {"path": "tazlab-k8s/static/d"}}]),
        external(dataFrom=[{"find": {"name": {"regexp": "USER"}}}]),
        external(data=[data() | {"sourceRef": {"storeRef": {"kind": "SecretStore", "name": "aws"}}}]),
        external(data=[data()], target={"creationPolicy": "None"}),
        external(data=[data()], secretStoreRef={"kind": "ClusterSecretStore", "name": "other-mount"}),
        static(mount="other"),
        static(path="tazlab-k8s/static/db"),
        thing("v1", "ConfigMap", {"path": PATH}),
    ],
)
def test_what_another_path_property_or_store_feeds_or_makes_no_secret_is_left_out(made: Object) -> None:
    vault = {"provider": {"vault": {"path": "other"}}}
    stores = [
        thing("external-secrets.io/v1beta1", "ClusterSecretStore", vault, "other-mount"),
        thing("external-secrets.io/v1beta1", "SecretStore", {"provider": {"aws": {}}}, "aws"),
    ]
    assert fed([made], Asked(PATH, "value", mounts=mounts(stores))) == []


@pytest.mark.parametrize(
    ("made", "stays"),
    [
        (external(data=[data(version="3")]), "it asks for version 3 of the path"),
        (external(data=[data()], refreshInterval="0"), ONCE),
        (external(data=[data()], refreshInterval="0h"), ONCE),
        (external(data=[data()], refreshInterval="0m0s"), ONCE),
        (external(data=[data()], refreshPolicy="Periodic", refreshInterval="0s"), ONCE),
        (external(data=[data()], refreshPolicy="CreatedOnce"), ONCE),
        (external(data=[data()], refreshPolicy="CreatedOnce", refreshInterval="1h"), ONCE),
        (external(data=[data()], refreshPolicy="OnChange", refreshInterval="0"), ""),
        (external(data=[data()], refreshPolicy="Periodic"), ""),
        (static(version=2), "it asks for version 2 of the path"),
        (
            static(refreshAfter=None, hmacSecretData=False),
            "it has hmacSecretData false and no refreshAfter, so VSO does not read Vault again",
        ),
        (static(refreshAfter=None, hmacSecretData=False, syncConfig={"instantUpdates": True}), ""),
        (static(refreshAfter=None), ""),
        (static(refreshAfter=None, hmacSecretData=True), ""),
        (static(), ""),
        (external(data=[data()], refreshInterval="1h"), ""),
        (external(data=[data()], refreshInterval="0h30m"), ""),
    ],
)
def test_it_is_known_what_never_follows_by_itself(made: Object, stays: str) -> None:
    assert only(made).stays == stays


def test_vso_is_awaited_for_its_time_and_restarts_its_targets() -> None:
    feed = only(static(refreshAfter="1h30m", rolloutRestartTargets=[{"kind": "Deployment", "name": "db"}]))
    assert (feed.refresh, feed.restarts) == (5400, (("Deployment", "db"),))
    assert only(static(refreshAfter=None)).refresh == 60
    ignoring = only(static(hmacSecretData=False, rolloutRestartTargets=[{"kind": "Deployment", "name": "db"}]))
    assert (ignoring.refresh, ignoring.restarts, ignoring.ignored) == (30, (), (("Deployment", "db"),))
    assert only(static(refreshAfter="24h", syncConfig={"instantUpdates": True})).refresh == 0
    assert seconds("1m30.5s") == 90.5


def test_copies_that_reflector_keeps_are_fed_too() -> None:
    copy = thing("v1", "Secret", {}, "copy", annotations={REFLECTS: "apps/db"})
    (feed,) = mirrors([copy, thing("v1", "Secret", {}, "other")], [only(external(data=[data()]))])
    assert (feed.label, feed.by, dict(feed.keys)) == ("apps/copy", "Reflector, from apps/db", {"password": True})
    (late,) = mirrors([copy], [only(static())])
    assert late.refresh == 30


def test_a_path_is_known_with_its_mount_and_without() -> None:
    assert {bare(path, "secret") for path in (PATH, f"/secret/{PATH}", f"secret/data/{PATH}/")} == {PATH}
    assert paths(
        [external(data=[data()], dataFrom=[{"extract": {"key": "secret/a/b"}}]), static(path="c")], "secret"
    ) == {
        PATH,
        "a/b",
        "c",
    }


def secret(**values: str) -> dict[str, Any]:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}}


@pytest.mark.parametrize(
    ("feed", "there", "held", "why"),
    [
        ("{{ .password }}", secret(url=VALUE), Held.YES, ""),
        ("{{ .password }}", secret(url=f"{VALUE} "), Held.NO, "its key url holds another value"),
        ("{{ .password }}", secret(other=VALUE), Held.NO, "it has no key url"),
        ("{{ .password }}", None, Held.NO, "it does not exist"),
        ("x{{ .password }}", secret(url=f"pg://u:{VALUE}@db"), Held.YES, ""),
        ("x{{ .password }}", secret(url=json.dumps({"p": VALUE})), Held.YES, ""),
        ("x{{ .password }}", secret(url=base64.b64encode(VALUE.encode()).decode()), Held.YES, ""),
        (
            "x{{ .password }}",
            secret(url="$2y$05$hash"),
            Held.HIDDEN,
            "whether its key url holds the value cannot be seen",
        ),
    ],
)
def test_what_a_secret_holds_is_told(feed: str, there: dict[str, Any] | None, held: Held, why: str) -> None:
    assert holds(only(templated(feed)), there, VALUE) == (held, why)


def test_a_short_value_in_a_text_proves_nothing() -> None:
    assert holds(only(templated("x{{ .password }}")), secret(url="pg://1@db1"), "1")[0] is Held.HIDDEN


def test_a_value_that_is_decoded_on_its_way_is_recognised() -> None:
    there = secret(password="plain")
    feed = only(external(data=[data(decodingStrategy="Base64")]))
    assert holds(feed, there, base64.b64encode(b"plain").decode())[0] is Held.YES


def test_a_value_that_may_be_anywhere_is_looked_for_everywhere() -> None:
    feed = only(external(dataFrom=[{"find": {"path": "tazlab-k8s/static/db"}}]))
    assert holds(feed, secret(a="x", b=json.dumps({"value": VALUE})), VALUE)[0] is Held.YES
    assert holds(feed, secret(a="x"), VALUE) == (Held.HIDDEN, "the value cannot be seen in it")
