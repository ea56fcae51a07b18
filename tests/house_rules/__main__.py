"""``python -m tests.house_rules`` prints every violation and the measured figures, and fails when a gated rule is broken."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.house_rules import docstrings, edges, sentences, sizes, vocabulary
from tests.house_rules.source import Figure, Files, Violation, read

RULES: dict[str, Callable[[Files], Iterable[Violation]]] = {
    vocabulary.RULE: vocabulary.check,
    sentences.RULE: sentences.check,
    sizes.FLOW: sizes.check_flow,
    sizes.SIZES: sizes.check_sizes,
    docstrings.RULE: docstrings.check,
    edges.RULE: edges.check,
    sizes.PRIVATE: sizes.check_private,
}
FIGURES: dict[str, Callable[[Files], list[Figure]]] = {
    sizes.FLOW: sizes.figures_of_flow,
    sizes.SIZES: sizes.figures_of_sizes,
    sizes.PRIVATE: sizes.figures_of_private,
}
NOT_GATED = frozenset({sizes.PRIVATE})


def main(argv: Sequence[str]) -> int:
    """Check the rules, print what was found, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.house_rules", description="Check the rules of this repository's code."
    )
    parser.add_argument(
        "--rule", action="append", choices=RULES, help="check this rule only; may be repeated"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), help="root of the repository (default: the current folder)"
    )
    parser.add_argument("--verbose", action="store_true", help="also list what is reported only")
    arguments = parser.parse_args(argv)
    files = read(arguments.root)
    if not any(path.startswith("pipeline/") for path in files):
        sys.stderr.write(
            f"{arguments.root}: no pipeline/ here; name the root of the repository with --root\n"
        )
        return 2
    found = {rule: sorted(set(RULES[rule](files))) for rule in arguments.rule or RULES}
    lines = [str(one) for rule in found if arguments.verbose or rule not in NOT_GATED for one in found[rule]]
    if arguments.verbose and sizes.FLOW in found:
        lines += ["branch points:", *sizes.branch_list(files)]
    lines += [
        "measured:",
        *(f"  {figure}" for rule in found if rule in FIGURES for figure in FIGURES[rule](files)),
    ]
    counts = (f"{rule} {len(found[rule])}{' (not gated)' if rule in NOT_GATED else ''}" for rule in found)
    sys.stdout.write("\n".join([*lines, f"violations: {', '.join(counts)}", ""]))
    return 1 if any(found[rule] for rule in found if rule not in NOT_GATED) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
