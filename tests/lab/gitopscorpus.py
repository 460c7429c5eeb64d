# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories in the shapes that people give them, each with what a Flux Kustomization says of a folder in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def config(name: str, **data: str) -> str:
    """A ConfigMap as somebody writes it."""
    lines = "".join(f"  {key}: {value}\n" for key, value in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n{lines or '  a: b'}\n"


DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: main, image: "example.net/web:1"}
"""
LIST = """apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: first}, data: {a: b}}
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: second}, data: {a: b}}
"""
SCRIPT = """apiVersion: v1
kind: ConfigMap
metadata:
  name: script
data:
  run.sh: |
    #!/bin/sh
    for each in a b; do
      echo "$each of ${domain}: $${HOME} ${missing:-none}"
    done
  port: ${port}
  name: "${domain}"
  list: ${hosts}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: left
  labels: {kustomize.toolkit.fluxcd.io/substitute: disabled}
data:
  name: ${domain}
"""


def resources(*paths: str, **more: Any) -> str:
    listed = "".join(f"  - {path}\n" for path in paths)
    rest = "".join(f"{key}: {value}\n" for key, value in more.items())
    return f"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{listed}{rest}"


@dataclass(frozen=True)
class Case:
    """A repository's files (a value that begins with -> is a link), a folder of it, and the spec that builds it.

    C(ignore) is that of its GitRepository.
    """

    files: Mapping[str, str]
    folder: str = "apps"
    spec: Mapping[str, Any] = field(default_factory=dict)
    ignore: str = ""

    def write(self, root: Path) -> Path:
        for name, text in self.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text.startswith("->"):
                path.symlink_to(text.removeprefix("->"))
            else:
                path.write_text(text)
        return root


# Plain words that versions and readers of YAML take for different things.
WORDS = (
    *("yes", "no", "on", "off", "y", "n", "Yes", "ON", "true", "True", "TRUE", "false", "~", "null", "Null", "="),
    *("12:30", "22:22:22", "190:20:30.15", "0755", "0o755", "08", "0o8", "0x1F", "0x", "0b11", "1_000", "1__0", "+1"),
    *("-0", "1e3", "1E3", "1e400", ".5", "5.", "1.0", "1.50", "1_0.5", "1.2.3", "123456789012345678901234"),
    *("2001-01-01", "2001-01-01T10:00:00Z", "2001-01-01T10:00:00+02:00"),
)
WORDY = "apiVersion: v1\nkind: X\nmetadata: {name: x}\nspec:\n" + "".join(
    f"  k{number}: {word}\n" for number, word in enumerate(WORDS)
)
ANCHORS = """apiVersion: v1
kind: X
metadata: {name: x}
spec:
  - {name: &name first, key: *name}
  - {name: &name second, key: *name}
"""
VARIABLES = {"domain": "example.net", "port": "8080", "hosts": "[a, b]"}
SUBSTITUTED = {"postBuild": {"substitute": VARIABLES}}
IGNORES_OTHERS = {"elsewhere/.sourceignore": "# why\nnothing\n"}
PATCH = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n"

CASES = {
    "a folder without a kustomization": Case(
        {
            "apps/b.yaml": config("b"),
            "apps/a.yml": config("a"),
            "apps/README.md": "no manifest",
            "apps/deep/er/c.yaml": config("c"),
            "apps/own/kustomization.yaml": resources("d.yaml"),
            "apps/own/d.yaml": config("d"),
            "apps/own/not-listed.yaml": config("e"),
            "apps/own/below/f.yaml": config("f"),
            "apps/empty.yaml": "---\n# nothing\n",
        }
    ),
    "files beside the folder": Case(
        {"apps/kustomization.yaml": resources("../shared/a.yaml", "../other"), "shared/a.yaml": config("a")}
        | {"other/Kustomization": resources("b.yaml"), "other/b.yaml": config("b")}
    ),
    "a base and what is laid over it": Case(
        {
            "base/kustomization.yml": resources("web.yaml"),
            "base/web.yaml": DEPLOYMENT,
            "apps/kustomization.yaml": resources(
                "../base", namespace="prod", namePrefix="my-", patches="[{path: more.yaml}]"
            ),
            "apps/more.yaml": PATCH,
        }
    ),
    "bases in subfolders": Case(
        {
            "apps/kustomization.yaml": resources("./one", "two/"),
            "apps/one/kustomization.yaml": resources("a.yaml"),
            "apps/one/a.yaml": config("a"),
            "apps/two/kustomization.yaml": resources("b.yaml", commonLabels="{team: x}"),
            "apps/two/b.yaml": config("b"),
        }
    ),
    "components, one of which is not there": Case(
        {
            "apps/kustomization.yaml": resources("web.yaml"),
            "apps/web.yaml": DEPLOYMENT,
            "more/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
            "patches:\n  - {path: patch.yaml}\n",
            "more/patch.yaml": PATCH,
        },
        spec={"components": ["../more", "../nowhere"], "ignoreMissingComponents": True},
    ),
    "generators": Case(
        {
            "apps/kustomization.yaml": "configMapGenerator:\n  - name: made\n    files: [key=a.txt, b.txt]\n"
            "    literals: [c=d]\n  - {name: from-env, envs: [x.env]}\n"
            "secretGenerator:\n  - {name: hidden, files: [a.txt]}\n",
            "apps/a.txt": "text\n",
            "apps/b.txt": "more\n",
            "apps/x.env": "KEY=value\n",
        }
    ),
    "generators of their own": Case(
        {
            "apps/kustomization.yaml": resources("web.yaml", generators="[make/more.yaml]"),
            "apps/web.yaml": DEPLOYMENT,
            "apps/a.txt": "text\n",
            "apps/x.env": "KEY=value\n",
            "apps/make/more.yaml": "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: made}\n"
            "files: [a.txt]\nliterals: [b=c]\n---\napiVersion: builtin\nkind: SecretGenerator\n"
            "metadata: {name: hidden, namespace: x}\nenvs: [x.env]\n",
        }
    ),
    "transformers of their own": Case(
        {
            "apps/kustomization.yaml": resources("web.yaml", "a.yaml", transformers="[one.yaml, ../other/two.yaml]"),
            "apps/web.yaml": DEPLOYMENT,
            "apps/a.yaml": config("a"),
            "apps/one.yaml": "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: x}\nprefix: x-\n"
            "fieldSpecs: [{path: metadata/name}]\n---\napiVersion: builtin\nkind: LabelTransformer\n"
            "metadata: {name: y}\nlabels: {team: x}\nfieldSpecs: [{path: metadata/labels, create: true}]\n",
            "other/two.yaml": "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: z}\npath: patch.yaml\n"
            "target: {kind: Deployment}\n---\napiVersion: builtin\nkind: NamespaceTransformer\n"
            "metadata: {name: n, namespace: prod}\nfieldSpecs: [{path: metadata/namespace, create: true}]\n---\n"
            "apiVersion: builtin\nkind: PatchStrategicMergeTransformer\nmetadata: {name: s}\npaths: [more.yaml]\n",
            "apps/patch.yaml": '[{"op": "replace", "path": "/spec/replicas", "value": 3}]',
            "apps/more.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {more: a}\n",
        }
    ),
    "transformers that stand in the kustomization": Case(
        {
            "apps/kustomization.yaml": resources("web.yaml")
            + "transformers:\n  - |\n    apiVersion: builtin\n    kind: ReplicaCountTransformer\n"
            "    metadata: {name: x}\n    replica: {name: web, count: 5}\n"
            "    fieldSpecs: [{path: spec/replicas, kind: Deployment}]\n  - |-\n    apiVersion: builtin\n"
            "    kind: ImageTagTransformer\n    metadata: {name: y}\n"
            "    imageTag: {name: example.net/web, newTag: '7'}\n"
            "    fieldSpecs: [{path: 'spec/template/spec/containers[]/image'}]\n"
            "validators:\n  - |\n    {apiVersion: builtin, kind: AnnotationsTransformer, metadata: {name: v}}\n",
            "apps/web.yaml": DEPLOYMENT,
        }
    ),
    "a validator that changes something": Case(
        {
            "apps/kustomization.yaml": resources("web.yaml", validators="[check.yaml]"),
            "apps/check.yaml": "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: x}\nprefix: x-\n"
            "fieldSpecs: [{path: metadata/name}]\n",
            "apps/web.yaml": DEPLOYMENT,
        }
    ),
    "what the Flux Kustomization adds": Case(
        {"apps/web.yaml": DEPLOYMENT, "apps/a.yaml": config("a")},
        spec={
            "targetNamespace": "web",
            "namePrefix": "x-",
            "nameSuffix": "-y",
            "images": [{"name": "example.net/web", "newTag": "2"}],
            "patches": [
                {"patch": PATCH},
                {
                    "patch": '[{"op": "add", "path": "/metadata/labels/new", "value": "yes"}]',
                    "target": {"kind": "Deployment"},
                },
            ],
        },
    ),
    "images of both": Case(
        {
            "apps/kustomization.yaml": resources("web.yaml", images="[{name: example.net/web, newTag: old}]"),
            "apps/web.yaml": DEPLOYMENT,
        },
        spec={"images": [{"name": "example.net/web", "newName": "mirror/web", "newTag": "3"}]},
    ),
    "a list": Case({"apps/list.yaml": LIST}),
    "a kustomization that lists nothing": Case({"apps/kustomization.yaml": "resources: []\n"}),
    "an empty folder": Case({"apps/README.md": "nothing"}),
    "variables": Case({"apps/script.yaml": SCRIPT}, spec=SUBSTITUTED),
    "variables that are not asked for": Case({"apps/script.yaml": SCRIPT}),
    "the root of a repository": Case({"a.yaml": config("a"), "sub/b.yaml": config("b")}, folder="."),
    "a link": Case({"apps/a.yaml": "->../shared/a.yaml", "shared/a.yaml": config("a"), "apps/b.yaml": config("b")}),
    "a link that is listed": Case(
        {"apps/kustomization.yaml": resources("a.yaml"), "apps/a.yaml": "->../shared/a.yaml"}
        | {"shared/a.yaml": config("a")}
    ),
    "what is ignored by default": Case(
        {"a.yaml": config("a"), ".github/b.yaml": "on: push\n", "deep/.sops.yaml": "x: y\n", "appveyor.yml": "x: y\n"},
        folder=".",
    ),
    "what is ignored by default and listed": Case(
        {"apps/kustomization.yaml": resources("cloudbuild.yaml"), "apps/cloudbuild.yaml": config("a")}
    ),
    "what is not ignored any more": Case({"apps/a.yaml": config("a"), "apps/.sops.yaml": "x: y\n", **IGNORES_OTHERS}),
    "what .sourceignore leaves out": Case(
        {
            ".sourceignore": "/*\n!/apps\n/apps/b.yaml\n",
            "apps/a.yaml": config("a"),
            "apps/b.yaml": "no: object\n",
            "apps/deep/.sourceignore": "c.*\n",
            "apps/deep/c.yaml": "no: object\n",
            "apps/d.yaml": config("d"),
        }
    ),
    "what .sourceignore leaves out and a kustomization lists": Case(
        {"apps/kustomization.yaml": resources("a.yaml"), "apps/a.yaml": config("a"), ".sourceignore": "a.yaml\n"}
    ),
    "a component that is ignored and may be missing": Case(
        {"apps/a.yaml": config("a"), "more/kustomization.yaml": "kind: Component\nnamePrefix: x-\n"},
        spec={"components": ["../more"], "ignoreMissingComponents": True},
        ignore="more/",
    ),
    "a kustomization that is ignored": Case(
        {"apps/kustomization.yaml": resources("a.yaml"), "apps/a.yaml": config("a"), "apps/b.yaml": config("b")},
        ignore="kustomization.yaml",
    ),
    "a folder of which nothing is fetched": Case({"apps/a.yaml": config("a"), "b.yaml": config("b")}, ignore="/apps"),
    "a source that overrules .sourceignore": Case(
        {"apps/a.yaml": config("a"), "apps/b.yaml": config("b"), "apps/.sourceignore": "*.yaml"}, ignore="!a.yaml"
    ),
    "the same object twice": Case({"apps/a.yaml": config("a"), "apps/b.yaml": config("a")}),
    "a file that is not there": Case({"apps/kustomization.yaml": resources("nowhere.yaml")}),
    "a folder that has no kustomization as a base": Case(
        {"apps/kustomization.yaml": resources("plain"), "apps/plain/a.yaml": config("a")}
    ),
    "what is not an object": Case({"apps/a.yaml": "just: values\n"}),
    "an object without a name": Case({"apps/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n"}),
    "two kustomizations in a file": Case(
        {"apps/kustomization.yaml": resources("a.yaml") + "---\n" + resources("b.yaml")}
        | {"apps/a.yaml": config("a"), "apps/b.yaml": config("b")}
    ),
    "words": Case({"apps/x.yaml": WORDY}),
    "words that are built": Case({"apps/x.yaml": WORDY}, spec={"namePrefix": "x-"}),
    "words after variables were replaced": Case({"apps/x.yaml": WORDY}, spec=SUBSTITUTED),
    "a number that JSON has not": Case({"apps/x.yaml": WORDY + "  k: .inf\n"}),
    "an anchor that is there twice": Case({"apps/x.yaml": ANCHORS}),
    "an anchor that is there twice, built": Case({"apps/x.yaml": ANCHORS}, spec={"namePrefix": "x-"}),
    "a circle": Case(
        {"apps/kustomization.yaml": resources("../other"), "other/kustomization.yaml": resources("../apps")}
    ),
}

# Files, and patterns over them. What Git takes for other things is among these.
FILES = (
    *("a", "b.yaml", "c d", "deploy/a", "deploy/b.yaml", "deploy/deep/a", "deploy/deep/er/b.yaml", "deep/deploy/a"),
    *(
        "er/deep/er/x",
        "docs/deep/a/b/c",
        "a.d/b",
        "[x]/a",
        "x*y/a",
        "!a",
        "#a",
        "docs/a b ",
        ".github/a",
        "deep/.sops.yaml",
    ),
    *("docs/a.png", "deploy/.gitignore", ".gitmodules", "äö/a", "b/a/b/c"),
)
PATTERNS = (
    *(
        "a",
        "/a",
        "a/",
        "/a/",
        "deploy",
        "/deploy",
        "deploy/",
        "/deploy/",
        "deploy/*",
        "/deploy/**",
        "deploy/**/",
        "deep",
    ),
    *("**", "**/", "/**", "*", "/*", "/*/", "*/", "*/a", "/*/a", "**/a", "**/a/", "**/deep/a", "deploy/**/b.yaml"),
    *("**/deep/**", "**/**", "deep/**/a", "**/er/x", "b/**/b/c", "deploy/deep/**", "de**", "de**/a", "deploy/d**/er"),
    *(
        "?",
        "?.yaml",
        "deploy?a",
        "*.yaml",
        "*y*",
        "*p*y",
        "d*p",
        "[ab]",
        "[a-c].yaml",
        "[!b]",
        "[^b]",
        "[^a].yaml",
        "[b-a]",
    ),
    *(
        "[",
        "[]",
        "[]a]",
        "[a",
        "[a-]",
        "[-a]",
        "[a-c",
        "[\\]x]",
        "\\[x\\]",
        "\\[x]/a",
        "x\\*y",
        "x*y",
        "a\\",
        "\\a",
        "[+-9]",
    ),
    *(
        "#a",
        "\\#a",
        "!a",
        "\\!a",
        "a ",
        " a",
        "a b\\ ",
        "a b ",
        "c d",
        "c\\ d",
        "//a",
        "a//b",
        "/",
        "//",
        "!",
        "äö",
        "?ö",
    ),
    *("deploy\n!deploy/a", "/*\n!/deploy", "/*\n!/deploy/deep/", "deploy/\n!a", "*\n!*.yaml", "!a\na", "a\n!a\na"),
    *(
        "*\r\n!a\r\n",
        "deep\n\n#\n!/deep",
        "!*.png",
        "!.gitignore\n!.gitmodules",
        "!.github/",
        "\n# nothing\n",
        "**/\n!**/a",
    ),
)
