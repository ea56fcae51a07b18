"""Rules of this repository's own code that no other linter holds; ``python -m tests.house_rules`` checks them.

One module per group of rules. The tables to tune stand at the top of each module.
"""
