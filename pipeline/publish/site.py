"""The Pages site: each published report has a folder below ``pages/`` that never changes; index, feed and badge derive from them.

Nothing is lost when a publisher is killed, or when two run at the same time: the next one creates the derived files again.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.edge import files
from pipeline.plaintext import LONG, one_line
from pipeline.schema.history import Tombstone
from pipeline.schema.publication import PageEntry

PAGES: Final = "pages"
ENTRY: Final = "entry.json"
RETRACTED: Final = "retracted.json"
Row = tuple[PageEntry, Tombstone | None]
DERIVED: Final = ("index.html", "feed.xml", "badge.json", ".nojekyll")
FEED_LENGTH: Final = 50
COLOURS: Final = {"better": "brightgreen", "same": "green", "worse": "red", "unknown": "yellow"}
PUBLISHED = re.compile(r"(README\.md|index\.html|data\.json|[a-z0-9-]+\.(svg|png))")
ATOM: Final = "http://www.w3.org/2005/Atom"


def page_name(entry: PageEntry) -> str:
    """Return the folder of a page below ``pages/``, from report, run and attempt."""
    return f"{entry.run_id}-{entry.attempt}-{entry.name}"


def page_url(entry: PageEntry) -> str:
    """Return the address of a page; empty without an address of the site."""
    return f"{entry.site_url.rstrip('/')}/{PAGES}/{page_name(entry)}/" if entry.site_url else ""


def add(site: Path, report: Path, entry: PageEntry) -> str:
    """Copy a rendered report to its folder, completely or not at all, and return a line for the log.

    An existing page stays.
    """
    target = site / PAGES / page_name(entry)
    paths = sorted(
        path
        for path in report.iterdir()
        if PUBLISHED.fullmatch(path.name) and path.is_file() and not path.is_symlink()
    )
    if target.exists():
        changed = [path.name for path in paths if not _is_same(path, target / path.name)]
        return f"pages: {target.name} exists already" + (
            f"; not replaced although they differ: {', '.join(changed)}" if changed else ""
        )
    with files.new_folder(target) as temporary:
        for path in paths:
            shutil.copyfile(path, temporary / path.name)
        (temporary / ENTRY).write_text(entry.to_json(), encoding="utf-8")
    return f"pages: added {target.name}"


def _is_same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()


def mark(site: Path, tombstones: Iterable[Tombstone]) -> list[str]:
    """Add to each page of a retracted run what retracts it, and return a line for each.

    The files of a page stay; index, feed and badge, which ``rebuild`` derives, say so.
    """
    lines = []
    for tombstone in tombstones:
        for entry, reason in list(_entries(site)):
            is_of = entry.run_id == tombstone.run_id and tombstone.attempt in {None, entry.attempt}
            if is_of and reason is None:
                path = site / PAGES / page_name(entry) / RETRACTED
                files.write(path, tombstone.to_json())
                lines.append(f"pages: {page_name(entry)} is marked as retracted")
    return lines


def rebuild(site: Path) -> None:
    """Write index, feed and badge from the pages of the site; the same pages give the same bytes."""
    entries = sorted(
        _entries(site),
        key=lambda one: (one[0].published_at, one[0].run_id, one[0].attempt, one[0].name),
        reverse=True,
    )
    texts = {
        "index.html": index(entries),
        "feed.xml": feed(entries),
        "badge.json": badge(entries),
        ".nojekyll": "",
    }
    for name, text in texts.items():
        files.write(site / name, text)


def _entries(site: Path) -> Iterator[Row]:
    """Yield the entry of each page with the tombstone of its run, None where it is not retracted."""
    for path in sorted((site / PAGES).glob(f"[!.]*/{ENTRY}")):
        stone = path.with_name(RETRACTED)
        retracted = Tombstone.from_json(files.read(stone), where=str(stone)) if stone.is_file() else None
        yield PageEntry.from_json(files.read(path), where=str(path)), retracted


def index(entries: Sequence[Row]) -> str:
    """Return the first page of the site, which lists the newest page first."""
    environment = Environment(
        loader=PackageLoader("pipeline.publish", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = [(entry, f"{PAGES}/{page_name(entry)}/", stone) for entry, stone in entries]
    return environment.get_template("index.html.j2").render(rows=rows, newest=_newest(entries))


def _newest(entries: Sequence[Row]) -> PageEntry | None:
    """Return the newest page that is not retracted."""
    return next((entry for entry, retracted in entries if retracted is None), None)


def feed(entries: Sequence[Row]) -> str:
    """Return the Atom feed of the newest pages; the title of an entry is its verdict."""
    ET.register_namespace("", ATOM)
    root = ET.Element(f"{{{ATOM}}}feed")
    site = entries[0][0].site_url.rstrip("/") if entries else ""
    moments = [retracted.at if retracted else entry.published_at for entry, retracted in entries]
    _child(root, "id", f"{site}/feed.xml" if site else "urn:rackbench:feed")
    _child(root, "title", "Rackbench reports")
    _child(root, "updated", max(moments, default="1970-01-01T00:00:00+00:00"))
    ET.SubElement(_child(root, "author", ""), f"{{{ATOM}}}name").text = "Rackbench"
    for (entry, retracted), moment in list(zip(entries, moments, strict=True))[:FEED_LENGTH]:
        item = ET.SubElement(root, f"{{{ATOM}}}entry")
        _child(item, "id", page_url(entry) or f"urn:rackbench:{page_name(entry)}")
        said = f"retracted ({retracted.reason}): " if retracted else ""
        _child(item, "title", f"{said}{entry.headline}")
        _child(item, "updated", moment)
        link = page_url(entry) or entry.run_url
        if link:
            ET.SubElement(item, f"{{{ATOM}}}link", href=link)
        _child(
            item, "summary", f"{entry.name}, run {entry.run_id} attempt {entry.attempt}: {_verdict(entry)}"
        )
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _child(parent: ET.Element, name: str, text: str) -> ET.Element:
    child = ET.SubElement(parent, f"{{{ATOM}}}{name}")
    child.text = one_line(text, LONG) or None
    return child


def badge(entries: Sequence[Row]) -> str:
    """Return the newest verdict as an endpoint badge of shields.io; an unknown verdict is yellow."""
    newest = _newest(entries)
    label, verdict = (newest.name, _verdict(newest)) if newest else ("rackbench", "unknown")
    colour = COLOURS[newest.verdict if newest else "unknown"]
    return (
        json.dumps({"schemaVersion": 1, "label": label, "message": verdict, "color": colour}, indent=1) + "\n"
    )


def _verdict(entry: PageEntry) -> str:
    """The verdict with the origin of its figures."""
    return f"{entry.verdict} ({entry.origin})" if entry.origin else entry.verdict
