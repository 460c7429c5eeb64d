# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kustomization file may say, what it reads, and what Flux adds to it. Pure.

Only keys that are known here are let through, as they are written here: kustomize takes them in any case, and what it
would read by another one was not looked at.
Private: other collections must not import it.
"""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.yaml import dump, manifests

FILES: t.Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
MANIFESTS: t.Final = (".yaml", ".yml")

# A kustomization with no other keys than these lists its objects and changes none.
LISTS: t.Final = frozenset({"apiVersion", "kind", "metadata", "resources", "bases"})
RENAMES: t.Final = frozenset({"namePrefix", "nameSuffix", "transformers"})
# Each lists files of configurations, or holds them itself.
CONFIGURED: t.Final = ("generators", "transformers", "validators")

_TEXTS, _MAPPINGS, _MIXED, _MAPPING, _TEXT = "a list of texts", "a list of mappings", "a list", "a mapping", "a text"
_FORMS: t.Final[Mapping[str, str]] = {
    **dict.fromkeys(("apiVersion", "kind", "namespace", "namePrefix", "nameSuffix"), _TEXT),
    **dict.fromkeys(("resources", "bases", "components", "crds", "configurations", "buildMetadata"), _TEXTS),
    **dict.fromkeys(CONFIGURED, _TEXTS),
    **dict.fromkeys(("patches", "patchesJson6902", "replacements", "configMapGenerator", "secretGenerator"), _MAPPINGS),
    **dict.fromkeys(("images", "replicas", "labels", "vars"), _MAPPINGS),
    **dict.fromkeys(
        ("metadata", "commonLabels", "commonAnnotations", "generatorOptions", "openapi", "sortOptions"), _MAPPING
    ),
    "patchesStrategicMerge": _MIXED,
}
# What may stand in an entry of these, since it may name a file.
_PARTS: t.Final[Mapping[str, frozenset[str]]] = {
    "patches": frozenset({"path", "patch", "target", "options"}),
    "patchesJson6902": frozenset({"path", "patch", "target", "options"}),
    "replacements": frozenset({"path", "source", "targets"}),
    **dict.fromkeys(
        ("configMapGenerator", "secretGenerator"),
        frozenset({"name", "namespace", "behavior", "type", "files", "literals", "envs", "env", "options"}),
    ),
}
# What may be configured, and by which keys: of kustomize's own what reads nothing but the files that it names.
_BUILTIN: t.Final[Mapping[str, frozenset[str]]] = {
    "ConfigMapGenerator": _PARTS["configMapGenerator"] - {"name", "namespace"},
    "SecretGenerator": _PARTS["secretGenerator"] - {"name", "namespace"},
    "PatchTransformer": _PARTS["patches"],
    "PatchJson6902Transformer": frozenset({"path", "jsonOp", "target"}),
    "PatchStrategicMergeTransformer": frozenset({"paths", "patches"}),
    "ReplacementTransformer": frozenset({"replacements"}),
    "AnnotationsTransformer": frozenset({"annotations", "fieldSpecs"}),
    "LabelTransformer": frozenset({"labels", "fieldSpecs"}),
    "NamespaceTransformer": frozenset({"fieldSpecs", "unsetOnly", "setRoleBindingSubjects"}),
    "PrefixTransformer": frozenset({"prefix", "fieldSpecs"}),
    "SuffixTransformer": frozenset({"suffix", "fieldSpecs"}),
    "PrefixSuffixTransformer": frozenset({"prefix", "suffix", "fieldSpecs"}),
    "ImageTagTransformer": frozenset({"imageTag", "fieldSpecs"}),
    "ReplicaCountTransformer": frozenset({"replica", "fieldSpecs"}),
    "HashTransformer": frozenset(),
}
_PATHS: t.Final = ("resources", "bases", "components", "crds", "configurations")
# An address, a login before a host, a Git repository's name, or a query, which is the form of a Git reference.
_REMOTE: t.Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:|[A-Za-z0-9._-]+@|(?:www\.)?github\.com/|.*(?://|\?|\.git(?:/|$)|(?:^|/)_git/)",
    re.IGNORECASE,
)


class Unknown(Exception):
    """A kustomization says something that is not known here, or in another form. The text tells what."""


@dataclass(frozen=True)
class Reference:
    """Something that a kustomization reads: by which key, and its path, relative to the kustomization's folder."""

    key: str
    path: str

    @property
    def is_remote(self) -> bool:
        """Whether it is, or may be taken for, something elsewhere."""
        return _REMOTE.match(self.path) is not None


def checked(content: t.Any) -> dict[str, t.Any]:
    """A kustomization, when all that it says is known. What is empty is left out."""
    if not isinstance(content, Mapping):
        raise Unknown("it is not a mapping")
    found: dict[str, t.Any] = {}
    for key, value in content.items():
        form = _FORMS.get(key)
        if form is None:
            raise Unknown(f"what its key {key} does is not known here")
        if value is None:
            continue
        if not _has_form(value, form):
            raise Unknown(f"its {key} is not {form}")
        found[key] = value
    for key, allowed in _PARTS.items():
        for each in found.get(key) or []:
            if more := sorted(set(each) - allowed):
                raise Unknown(f"what {more[0]} of its {key} does is not known here")
            for name in ("files", "literals", "envs"):
                if each.get(name) is not None and not _has_form(each[name], _TEXTS):
                    raise Unknown(f"{name} of its {key} is not a list of texts")
    if set(found.get("openapi") or {}) - {"path", "version"}:
        raise Unknown("what its openapi does is not known here")
    for key in CONFIGURED:
        if key in found:
            found[key] = [each if (held := _held(each)) is None else configurations(held) for each in found[key]]
    return found


def configurations(documents: Sequence[t.Any]) -> str:
    """Configurations of generators, transformers and validators, written anew, when all that they say is known."""
    for each in documents:
        _as_kustomization(each)
    return "---\n".join(map(dump, documents))


def _held(text: str) -> list[t.Any] | None:
    """The configurations that stand there themselves; None where it is the path of their file."""
    try:
        found = [each for each in manifests(text.encode()) if each is not None]
    except NotYaml:
        return None
    return found if found and all(isinstance(each, dict) for each in found) else None


def _as_kustomization(configuration: t.Any) -> dict[str, t.Any]:
    """A configuration as the kustomization that would read the same files."""
    said = configuration if isinstance(configuration, Mapping) else {}
    kind, version = str(said.get("kind")), said.get("apiVersion")
    if version != "builtin" or kind not in _BUILTIN:
        raise Unknown(f"what a {kind} of {version} does is not known here")
    given = {key: each for key, each in said.items() if key not in ("apiVersion", "kind", "metadata")}
    metadata = said.get("metadata") or {}
    if not isinstance(metadata, Mapping) or set(metadata) - {"name", "namespace"}:
        raise Unknown(f"a {kind} has more metadata than a name and a namespace")
    if more := sorted(set(given) - _BUILTIN[kind]):
        raise Unknown(f"what {more[0]} of a {kind} does is not known here")
    if kind in ("ConfigMapGenerator", "SecretGenerator"):
        return checked({f"{kind[0].lower()}{kind[1:]}": [given]})
    path = {"path": given["path"]} if given.get("path") else {}
    same = {"patches": [path], "patchesStrategicMerge": given.get("paths"), "replacements": given.get("replacements")}
    return checked(same)


def _has_form(value: t.Any, form: str) -> bool:
    if form in (_MAPPING, _TEXT):
        return isinstance(value, dict if form == _MAPPING else str)
    if not isinstance(value, list):
        return False
    kinds: dict[str, t.Any] = {_TEXTS: str, _MAPPINGS: dict, _MIXED: (str, dict)}
    return all(isinstance(each, kinds[form]) for each in value)


def references(kustomization: Mapping[str, t.Any]) -> Iterator[Reference]:
    """All that a checked kustomization reads."""
    for key in _PATHS:
        yield from (Reference(key, each) for each in kustomization.get(key) or [])
    for key in CONFIGURED:
        for each in kustomization.get(key) or []:
            held = _held(each)
            yield from [Reference(key, each)] if held is None else configured(held)
    yield from (
        Reference("patchesStrategicMerge", each)
        for each in kustomization.get("patchesStrategicMerge") or []
        if isinstance(each, str) and not _is_inline(each)
    )
    for key in ("patches", "patchesJson6902", "replacements"):
        yield from (Reference(key, str(each["path"])) for each in kustomization.get(key) or [] if each.get("path"))
    for key in ("configMapGenerator", "secretGenerator"):
        for generator in kustomization.get(key) or []:
            yield from (Reference(key, each.partition("=")[2] or each) for each in generator.get("files") or [])
            envs = [*(generator.get("envs") or []), *([generator["env"]] if generator.get("env") else [])]
            yield from (Reference(key, str(each)) for each in envs)
    if schema := (kustomization.get("openapi") or {}).get("path"):
        yield Reference("openapi", str(schema))


def configured(documents: Sequence[t.Any]) -> Iterator[Reference]:
    """All that configurations read, relative to the kustomization that lists them."""
    for each in documents:
        yield from references(_as_kustomization(each))


def _is_inline(patch: str) -> bool:
    """Whether a patch stands there itself, and not the path of its file."""
    try:
        return any(isinstance(each, dict) for each in manifests(patch.encode()))
    except NotYaml:
        return False


def merged(kustomization: Mapping[str, t.Any], spec: Mapping[str, t.Any], components: list[str]) -> dict[str, t.Any]:
    """A kustomization with what the spec of a Flux Kustomization adds. C(components) are those of it that there are."""
    found = dict(kustomization)
    for key, name in (("targetNamespace", "namespace"), ("namePrefix", "namePrefix"), ("nameSuffix", "nameSuffix")):
        if spec.get(key):
            found[name] = spec[key]
    for key in ("patches", "patchesStrategicMerge", "patchesJson6902"):
        if spec.get(key):
            found[key] = [*(found.get(key) or []), *(_as_text(each) for each in _list(spec[key], key))]
    if components:
        found["components"] = [*(found.get("components") or []), *components]
    if spec.get("images"):
        given = {str(image.get("name")): image for image in _list(spec["images"], "images") if isinstance(image, dict)}
        kept = [image for image in found.get("images") or [] if image.get("name") not in given]
        found["images"] = [*kept, *given.values()]
    return checked(found)


def _list(value: t.Any, key: str) -> list[t.Any]:
    if not isinstance(value, list):
        raise Unknown(f"its {key} is not a list")
    return value


def _as_text(patch: t.Any) -> t.Any:
    """A patch as a kustomization takes it: operations that stand as a list are its text."""
    if isinstance(patch, Mapping) and isinstance(patch.get("patch"), list):
        return {**patch, "patch": json.dumps(patch["patch"])}
    return patch
