# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of kubernetes_ready: waits for Kubernetes objects, saying what is missing while it waits."""

from __future__ import annotations

import base64
import contextlib
import time
import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.ready import MANAGER, Held, behind
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.vault_readers import (
    WAITS,
    Waiting,
    excused,
    waiting,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api, Unanswered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.apply import (
    CHANGED,
    Applied,
    Rules,
    apply_all,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.ready import (
    Seen,
    complaint,
    explained,
    look_at_all,
    parse,
    wait,
)

PAUSE: t.Final = 0.5  # seconds between two attempts while the API serves a kind not yet
LAST_LOOK: t.Final = 5.0  # seconds for each question about a pod, when the time is up


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "kubeconfig": {"type": "path", "required": True},
        "objects": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "api_version": {"type": "str", "required": True},
                "kind": {"type": "str", "required": True},
                "namespace": {"type": "str"},
                "name": {"type": "str"},
                "label_selector": {"type": "str"},
                "condition": {"type": "str"},
            },
        },
        "flux_sync": {"type": "list", "elements": "dict", "default": []},
        "without_vault": {"type": "bool", "default": False},
        "timeout": {"type": "int", "default": 300},
        "redact": {"type": "list", "elements": "str", "default": []},  # the result and every line are without them
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        wanted = parse(params["objects"])
        redact = _redactor(params["redact"])
        deadline = Deadline(params["timeout"])
        again: list[Applied] = []
        with Api(params["kubeconfig"]) as api:
            if self.check_mode:
                seen = look_at_all(api, wanted, deadline, behind)
            else:

                def say(line: str) -> None:
                    self.progress(redact(line))

                def declare(document: dict[str, t.Any]) -> Applied:
                    (applied,) = apply_all(api, [document], Rules(MANAGER), deadline, say)
                    again.append(applied)
                    return applied

                held = Held(params["flux_sync"], declare)

                def judged(seen: t.Sequence[Seen]) -> list[Seen]:
                    found = held(seen)
                    if params["without_vault"] and not all(each.ready for each in found):
                        with contextlib.suppress(Unanswered):  # a kind that has just been made is not served yet
                            found = excused(found, waiting(api, max(1.0, deadline.left)))
                    return found

                seen = wait(api, wanted, deadline, say, judged)
                seen = explained(api, seen, LAST_LOOK)
            waits = _waits(api) if params["without_vault"] and not self.check_mode else []
        for each in waits:
            self.progress(redact(f"{each.label}: {WAITS} ({each.why})"))
        ready = all(each.ready for each in seen)
        result = {
            "changed": any(each.change == CHANGED for each in again),
            "ready": ready,
            "elapsed": round(deadline.elapsed, 1),
            "objects": [redact(_report(each)) for each in seen],
            "waiting": [redact(each.as_dict()) for each in waits],
        }
        if not ready and not self.check_mode:
            result.update(failed=True, msg=redact(complaint(seen, deadline)))
        return result


def _waits(api: Api) -> list[Waiting]:
    """What waits for Vault in the end. Kinds that have just been made are not served for a moment."""
    deadline = Deadline(LAST_LOOK)
    while True:
        try:
            return waiting(api, LAST_LOOK)
        except Unanswered:
            if not deadline.left:
                raise
            time.sleep(PAUSE)


def _report(seen: Seen) -> dict[str, t.Any]:
    return {
        "api_version": seen.wanted.api_version,
        "kind": seen.wanted.kind,
        "namespace": seen.wanted.namespace,
        "name": seen.name,
        "condition": seen.wanted.condition,
        "exists": seen.exists,
        "ready": seen.ready,
        "why": seen.why,
        "status": seen.status,
    }


def _redactor(secrets: t.Iterable[str]) -> t.Callable[[t.Any], t.Any]:
    """A function that replaces these secrets, and their base64, wherever they stand in text, lists and dictionaries."""
    plain = {str(secret) for secret in secrets if secret}
    hidden = sorted(plain | {base64.b64encode(each.encode()).decode() for each in plain}, key=len, reverse=True)

    def redact(value: t.Any) -> t.Any:
        if isinstance(value, str):
            for each in hidden:
                value = value.replace(each, "********")
            return value
        if isinstance(value, dict):
            return {key: redact(each) for key, each in value.items()}
        if isinstance(value, list):
            return [redact(each) for each in value]
        return value

    return redact
