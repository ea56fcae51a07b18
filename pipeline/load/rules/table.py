"""The table of all rules; docs/rules.md is made from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pipeline.errors import Problem
from pipeline.load.nodes import Node
from pipeline.load.rules import (
    client,
    experts,
    kv_layout,
    memory,
    network,
    scheduling,
    sharding,
    speculation,
    transfer,
)
from pipeline.load.rules.case import Rule, case_of
from pipeline.schema.catalogue import Catalogue
from pipeline.schema.recipe import Recipe

CHAPTERS = {
    "Batches and CUDA graphs": scheduling.RULES,
    "Workers": sharding.RULES,
    "Experts": experts.RULES,
    "KV transfer": transfer.RULES,
    "KV layout": kv_layout.RULES,
    "Speculative decoding": speculation.RULES,
    "UCX": network.RULES,
    "Memory": memory.RULES,
    "Client, limits and name": client.RULES,
}
RULES: tuple[Rule, ...] = tuple(rule for rules in CHAPTERS.values() for rule in rules)


def rule_problems(recipe: Recipe, node: Node, catalogue: Catalogue) -> Iterator[Problem]:
    """Yield every place where the settings of a recipe contradict each other, with the id of the rule."""
    case = case_of(recipe, catalogue)
    for rule in RULES:
        for finding in rule.find(case):
            mark = node.at(finding.place).mark
            found = Problem(mark.path, mark.line, mark.col, finding.what, finding.hint)
            yield replace(found, severity=rule.severity, rule=rule.id)
