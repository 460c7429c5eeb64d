# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of our action plugins: work on the controller, in memory, with results that no callback can print.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import traceback
import typing as t
from abc import abstractmethod
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.module_utils import errors
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.lifeline import (
    end_with_run,
    signals_reach_children,
)

display = Display()


class ControllerAction(ActionBase):  # type: ignore[misc]
    """An action with a full argument spec that runs on the controller and starts no module.

    A subclass declares C(argument_spec) (as AnsibleModule takes it; and C(spec_rules), e.g. C(required_if)), sets
    C(secret_result) where its result or its arguments may hold a secret, and writes C(execute).
    """

    argument_spec: t.ClassVar[dict[str, t.Any]] = {}
    spec_rules: t.ClassVar[dict[str, t.Any]] = {}
    secret_result: t.ClassVar[bool] = False

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    @abstractmethod
    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Do the work. Raise C(BootstrapError) for what a user can act on; return the task's result."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(None, task_vars)
        end_with_run()
        try:
            with signals_reach_children():
                result.update(self.execute(self._validated(), task_vars or {}))
        except BootstrapError as error:
            result.update(failed=True, msg=str(error), problem={"code": error.code, "subject": error.subject})
        except AnsibleError:
            raise
        except Exception as error:  # noqa: BLE001  # the outermost edge: no traceback may quote a secret
            text = self._unexpected(error)
            result.update(failed=True, msg=text, problem={"code": "unexpected", "subject": ""})
        result.setdefault("changed", False)
        if self.secret_result:
            result["_ansible_no_log"] = True
        return result

    def progress(self, message: str) -> None:
        """Show a line now, while the task still runs."""
        display.display(f"  {self._task.action.rpartition('.')[2]}: {message}", stderr=True)

    @property
    def check_mode(self) -> bool:
        return bool(self._task.check_mode)

    @property
    def diff_mode(self) -> bool:
        return bool(self._task.diff)

    def _validated(self) -> dict[str, t.Any]:
        return validated(self.argument_spec, self.arguments(), **self.spec_rules)

    def arguments(self) -> dict[str, t.Any]:
        """The options as the task gives them. A subclass may take those that it lacks from elsewhere."""
        return dict(self._task.args)

    @staticmethod
    def _unexpected(error: Exception) -> str:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return (
            f"Unexpected {type(error).__name__} at {Path(place.filename).name}:{place.lineno}. "
            "Its text is withheld, since it could quote a secret. This is a bug in tazlab.bootstrap: please report it."
        )


def validated(spec: dict[str, t.Any], given: dict[str, t.Any], **rules: t.Any) -> dict[str, t.Any]:
    """Options as the spec wants them. An error names the option and never quotes its value."""
    checked = ArgumentSpecValidator(spec, **rules).validate(given)
    if checked.error_messages:
        raise BootstrapError("; ".join(_without_values(error, spec) for error in checked.errors.errors))
    return dict(checked.validated_parameters)


# These name options only. Every other error of the argument spec quotes the value, which may be a secret.
_NAMING_ONLY = (
    errors.MutuallyExclusiveError,
    errors.RequiredByError,
    errors.RequiredError,
    errors.RequiredOneOfError,
    errors.RequiredTogetherError,
    errors.UnsupportedError,
)


def _without_values(error: Exception, spec: t.Mapping[str, t.Any]) -> str:
    """What is wrong with an option, in words that never quote its value."""
    text = str(error)
    if isinstance(error, _NAMING_ONLY):
        return text
    for name, option in _options(spec):
        if re.match(rf"(?:argument|value of|elements value for option) '?{re.escape(name)}\b", text, re.IGNORECASE):
            if "choices" in option:
                return f"option {name}: must be one of {', '.join(map(str, option['choices']))}"
            of_what = f" of {option['elements']}" if "elements" in option else ""
            return f"option {name}: must be of type {option.get('type', 'str')}{of_what}"
    return "an option has the wrong type, or a value that it does not take"


def _options(spec: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, t.Mapping[str, t.Any]]]:
    for name, option in spec.items():
        yield name, option
        yield from _options(option.get("options") or {})
