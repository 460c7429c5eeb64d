# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Reloader's stand-in restarts: which annotations count, where they stand, and which container is told."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from lab.reloader import CONFIG_MAP, SECRET, Change, Known, digest, restarted, variable

AUTO = "reloader.stakater.com/auto"
SECRET_AUTO = "secret.reloader.stakater.com/auto"
CONFIG_MAP_AUTO = "configmap.reloader.stakater.com/auto"
NAMED = "secret.reloader.stakater.com/reload"
SEARCH = "reloader.stakater.com/search"
EXCLUDED = "secrets.exclude.reloader.stakater.com/reload"
MATCH = {"reloader.stakater.com/match": "true"}

USED = {"envFrom": [{"secretRef": {"name": "db"}}]}
TELLS = {"name": "STAKATER_DB_SECRET", "value": "new"}

# What an annotation of the workload means for a change of the Secret db, by a container that uses db or does not.
RULES = {
    "auto restarts who uses it": ({AUTO: "true"}, True, False),
    "auto may be written in other ways": ({AUTO: "1"}, True, False),
    "but not in all": ({AUTO: "yes"}, False, False),
    "a false auto restarts nobody": ({AUTO: "false"}, False, False),
    "auto for Secrets restarts who uses it": ({SECRET_AUTO: "true"}, True, False),
    "auto for ConfigMaps is none for Secrets": ({CONFIG_MAP_AUTO: "true"}, False, False),
    "a false auto does not hinder the one for Secrets": ({AUTO: "false", SECRET_AUTO: "true"}, True, False),
    "a name restarts even who does not use it": ({NAMED: "db"}, True, True),
    "names stand between commas": ({NAMED: "other, db ,more"}, True, True),
    "a name may be a pattern": ({NAMED: "d.*"}, True, True),
    "a part of the name is not the name": ({NAMED: "d"}, False, False),
    "no name is no Secret's": ({NAMED: ""}, False, False),
    "the names of ConfigMaps are others": ({"configmap.reloader.stakater.com/reload": "db"}, False, False),
    "a search finds only what is marked": ({SEARCH: "true"}, False, False),
    "what is excluded restarts nobody": ({AUTO: "true", EXCLUDED: "other, db"}, False, False),
    "what is excluded cannot be named": ({NAMED: "db", EXCLUDED: "db"}, False, False),
    "what else is excluded does not matter": ({AUTO: "true", EXCLUDED: "d.*"}, True, False),
    "no annotation restarts nobody": ({}, False, False),
    "an annotation of somebody else neither": ({"reloader.stakater.com/ignore": "true"}, False, False),
}


def workload(own: dict[str, str], *containers: dict[str, Any], template: Any = None, **pod: Any) -> dict[str, Any]:
    """A workload with these annotations of its own and of its pods' template."""
    metadata = {} if template is None else {"annotations": template}
    named = [{"name": f"c{number}", **container} for number, container in enumerate(containers)]
    return {
        "metadata": {"name": "app", "annotations": own},
        "spec": {"template": {"metadata": metadata, "spec": {"containers": named, **pod}}},
    }


def change(name: str = "db", kind: Any = SECRET, **annotations: str) -> Change:
    return Change(kind, "default", name, annotations, "new")


def told(workload: dict[str, Any] | None) -> list[list[dict[str, str]]]:
    """The variables of each container, or none of nobody where nothing happened."""
    if workload is None:
        return []
    return [container.get("env", []) for container in workload["spec"]["template"]["spec"]["containers"]]


@pytest.mark.parametrize(("own", "used", "unused"), RULES.values(), ids=RULES)
def test_of_the_workloads_own_annotations(own: dict[str, str], used: bool, unused: bool) -> None:
    assert bool(told(restarted(workload(own, USED), change()))) == used
    assert bool(told(restarted(workload(own, {}), change()))) == unused


@pytest.mark.parametrize(("own", "used", "unused"), RULES.values(), ids=RULES)
def test_those_of_the_template_mean_the_same_where_the_workload_has_none(
    own: dict[str, str], used: bool, unused: bool
) -> None:
    own = {name: value for name, value in own.items() if name != EXCLUDED}
    on_workload = [told(restarted(workload(own, container), change())) for container in (USED, {})]
    on_template = [told(restarted(workload({}, container, template=own), change())) for container in (USED, {})]
    assert on_template == on_workload


@pytest.mark.parametrize("name", [AUTO, SECRET_AUTO, NAMED, SEARCH])
def test_any_of_them_on_the_workload_even_a_false_one_hides_the_templates(name: str) -> None:
    assert restarted(workload({name: "false"}, USED, template={AUTO: "true"}), change()) is None


@pytest.mark.parametrize("name", [CONFIG_MAP_AUTO, EXCLUDED, "somebody/else"])
def test_those_that_say_nothing_of_secrets_hide_nothing(name: str) -> None:
    assert restarted(workload({name: "false"}, USED, template={AUTO: "true"}), change()) is not None


def test_what_the_template_excludes_is_not_excluded() -> None:
    assert restarted(workload({}, USED, template={AUTO: "true", EXCLUDED: "db"}), change()) is not None


def test_a_search_finds_the_marked_that_are_used() -> None:
    assert restarted(workload({SEARCH: "true"}, USED), change(**MATCH)) is not None
    assert restarted(workload({SEARCH: "true"}, {}), change(**MATCH)) is None
    assert restarted(workload({SEARCH: "1"}, USED), change(**MATCH)) is None
    assert restarted(workload({SEARCH: "true"}, USED), change(**{"reloader.stakater.com/match": "1"})) is None


def test_config_maps_have_rules_of_their_own() -> None:
    used = {"envFrom": [{"configMapRef": {"name": "db"}}]}
    for own in ({AUTO: "true"}, {CONFIG_MAP_AUTO: "true"}, {"configmap.reloader.stakater.com/reload": "db"}):
        assert told(restarted(workload(own, used), change(kind=CONFIG_MAP))) == [
            [{"name": "STAKATER_DB_CONFIGMAP", "value": "new"}]
        ]
    for own in ({SECRET_AUTO: "true"}, {AUTO: "true", "configmaps.exclude.reloader.stakater.com/reload": "db"}):
        assert restarted(workload(own, used), change(kind=CONFIG_MAP)) is None


USES = {
    "a value of it as a variable": ({"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "db"}}}]}, {}),
    "all of it as variables": (USED, {}),
    "a volume": (
        {"volumeMounts": [{"name": "files"}]},
        {"volumes": [{"name": "files", "secret": {"secretName": "db"}}]},
    ),
    "a part of a volume": (
        {"volumeMounts": [{"name": "files"}]},
        {"volumes": [{"name": "files", "projected": {"sources": [{"secret": {"name": "db"}}]}}]},
    ),
}


@pytest.mark.parametrize(("container", "pod"), USES.values(), ids=USES)
def test_the_container_that_uses_it_is_told(container: dict[str, Any], pod: dict[str, Any]) -> None:
    env = container.get("env", [])
    assert told(restarted(workload({AUTO: "true"}, {}, container, **pod), change())) == [[], [*env, TELLS]]


@pytest.mark.parametrize(("container", "pod"), USES.values(), ids=USES)
def test_the_first_is_told_where_a_container_uses_it_that_only_starts_the_pod(
    container: dict[str, Any], pod: dict[str, Any]
) -> None:
    starting = [{"name": "init", **container}]
    rolled = restarted(workload({AUTO: "true"}, {}, {}, initContainers=starting, **pod), change())
    assert told(rolled) == [[TELLS], []]


def test_a_volume_that_nobody_mounts_and_a_config_map_of_its_name_are_no_use() -> None:
    pods = (
        workload({AUTO: "true"}, {}, volumes=[{"name": "files", "secret": {"secretName": "db"}}]),
        workload({AUTO: "true"}, {"envFrom": [{"configMapRef": {"name": "db"}}]}),
    )
    assert [restarted(pod, change()) for pod in pods] == [None, None]


def test_a_mount_comes_before_a_variable_and_the_first_before_the_second() -> None:
    mount = {"volumeMounts": [{"name": "files"}]}
    volumes = [{"name": "files", "secret": {"secretName": "db"}}]
    assert told(restarted(workload({AUTO: "true"}, USED, mount, mount, volumes=volumes), change())) == [[], [TELLS], []]


def test_who_was_told_before_is_told_again_where_it_was_and_only_news() -> None:
    once = restarted(workload({AUTO: "true"}, {"env": [TELLS | {"value": "old"}]}, USED), change())
    assert told(once) == [[TELLS], []]
    assert once is not None
    assert restarted(once, change()) is None


def test_the_workload_that_was_given_stays_as_it_is() -> None:
    given = workload({AUTO: "true"}, USED)
    assert restarted(given, change()) != given
    assert given == workload({AUTO: "true"}, USED)


@pytest.mark.parametrize(
    ("name", "wanted"), [("db", "DB"), ("my-app.db--1", "MY_APP_DB_1"), ("db-", "DB_"), ("-db", "DB")]
)
def test_the_variable_has_the_secrets_name(name: str, wanted: str) -> None:
    assert variable(change(name)) == f"STAKATER_{wanted}_SECRET"


def thing(name: str = "db", **data: str) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"metadata": {"name": name, "namespace": "default", "labels": {"seen": data["a"]}}, "data": encoded}


def test_only_the_data_are_recognised() -> None:
    one = digest(SECRET, thing(a="1", b="2"))
    assert one == digest(SECRET, {"data": thing(b="2", a="1")["data"], "type": "Opaque"})
    assert one == "f83e99e324ba68ccc373a58ef1eb42f8ab88646a"
    assert one != digest(SECRET, thing(a="1", b="3"))
    assert digest(SECRET, {}) == digest(SECRET, {"data": None})
    assert digest(CONFIG_MAP, {"data": {"a": "1"}, "binaryData": {"b": "Mg=="}}) != digest(
        CONFIG_MAP, {"data": {"a": "1"}}
    )


def test_a_change_is_news_and_a_creation_or_a_removal_is_none() -> None:
    known = Known(SECRET)
    assert known.listed([thing("old", a="1")]) == [], "what was there before the start"
    assert known.changed("ADDED", thing(a="1")) == []
    assert known.changed("MODIFIED", thing(a="1")) == []
    assert [each.name for each in known.changed("MODIFIED", thing(a="2"))] == ["db"]
    assert known.changed("DELETED", thing(a="2")) == []
    assert known.changed("ADDED", thing(a="3")) == [], "made anew, with other data"


def test_what_changed_while_the_watch_was_broken_is_news() -> None:
    known = Known(SECRET)
    known.listed([thing("one", a="1"), thing("two", a="1"), thing("gone", a="1")])
    told = known.listed([thing("one", a="2"), thing("two", a="1"), thing("new", a="1")])
    assert [each.name for each in told] == ["one"]
