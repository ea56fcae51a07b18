"""Sizes of files, functions and lines, and how few branches the functions of flow have."""

from __future__ import annotations

import ast
import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from tests.house_rules.source import Figure, Files, Violation, functions, modules, own_nodes

SIZES, FLOW, PRIVATE = "sizes", "flow", "private"
FILE_P90, FUNCTION_P90, FUNCTION_MOST, LINE_P99 = 250, 30, 60, 110
FLOW_FILES = "pipeline/flow/*"
FLOW_MOST, FLOW_MEDIAN, FLOW_BRANCHES = 120, 75, 6
BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.BoolOp,
    ast.comprehension,
    ast.match_case,
)
WORST = 5  # named where a percentile is over its limit

Sized = tuple[int, str, int, str]  # size, path, line, name


def check_sizes(files: Files) -> Iterator[Violation]:
    """Yield the functions that are too long, and the percentiles over their limits with the worst examples."""
    for size, path, line, name in _functions(files):
        if size > FUNCTION_MOST:
            yield Violation(
                path, line, SIZES, f"`{name}` has {size} lines, at most {FUNCTION_MOST}", "smaller functions"
            )
    groups = (
        (_files(files), "smaller modules"),
        (_functions(files), "smaller functions"),
        (_lines(files), "shorter lines"),
    )
    for figure, (sized, instead) in zip(figures_of_sizes(files), groups, strict=False):
        if figure.limit is not None and figure.value > figure.limit:
            over = sorted((one for one in sized if one[0] > figure.limit), reverse=True)
            for size, path, line, name in over[:WORST]:
                what = f"{figure.name} is {figure.value:g}, at most {figure.limit:g}; {name} has {size}"
                yield Violation(path, line, SIZES, what, instead)


def figures_of_sizes(files: Files) -> list[Figure]:
    """Return the percentiles of files, functions and lines, in this order, and the longest function."""
    of_functions = [one[0] for one in _functions(files)]
    return [
        Figure(SIZES, "lines a file, p90", percentile([one[0] for one in _files(files)], 0.9), FILE_P90),
        Figure(SIZES, "lines a function, p90", percentile(of_functions, 0.9), FUNCTION_P90),
        Figure(SIZES, "columns a line, p99", percentile([one[0] for one in _lines(files)], 0.99), LINE_P99),
        Figure(SIZES, "lines a function, most", max(of_functions, default=0), FUNCTION_MOST),
    ]


def check_flow(files: Files) -> Iterator[Violation]:
    """Yield files of flow that are too long, functions with too many branches, and a median over its limit."""
    sized = list(_flow(files))
    for size, path, line, _ in sized:
        if size > FLOW_MOST:
            what = f"{size} lines, at most {FLOW_MOST}"
            yield Violation(path, line, FLOW, what, "the package of the rule, or two files")
    middle = _median(sized)
    if middle > FLOW_MEDIAN:
        yield Violation(
            "pipeline/flow",
            1,
            FLOW,
            f"median file of {middle:g} lines, at most {FLOW_MEDIAN}",
            "shorter files",
        )
    for count, path, line, name in _branches(files):
        if count > FLOW_BRANCHES:
            what = f"`{name}` has {count} branch points, at most {FLOW_BRANCHES}"
            yield Violation(path, line, FLOW, what, "the package that decides it")


def figures_of_flow(files: Files) -> list[Figure]:
    """Return lines and branch points of flow."""
    sized, branches = list(_flow(files)), list(_branches(files))
    return [
        Figure(FLOW, "lines a file, most", max((one[0] for one in sized), default=0), FLOW_MOST),
        Figure(FLOW, "lines a file, median", _median(sized), FLOW_MEDIAN),
        Figure(
            FLOW,
            "branch points a function, most",
            max((one[0] for one in branches), default=0),
            FLOW_BRANCHES,
        ),
        Figure(FLOW, "lines, all files", sum(one[0] for one in sized)),
        Figure(FLOW, "branch points, all functions", sum(one[0] for one in branches)),
    ]


def branch_list(files: Files) -> list[str]:
    """Return the branch points of each function of flow that has one, most first."""
    found = sorted(_branches(files), key=lambda one: (-one[0], one[1:]))
    return [f"{path}:{line}: {name} has {count}" for count, path, line, name in found if count]


def check_private(files: Files) -> Iterator[Violation]:
    """Yield private functions at module level that their module refers to exactly once."""
    for path, tree in modules(files):
        used = Counter(
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        )
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("_") and used[node.name] == 1:
                yield Violation(
                    path,
                    node.lineno,
                    PRIVATE,
                    f"`{node.name}` is used once",
                    "its body where that reads better",
                )


def figures_of_private(files: Files) -> list[Figure]:
    """Return the number of private functions used once, also per 1,000 lines."""
    count, lines = len(list(check_private(files))), sum(one[0] for one in _files(files))
    per_1000 = round(1000 * count / lines, 1) if lines else 0
    return [
        Figure(PRIVATE, "functions used once", count),
        Figure(PRIVATE, "functions used once, per 1,000 lines", per_1000),
    ]


def percentile(values: Sequence[int], share: float) -> int:
    """Return the smallest value that ``share`` of the values do not exceed (nearest rank); 0 of none."""
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else 0


def _files(files: Files) -> Iterator[Sized]:
    return ((len(files[path].splitlines()), path, 1, "the file") for path, _ in modules(files))


def _functions(files: Files) -> Iterator[Sized]:
    for path, tree in modules(files):
        for node in functions(tree):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, path, node.lineno, node.name


def _lines(files: Files) -> Iterator[Sized]:
    for path, _ in modules(files):
        for number, line in enumerate(files[path].splitlines(), 1):
            yield len(line), path, number, "the line"


def _flow(files: Files) -> Iterator[Sized]:
    """Files of flow that have code: a package's docstring does not lower the median."""
    for path, tree in modules(files, FLOW_FILES):
        if not path.endswith("/__init__.py") or len(tree.body) > 1:
            yield len(files[path].splitlines()), path, 1, "the file"


def _median(sized: list[Sized]) -> float:
    return statistics.median(one[0] for one in sized) if sized else 0


def _branches(files: Files) -> Iterator[Sized]:
    for path, tree in modules(files, FLOW_FILES):
        for node in functions(tree):
            yield sum(isinstance(one, BRANCHES) for one in own_nodes(node)), path, node.lineno, node.name
