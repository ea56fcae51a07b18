"""No logic compares, splits or searches a sentence: state is data, and English is made in render."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.house_rules.source import Files, Violation, called, matches, modules

RULE = "sentences"
INSTEAD = "an enum, a flag or a number, and make the text in pipeline/render"
EXEMPT = ("pipeline/render/*",)
SENTENCE = re.compile(r"[A-Za-z][,;:.]? +[A-Za-z]")
IDENTIFIER = re.compile(r"[\w-]+")
# Attributes that hold text for people; a variable of these names only where the literal is no identifier.
TEXT_ATTRIBUTES = frozenset({"reason", "what", "hint", "message", "words", "text"})
TEXT_VARIABLES = frozenset({"reason", "what", "hint", "message", "kind"})
SEARCHES = re.compile(
    r"startswith|endswith|r?partition|r?split|r?find|r?index|count|removeprefix|removesuffix"
)
REGEX = re.compile(r"re\.(compile|search|match|fullmatch|split|subn?|findall|finditer)")
SETS = frozenset({"set", "frozenset", "tuple", "list", "dict", "Counter"})
# Path glob, part of the reported text, and why it is right there: text that other programs write, or a closed set of values.
ALLOWED: tuple[tuple[str, str, str], ...] = (
    ("pipeline/*", "cannot lock ref|failed to update ref", "git's own words for a push that came second"),
    (
        "pipeline/launch/*",
        "Invalid job id specified",
        "Slurm's own words: its exit code is that of any error",
    ),
    ("pipeline/*", "PRIVATE KEY-----", "the PEM format"),
    ("pipeline/*", "model name", "a key of /proc/cpuinfo"),
    ("pipeline/*", "Unknown Error", "a value of nvidia-smi"),
    (
        "pipeline/analyse/lint/*",
        "'not stated'",
        "a value of `statistics:` in the YAML of a study, so a contract",
    ),
)


def check(files: Files, allowed: tuple[tuple[str, str, str], ...] = ALLOWED) -> Iterator[Violation]:
    """Yield each comparison with a sentence, and each search in or for one."""
    package = Package(files)
    for path, tree in modules(files):
        if matches(path, EXEMPT):
            continue
        for node in ast.walk(tree):
            for what in _findings(node, package, _dotted(path)):
                if not any(matches(path, (glob,)) and part in what for glob, part, _ in allowed):
                    yield Violation(path, getattr(node, "lineno", 1), RULE, what, INSTEAD)


class Package:
    """The module-level constants of every module, and what each module imports from another."""

    def __init__(self, files: Files) -> None:
        self.values: dict[tuple[str, str], ast.expr] = {}
        self.imports: dict[tuple[str, str], tuple[str, str]] = {}
        for path, tree in modules(files):
            module = _dotted(path)
            for node in tree.body:
                self._add(module, node)

    def _add(self, module: str, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    self.values[module, target.id] = node.value
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                self.imports[module, alias.asname or alias.name] = (node.module, alias.name)

    def constant(self, module: str, node: ast.expr) -> tuple[str, ast.expr] | None:
        """Return the value of a name, or of an imported module's attribute, with the module that it stands in."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            source = self.imports.get((module, node.value.id))
            key = (".".join(source), node.attr) if source else None
        else:
            key = (module, node.id) if isinstance(node, ast.Name) else None
        for _ in range(9):  # a name may be imported through several packages
            if key is None or key in self.values:
                break
            key = self.imports.get(key)
        return (key[0], self.values[key]) if key in self.values else None

    def sentence(self, module: str, node: ast.expr, depth: int = 0) -> str | None:
        """Return the sentence that an expression is or contains, or None."""
        if depth > 9:
            return None
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) and SENTENCE.search(node.value) else None
        if found := self.constant(module, node):
            return self.sentence(*found, depth + 1)
        return next(filter(None, (self.sentence(module, one, depth + 1) for one in _parts(node))), None)


def _parts(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return node.elts
    if isinstance(node, ast.JoinedStr):
        return [one for one in node.values if isinstance(one, ast.Constant)]
    if isinstance(node, ast.Dict):
        return [key for key in node.keys if key is not None]
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.Starred):
        return [node.value]
    return list(node.args) if isinstance(node, ast.Call) and called(node) in SETS else []


def _findings(node: ast.AST, package: Package, module: str) -> Iterator[str]:
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
            if isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                yield from _compared(left, right, package, module)
    elif isinstance(node, ast.MatchValue) and (sentence := package.sentence(module, node.value)):
        yield f"matched with the sentence {sentence!r}"
    elif isinstance(node, ast.Call):
        yield from _searched(node, package, module)


def _searched(node: ast.Call, package: Package, module: str) -> Iterator[str]:
    name = called(node)
    method, is_regex = name.rsplit(".", 1)[-1], REGEX.fullmatch(name)
    if not is_regex and not (isinstance(node.func, ast.Attribute) and SEARCHES.fullmatch(method)):
        return
    searched = node.args[1:] if is_regex else [getattr(node.func, "value", None)]
    texts = [one for one in searched if isinstance(one, ast.Attribute) and one.attr in TEXT_ATTRIBUTES]
    sentence = package.sentence(module, node.args[0]) if node.args else None
    if sentence:
        yield f"`{method}` with the sentence {sentence!r}"
    elif texts:
        yield f"`{method}` in `{ast.unparse(texts[0])}`"


def _compared(left: ast.expr, right: ast.expr, package: Package, module: str) -> Iterator[str]:
    sentence = package.sentence(module, left) or package.sentence(module, right)
    if sentence:
        yield f"compared with the sentence {sentence!r}"
        return
    for one, other in ((left, right), (right, left)):
        attribute = one.attr in TEXT_ATTRIBUTES if isinstance(one, ast.Attribute) else False
        variable = one.id in TEXT_VARIABLES if isinstance(one, ast.Name) else False
        value = _literal(other)
        if value and (attribute or (variable and not IDENTIFIER.fullmatch(value))):
            yield f"`{ast.unparse(one)}` compared with {value!r}"


def _literal(node: ast.expr) -> str | None:
    found = (one.value for one in (node, *_parts(node)) if isinstance(one, ast.Constant))
    return next((value for value in found if isinstance(value, str) and value), None)


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
