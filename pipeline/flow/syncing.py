"""sync: an append-only directory (a history, or a site with its pages) and a branch of a git remote."""

from __future__ import annotations

from pathlib import Path

from pipeline.flow.context import Context
from pipeline.publish import site
from pipeline.store import branch as store


def sync(context: Context, directory: Path, branch: store.Branch) -> store.Synced:
    """Pull what the directory lacks, push what the branch lacks, and rebuild what a site derives from its pages."""
    pages = store.Derived(site.PAGES, site.DERIVED, site.rebuild)
    return store.sync(directory, branch, pages, shell=context.shell, clock=context.clock)
