# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom Reloader restarts, and the names that charts give their workloads."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.restarts import (
    NO,
    NOTHING,
    YES,
    patch,
    restarted,
    says_restart,
    workload_name,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Object
from lab.reloader import SECRET, Change
from lab.reloader import restarted as restarted_by_the_stand_in

AUTO, SECRETS, RELOAD = (
    "reloader.stakater.com/auto",
    "secret.reloader.stakater.com/auto",
    "secret.reloader.stakater.com/reload",
)


def workload(own: dict[str, str], template: dict[str, str]) -> dict[str, Any]:
    container = {"name": "main", "envFrom": [{"secretRef": {"name": "web"}}]}
    pod = {"metadata": {"annotations": template}, "spec": {"containers": [container]}}
    return {"kind": "Deployment", "metadata": {"name": "web", "annotations": own}, "spec": {"template": pod}}


@pytest.mark.parametrize(
    ("own", "template", "said"),
    [
        ({AUTO: "true"}, {}, YES),
        ({SECRETS: "1"}, {}, YES),
        ({RELOAD: "other, web"}, {}, YES),
        ({RELOAD: "we."}, {}, YES),
        ({RELOAD: "other"}, {AUTO: "true"}, NOTHING),
        ({AUTO: "false"}, {}, NO),
        ({AUTO: "false"}, {AUTO: "true"}, NO),
        ({AUTO: "false", RELOAD: "web"}, {}, YES),
        ({}, {AUTO: "true"}, YES),
        ({"other": "true"}, {AUTO: "true"}, YES),
        ({}, {}, NOTHING),
    ],
)
def test_whom_reloader_restarts(own: dict[str, str], template: dict[str, str], said: str) -> None:
    made = workload(own, template)
    assert restarted(Object(made, "", ""), "web") == said
    change = Change(SECRET, "default", "web", {}, "digest")
    assert (restarted_by_the_stand_in(made, change) is not None) == (said == YES)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({}, "dex"),
        ({"targetNamespace": "login"}, "login-dex"),
        ({"releaseName": "sso"}, "sso-dex"),
        ({"releaseName": "my-dex"}, "my-dex"),
        ({"values": {"fullnameOverride": "exact"}}, "exact"),
        ({"releaseName": "sso", "values": {"nameOverride": "idp"}}, "sso-idp"),
        ({"releaseName": "a" * 53}, f"{'a' * 53}-dex"),
    ],
)
def test_the_name_that_a_chart_gives_its_workload(spec: dict[str, Any], name: str) -> None:
    assert workload_name(release(spec), "dex") == name


def test_the_name_of_the_chart_that_leaves_its_own_out_and_of_one_that_is_not_known() -> None:
    assert workload_name(release({}), "app-template") == "dex"
    assert workload_name(release({}), "") == ""


def release(spec: dict[str, Any]) -> Object:
    return Object({"metadata": {"name": "dex", "namespace": "auth"}, "spec": spec}, "", "")


def test_a_release_that_hands_the_annotation_on_is_seen() -> None:
    assert says_restart(release({"values": {"deployment": {"annotations": {AUTO: "true"}}}}))
    assert says_restart(release({"postRenderers": [patch("Deployment", "dex")]}))
    assert not says_restart(release({"values": {"auto": "true"}, "postRenderers": []}))
