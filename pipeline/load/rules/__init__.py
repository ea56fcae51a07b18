"""Settings of a recipe held against each other: one table of rules, described in docs/rules.md."""

from pipeline.load.rules.page import page
from pipeline.load.rules.table import RULES, rule_problems

__all__ = ["RULES", "page", "rule_problems"]
