# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories are fetched and built, and variables replaced, as by Flux' own code, of which lab.fluxbuild is made."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import Builder
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.fetched import Fetched
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.substitute import BadSubstitution, substituted
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree
from lab.fluxbuild import Order, built
from lab.gitopscorpus import CASES, FILES, PATTERNS, Case

pytestmark = pytest.mark.kube

VARIABLES = {
    "name": "Hello-World",
    "path": "/usr/local/lib.tar.gz",
    "port": "8080",
    "list": "[a, b]",
    "empty": "",
    "lines": "a\nb",
    "bool": "true",
    "quoted": 'say "hi"',
    "colon": "a: b",
    "umlauts": "äöü",
    "dollars": "x$$y",
}
EXPRESSIONS = re.split(
    r"\s+",
    r"""${name} ${name,} ${name,,} ${name^^} ${name^} ${#name} ${#umlauts} ${name:2} ${name:2:3} ${name:-3:2}
    ${name:0:99} ${name:99} ${umlauts:1} ${missing} ${missing:-d} ${missing:=d} ${missing=d} ${missing:?d} ${missing:+d}
    ${name:+d} ${empty:-x${name}y} ${empty:-${missing:-deep}} ${missing-d} ${name ${} $name $$name $${name} $$$${name}
    $$$name ${name/World/X} ${name//l/L} ${name/#Hello/Bye} ${name/%World/W} ${name/l/} ${name//l/} ${name/#Hello/}
    ${path#*/} ${path##*/} ${path%.*} ${path%%.*} ${path#/usr} ${name#H*o} ${name##H*o} ${name%[dW]*} ${name#[A-Z]}
    ${path//\//_} ${port} ${list} ${bool} ${lines} ${quoted} ${colon} ${dollars} ${name:} ${name#} ${name:1:} ${name:x}
    {${name}} a${name}b${port}c ${name/o/$$} ${name/o/${port}} ${missing:-a}b} ${missing:-} ${_x:-1} ${1x:-2} ${name::2}
    ${name::2::1} ${name/#Hello/a/b} ${name%%*l} ${name#?} ${missing:-"q"} ${missing:-'q'} ${missing:-yes} "${port}"
    '${port}' %${name} @${name} *${name} &${name} !${name} |${name} ${name}:""",
)
SENTENCES = [
    "x: ${name}",
    "${name} # c",
    "- ${name}",
    "a\n${port}\n b",
    "${list}\nx",
    "yes ${bool}",
    "${name/ /}",
    "? ${name}",
    " ${port}",
    "${port} ",
    "${a b}",
    "${missing:-a b c}",
    "${missing:-a\nb}",
]


def config(text: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"key": text}}


def ours(document: dict[str, Any], variables: dict[str, str]) -> Any:
    try:
        return substituted(document, variables, whole=True)
    except BadSubstitution:
        return "refused"


def test_variables_are_replaced_as_flux_replaces_them(tmp_path: Path) -> None:
    """Each expression alone, and some hundred texts that are put together of them."""
    seed = random.randrange(10**6)  # noqa: S311
    chosen = random.Random(seed)  # noqa: S311
    texts = [*EXPRESSIONS, *SENTENCES]
    # A text that becomes a tag of YAML is an empty one for Flux and an error here.
    parts = [*(each for each in EXPRESSIONS if "!" not in each), " ", "\n", "a", ":", "#"]
    texts += ["".join(chosen.choices(parts, k=4)) for _ in range(300)]
    for number, text in enumerate(texts):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "x.yaml").write_text(yaml.safe_dump(config(text)))
    spec = {"postBuild": {"substitute": VARIABLES}}
    answers = built(Order(tmp_path / str(number), ".", spec) for number in range(len(texts)))
    for text, answer in zip(texts, answers, strict=True):
        theirs = "refused" if answer.error else answer.objects[0]
        assert ours(config(text), VARIABLES) == theirs, (seed, text)


def test_folders_are_built_as_flux_builds_them(tmp_path: Path) -> None:
    roots = {name: case.write(tmp_path / str(number)) for number, (name, case) in enumerate(CASES.items())}
    theirs = built(Order(roots[name], case.folder, case.spec, case.ignore) for name, case in CASES.items())
    refused = 0
    for (name, case), answer in zip(CASES.items(), theirs, strict=True):
        found = read(roots[name], case)
        if answer.error:
            refused += 1
            assert found is None, (name, found)
        else:
            assert found is not None, (name, answer.objects)
            assert ordered(found) == ordered(answer.objects), name
    assert 0 < refused < len(CASES)


def test_what_is_ignored_is_what_flux_ignores(tmp_path: Path) -> None:
    """Each pattern over all files, and texts that are put together of pieces; of the source, and of a folder."""
    seed = random.randrange(10**6)  # noqa: S311
    chosen = random.Random(seed)  # noqa: S311
    parts = [
        "a",
        "b",
        "*",
        "**",
        "?",
        "*.yaml",
        "deploy",
        "deep",
        "er",
        "d*",
        "*p*y",
        "[a-c]*",
        "[^d]*",
        "[!a]",
        "",
        "x",
    ]

    def pattern() -> str:
        path = "/".join(chosen.choices(parts, k=chosen.randint(1, 4)))
        return f"{chosen.choice(['', '', '/', '!'])}{path}{chosen.choice(['', '', '/', ' '])}"

    texts = [*PATTERNS, *("\n".join(pattern() for _ in range(chosen.randint(1, 3))) for _ in range(60))]
    files = dict.fromkeys(FILES, "")
    root = Case(files).write(tmp_path / "all")
    orders = [Order(root, "nothing is built", ignore=text) for text in texts]
    for number, text in enumerate(texts):
        own = Case({**files, "deploy/.sourceignore": text}).write(tmp_path / str(number))
        orders.append(Order(own, "nothing is built", ignore=chosen.choice(["", *texts])))
    left = set()
    for order, text, answer in zip(orders, [*texts, *texts], built(orders), strict=True):
        assert set(Fetched(Tree(order.root), order.ignore).files("")) == answer.files, (seed, text, order.ignore)
        left |= set(FILES) - answer.files
    assert left == set(FILES), "each is left out by something"


def read(root: Path, case: Case) -> list[dict[str, Any]] | None:
    """The objects; None where the folder is refused."""
    variables = case.spec.get("postBuild", {}).get("substitute") or {}
    try:
        builder = Builder(Tree(root), Deadline(60), ignore=case.ignore)
        placed = builder.build("" if case.folder == "." else case.folder, case.spec)
    except BootstrapError:
        return None
    return [substituted(each.document, variables, whole=True) for each in placed]


def ordered(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(objects, key=lambda each: (each["kind"], each["metadata"]["name"]))
