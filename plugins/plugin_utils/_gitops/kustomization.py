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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.yaml import manifests

FILES: t.Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
MANIFESTS: t.Final = (".yaml", ".yml")

# A kustomization with no other keys than these lists its objects and changes none.
LISTS: t.Final = frozenset({"apiVersion", "kind", "metadata", "resources", "bases"})
RENAMES: t.Final = frozenset({"namePrefix", "nameSuffix"})

_TEXTS, _MAPPINGS, _MIXED, _MAPPING, _TEXT = "a list of texts", "a list of mappings", "a list", "a mapping", "a text"
_FORMS: t.Final[Mapping[str, str]] = {
    **dict.fromkeys(("apiVersion", "kind", "namespace", "namePrefix", "nameSuffix"), _TEXT),
    **dict.fromkeys(("resources", "bases", "components", "crds", "configurations", "buildMetadata"), _TEXTS),
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
    return found


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
