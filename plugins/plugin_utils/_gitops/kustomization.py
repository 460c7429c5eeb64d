# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kustomization file names, and what Flux adds to it. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FILES: t.Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
MANIFESTS: t.Final = (".yaml", ".yml")

# A kustomization with no other keys than these lists its objects and changes none.
LISTS: t.Final = frozenset({"apiVersion", "kind", "metadata", "resources", "bases"})

# Keys whose values are paths of files or folders.
_PATHS: t.Final = ("resources", "bases", "components", "crds", "configurations")
# Keys whose values are paths of files, or what stands in such a file.
_PATHS_OR_TEXTS: t.Final = ("patchesStrategicMerge", "generators", "transformers", "validators")
_PATCHES: t.Final = ("patches", "patchesJson6902", "replacements")
_GENERATORS: t.Final = ("configMapGenerator", "secretGenerator")
_REMOTE: t.Final = ("git::", "gh:", "ssh://", "https://", "http://", "git@", "github.com:", "github.com/")


@dataclass(frozen=True)
class Reference:
    """Something that a kustomization reads: by which key, and its path, relative to the kustomization's folder."""

    key: str
    path: str

    @property
    def is_remote(self) -> bool:
        """Whether it is fetched from elsewhere. A query is the form of a Git reference."""
        return self.path.lower().startswith(_REMOTE) or "?ref=" in self.path or "//" in self.path


def references(kustomization: Mapping[str, t.Any]) -> Iterator[Reference]:
    """All that a kustomization reads, as far as it names it by a path."""
    for key in _PATHS:
        yield from (Reference(key, str(each)) for each in kustomization.get(key) or [])
    for key in _PATHS_OR_TEXTS:
        yield from (Reference(key, str(each)) for each in kustomization.get(key) or [] if "\n" not in str(each))
    for key in _PATCHES:
        patches = [each for each in kustomization.get(key) or [] if isinstance(each, Mapping)]
        yield from (Reference(key, str(each["path"])) for each in patches if each.get("path"))
    for key in _GENERATORS:
        for generator in kustomization.get(key) or []:
            sources = [*(generator.get("files") or []), *(generator.get("envs") or [])]
            sources += [generator["env"]] if generator.get("env") else []
            yield from (Reference(key, str(each).partition("=")[2] or str(each)) for each in sources)
    if schema := (kustomization.get("openapi") or {}).get("path"):
        yield Reference("openapi", str(schema))


def merged(kustomization: Mapping[str, t.Any], spec: Mapping[str, t.Any], components: list[str]) -> dict[str, t.Any]:
    """A kustomization with what the spec of a Flux Kustomization adds. C(components) are those of it that there are."""
    found = dict(kustomization)
    for key, name in (("targetNamespace", "namespace"), ("namePrefix", "namePrefix"), ("nameSuffix", "nameSuffix")):
        if spec.get(key):
            found[name] = spec[key]
    for key in ("patches", "patchesStrategicMerge", "patchesJson6902"):
        if spec.get(key):
            found[key] = [*(found.get(key) or []), *map(_as_text, spec[key])]
    if components:
        found["components"] = [*(found.get("components") or []), *components]
    if spec.get("images"):
        given = {image["name"]: image for image in spec["images"]}
        kept = [image for image in found.get("images") or [] if image.get("name") not in given]
        found["images"] = [*kept, *given.values()]
    return found


def _as_text(patch: t.Any) -> t.Any:
    """A patch as a kustomization takes it: operations that stand as a list are its text."""
    if isinstance(patch, Mapping) and isinstance(patch.get("patch"), list):
        import json

        return {**patch, "patch": json.dumps(patch["patch"])}
    return patch
