# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables are replaced as Flux replaces them; test_gitops.py compares the two."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.substitute import (
    BadSubstitution,
    evaluated,
    substituted,
)

VARIABLES = {"domain": "example.net", "port": "8080", "hosts": "[a, b]", "path": "/usr/local/lib.tar.gz", "empty": ""}


def config(**data: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("a ${domain} b", "a example.net b"),
        ("$domain $${domain} $$", "$domain ${domain} $"),
        ("${missing:-none} ${missing:=none} ${empty:-${missing:-deep}}", "none none deep"),
        (
            "${path##*/} ${path%.*} ${path%%.*} ${path#/*/}",
            "lib.tar.gz /usr/local/lib.tar /usr/local/lib local/lib.tar.gz",
        ),
        ("${domain^^} ${domain^} ${#domain} ${domain:2:3}", "EXAMPLE.NET Example.net 11 amp"),
        ("${domain/e/E} ${domain//e/E} ${path//\\//_}", "Example.net ExamplE.nEt _usr_local_lib.tar.gz"),
    ],
)
def test_expressions(text: str, result: str) -> None:
    assert evaluated(text, lambda name: VARIABLES.get(name, "")) == result


@pytest.mark.parametrize("text", ["${", "${}", "${a", "${a-b}", "${a:}", "${a#}", "${a b}", "${a:-b", "${a/b}"])
def test_what_flux_refuses(text: str) -> None:
    with pytest.raises(BadSubstitution):
        evaluated(text, lambda _name: "x")


def test_a_value_may_become_another_kind_of_value() -> None:
    found = substituted(config(port="${port}", hosts="${hosts}", text="port ${port}"), VARIABLES, whole=True)
    assert found["data"] == {"port": 8080, "hosts": ["a", "b"], "text": "port 8080"}


def test_what_is_not_known_here_stays_as_it_is() -> None:
    found = substituted(config(a="${domain} ${other:-x}"), VARIABLES, whole=False)
    assert found["data"] == {"a": "example.net ${other:-x}"}


def test_an_object_can_be_left_out_and_without_variables_nothing_is_done() -> None:
    left = config(a="${domain}")
    left["metadata"]["annotations"] = {"kustomize.toolkit.fluxcd.io/substitute": "disabled"}
    assert substituted(left, VARIABLES, whole=True) == left
    assert substituted(config(a="$${b}"), {}, whole=True) == config(a="$${b}")


def test_several_lines_stay_several_lines() -> None:
    found = substituted(config(script="#!/bin/sh\necho ${domain}\n"), VARIABLES, whole=True)
    assert found["data"] == {"script": "#!/bin/sh\necho example.net\n"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${long}" * 200, "larger than 16 MiB"),
        (
            "${long//x/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}",
            "larger",
        ),
        ("${a:-" * 60 + "x" + "}" * 60, "nested deeper"),
        ("${long#*y}", "longer than 1000 letters"),
    ],
    ids=["many", "grown", "nested", "long"],
)
def test_what_would_take_too_long_or_too_much_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadSubstitution, match=words):
        evaluated(text, lambda name: "x" * 200_000 if name == "long" else "")


def test_a_pattern_with_many_stars_takes_no_time() -> None:
    assert evaluated("${a#*a*a*a*a*a*a*a*a*b}", lambda _name: "a" * 900) == "a" * 900
    assert evaluated("${a##*a*b}", lambda _name: "aab-aac") == "-aac"


def test_an_error_quotes_no_value() -> None:
    with pytest.raises(BadSubstitution) as raised:
        substituted(config(a="${secret}"), {"secret": "canary: [canary"}, whole=True)
    assert "canary" not in str(raised.value)
    with pytest.raises(BadSubstitution, match="not a name"):
        substituted(config(a="x"), {"not-a-name": "x"}, whole=True)
