# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the collection in which every sentence that its code says is another one, taken at random.

Whatever reads such a sentence, to split it, to match it or to compare it, then fails; what programs compare (states,
codes, exit statuses) stays.
"""

from __future__ import annotations

import ast
import random
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What an installed collection needs, and no more.
PARTS = ("galaxy.yml", "meta", "playbooks", "plugins", "roles")
SPEAKING = ("action", "callback", "filter", "lookup", "plugin_utils")

WORDS = frozenset({"amber", "basin", "cedar", "delta", "fjord", "grove", "islet", "knoll", "larch", "ochre", "pearl"})
# What is called with a pattern, by which other programs' output is read.
READERS = frozenset({"compile", "findall", "fullmatch", "match", "search", "sub", "_refusal"})


def is_sentence(parts: list[str]) -> bool:
    """Whether these constant parts of a text are said to people: three words or more."""
    return len(re.findall(r"(?<![\w/.-])[A-Za-z][a-z']*(?![\w/(=-])", " ".join(parts))) >= 3


class Reworder(ast.NodeTransformer):
    """Rewords the sentences of a module. Docstrings stay, and so does what a text is searched for or compared with."""

    def __init__(self, generator: random.Random) -> None:
        self.generator = generator
        self.count = 0

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in READERS:
            node.args[1:] = [self.visit(argument) for argument in node.args[1:]]
            return node
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str) and is_sentence([node.value]):
            return ast.copy_location(ast.Constant(self.reworded(node.value)), node)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        constants = [part for part in node.values if isinstance(part, ast.Constant)]
        says = is_sentence([str(part.value) for part in constants])
        for number, part in enumerate(node.values):
            if says and isinstance(part, ast.Constant):
                node.values[number] = ast.Constant(self.reworded(str(part.value)))
            elif isinstance(part, ast.FormattedValue):
                part.value = self.visit(part.value)
        return node

    def reworded(self, text: str) -> str:
        """Other words; what stands in braces is filled in later, and a last line break is a matter of form."""
        self.count += 1
        places = re.findall(r"\{\w*\}", text)
        words = [self.generator.choice(sorted(WORDS)) for _ in range(self.generator.randint(2, 6))]
        return f" {' '.join([*words, *places])} "


def reworded(collections: Path, seed: int) -> int:
    """Put such a copy into a directory for collections. Returns how many texts were reworded."""
    target = collections / "ansible_collections" / "tazlab" / "bootstrap"
    target.mkdir(parents=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / part)
    reworder = Reworder(random.Random(seed))  # noqa: S311  # chance, and no secret
    for room in SPEAKING:
        for path in sorted((target / "plugins" / room).rglob("*.py")):
            tree = ast.parse(path.read_text())
            path.write_text(ast.unparse(ast.fix_missing_locations(reworder.visit(tree))))
    return reworder.count
