"""Words and phrases that this project has replaced, each with its replacement."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tests.house_rules.source import Files, Violation, functions, matches, parse

RULE = "vocabulary"
# classes: a whole identifier · names: a word of an identifier or of a file's name · literals: a whole string of Python
# prose: comments, strings, documentation, templates · any: names and prose · files: the path
Scope = Literal["classes", "names", "literals", "prose", "any", "files"]
EVERYWHERE = ("pipeline/*", "docs/*", ".github/*")
CODE_AND_DOCS = ("pipeline/*", "docs/*")
GLOSSARY, FORMERLY = "docs/glossary.md", "formerly"  # a column of this name there lists old words
# What turns old documents into new ones names what it replaces: these files, and functions whose name has the word.
UPGRADE_FILES, UPGRADES, UPGRADE = ("pipeline/schema/upgrade*",), ("pipeline/schema/*",), "upgrade"


@dataclass(frozen=True, slots=True)
class Word:
    """A pattern between word boundaries (``_`` and CamelCase are boundaries; a space is any gap), and what to use instead."""

    pattern: str
    instead: str
    scope: Scope
    paths: tuple[str, ...] = EVERYWHERE
    exempt: tuple[str, ...] = ()


WORDS = (
    Word("[Ww]ish(es)?", "Options, options", "any"),
    Word("(?i:world)(?!_(?i:size))", "Context, context", "names"),  # WORLD_SIZE is the field's
    Word("(?i:means)", "Clients, clients", "names"),
    Word("(?i:doors)", "Clients, clients", "names"),
    Word("(?i:telling|told)", "report, report_data", "names"),
    Word("(?i:judged)", "with_verdict", "names"),
    Word("(?i:books?|shelf|shelves)", "RecipeSet, recipe_set, loader", "names"),
    Word(r"cli/words\.py", "pipeline/cli/arguments.py", "files"),
    Word("(?i:sound)", "valid", "any"),
    Word("(?i:crews?)", "processes", "any"),
    Word("(?i:obituary|obituaries)", "exit reason", "any"),
    Word("(?i:farewells?)", "last output", "any"),
    Word("Seen", "Observation", "classes"),
    Word("Ran", "ClientRun", "classes"),
    Word("(?i:spots?)", "CsvPoint, point", "names"),
    Word("(?i:together)", "PairedCurves, paired", "names"),
    Word("(?i:nights?)", "run", "any", paths=("pipeline/*",)),
    Word("refused", '"invalid"', "literals", paths=("pipeline/*",)),
    Word("withheld", '"not_evaluated"', "literals", paths=("pipeline/*",)),
    Word("(?i:withheld)", "not_evaluated", "names"),
    Word("(is|are) told to", "what it does: a subject and a verb", "prose"),
    Word("of the deployments that were run", "of N deployments", "prose"),
    Word("at so many tok/s/user or more", "a number with its unit, such as at 20 tok/s/user", "prose"),
    Word("keeps? no such promise", "what is not guaranteed", "prose"),
    Word("(?i:the house)", "this repository, the pipeline", "prose"),
    Word("(?i:corridors?)", "flow", "any"),
    Word("(?i:whoever)", "the user, a role, or the passive voice", "prose", paths=CODE_AND_DOCS),
    Word("(?i:somebody)", "a role, or the passive voice", "prose", paths=CODE_AND_DOCS),
    Word("(?i:nobody)", "no and a noun, or the passive voice", "prose", paths=CODE_AND_DOCS),
    Word("(?i:in words)", "as text", "prose"),
)

GAP = r"""[\s#"'>*]+"""  # between the words of a phrase: a new line of a comment, of a string, of a quotation
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
STRINGS = frozenset({tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)})
# Where names stand in files other than Python's.
CODE = {
    ".j2": re.compile(r"\{[{%].*?[}%]\}", re.DOTALL),
    ".js": re.compile(r".+"),
    ".md": re.compile(r"`[^`\n]+`"),
}


def check(files: Files, words: tuple[Word, ...] = WORDS) -> Iterator[Violation]:
    """Yield each line of each file in which an old word occurs."""
    for path, text in files.items():
        if matches(path, UPGRADE_FILES):
            continue
        occurrences = _Occurrences.of(path, _without_formerly(text) if path == GLOSSARY else text)
        skipped = _upgrade_lines(text) if path.endswith(".py") and matches(path, UPGRADES) else frozenset()
        for word in words:
            if matches(path, word.paths) and not matches(path, word.exempt):
                for line, found in sorted(dict(occurrences.find(word)).items()):
                    if line not in skipped:
                        yield Violation(path, line, RULE, f"old word `{found}`", word.instead)


@dataclass(frozen=True, slots=True)
class _Occurrences:
    """Where words can stand in one file: its prose as text, identifiers and whole strings with their lines."""

    path: str
    prose: str
    names: tuple[tuple[int, str], ...]
    literals: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, path: str, text: str) -> _Occurrences:
        parts = [(1, part) for part in path.rsplit(".", 1)[0].split("/")]
        if path.endswith(".py"):
            nodes = list(ast.walk(parse(text)))
            names = [(getattr(node, "lineno", 1), name) for node in nodes for name in _names_of(node)]
            values = [(node.lineno, node.value) for node in nodes if isinstance(node, ast.Constant)]
            literals = [(line, value) for line, value in values if isinstance(value, str)]
            return cls(path, _python_prose(text), (*parts, *names), tuple(literals))
        code = CODE.get(f".{path.rsplit('.', 1)[-1]}")
        names = [
            (text.count("\n", 0, match.start() + name.start()) + 1, name[0])
            for match in (code.finditer(text) if code else ())
            for name in re.finditer(r"[A-Za-z_]\w*", match[0])
        ]
        prose = CODE[".j2"].sub(_blank_tag, text) if path.endswith(".j2") else text
        return cls(path, prose, (*parts, *names), ())

    def find(self, word: Word) -> Iterator[tuple[int, str]]:
        """Yield line and text of each occurrence of a word."""
        pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{word.pattern.replace(' ', GAP)})(?![A-Za-z0-9])")
        if word.scope == "files" and pattern.search(self.path):
            yield 1, self.path
        if word.scope in ("prose", "any"):
            for match in pattern.finditer(self.prose):
                yield self.prose.count("\n", 0, match.start()) + 1, " ".join(re.split(GAP, match[0]))
        if word.scope in ("names", "any"):
            yield from ((line, name) for line, name in self.names if pattern.search(CAMEL.sub("_", name)))
        if word.scope == "classes":
            yield from ((line, name) for line, name in self.names if pattern.fullmatch(name.lstrip("_")))
        if word.scope == "literals":
            yield from ((line, f'"{value}"') for line, value in self.literals if pattern.fullmatch(value))


def _names_of(node: ast.AST) -> Iterator[str]:
    for field in ("id", "attr", "arg", "name", "asname", "module"):
        value = getattr(node, field, None)
        if isinstance(value, str):
            yield from value.split(".")
    if isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names


def _upgrade_lines(text: str) -> frozenset[int]:
    found = [node for node in functions(parse(text)) if UPGRADE in node.name]
    return frozenset(
        line for node in found for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    )


def _python_prose(text: str) -> str:
    """Return strings and comments of a module where they stand, with blanks for the code between them."""
    lines = [[" "] * len(line) for line in text.split("\n")]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in STRINGS:
            (row, column), shown = token.start, token.string
            if token.type == tokenize.STRING and "f" in re.split("[\"']", shown, maxsplit=1)[0].lower():
                shown = re.sub(r"\{[^{}]*\}", lambda match: re.sub(r"\S", " ", match[0]), shown)
            for number, part in enumerate(shown.split("\n")):
                start = column if number == 0 else 0
                lines[row - 1 + number][start : start + len(part)] = part
    return "\n".join("".join(line) for line in lines)


def _blank_tag(match: re.Match[str]) -> str:
    """Return a template's tag with blanks for everything but its strings."""
    return re.sub(r"""('[^']*'|"[^"]*")|\S""", lambda one: one[1] or " ", match[0])


def _without_formerly(text: str) -> str:
    """Return Markdown with empty cells in the columns that list old words."""
    column: int | None = None
    lines = []
    for line in text.split("\n"):
        cells = re.split(r"(?<!\\)\|", line)
        heads = [cell.strip().lower() for cell in cells]
        if not line.lstrip().startswith("|"):
            column = None
        elif FORMERLY in heads:
            column = heads.index(FORMERLY)
        elif column is not None and column < len(cells):
            cells[column] = ""
        lines.append("|".join(cells))
    return "\n".join(lines)
