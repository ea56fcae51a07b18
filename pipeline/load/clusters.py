"""Checks of cluster documents beyond their schema, and their spelling before the field ``site``."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.errors import Problem
from pipeline.load.conform import nearest
from pipeline.load.nodes import Node
from pipeline.schema.cluster import Cluster
from pipeline.schema.upgrades import SITE_FIELDS


def findings(cluster: Cluster, node: Node, declared: frozenset[str]) -> Iterator[Problem]:
    """Yield fields that the launcher or the measure requires and unknown SKUs, each at its line."""
    for missing, source in cluster.needs().items():
        yield node.at(("site",) if missing == "launcher" else ()).mark.problem(f"{source} needs `{missing}`")
    for index, name in enumerate(cluster.skus):
        if name not in declared:
            yield node.at(("skus", index)).mark.problem(f"unknown SKU `{name}`", nearest(name, declared))


def with_site(node: Node) -> tuple[Node, list[Problem]]:
    """Return the node in the current spelling, with a problem where the file has the former one.

    The document stays usable, so that a recipe set of an earlier git revision still knows its clusters.
    """
    entries = dict(node.value) if isinstance(node.value, dict) else {}
    former: dict[str, Node] = {name: entries.pop(name) for name in SITE_FIELDS if name in entries}
    if not former or "site" in entries:
        return node, []
    first = next(iter(former.values()))
    named = former.pop("launcher", None)
    launcher = (named.value if named else next(iter(former))) or "none"
    parameters = former.get(str(launcher))
    inner = parameters.value if parameters is not None and isinstance(parameters.value, dict) else {}
    mark = first.key or first.mark
    entries["site"] = Node({"launcher": Node(launcher, first.mark), **inner}, mark, mark)
    fields = "".join(f", {name}: …" for name in inner)
    problem = mark.problem(
        "the launcher and its parameters are one field, `site`",
        f"write `site: {{launcher: {launcher}{fields}}}` in place of "
        + " and ".join(
            f"`{name}:`" for name in SITE_FIELDS if name in former or (name == "launcher" and named)
        ),
    )
    return Node(entries, node.mark, node.key), [problem]
