"""Text of strangers is one safe line at each of the places where it leaves: terminal, runner, comment, check, feed, page."""

import io
import json
from contextlib import redirect_stderr
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pipeline import cli
from pipeline.analyse import analyse
from pipeline.cli import run
from pipeline.edge.actions import annotation, set_outputs
from pipeline.errors import ArtifactError, Problem
from pipeline.plaintext import LONG, lines, one_line
from pipeline.publish import check, foreign, report_message, site
from pipeline.publish.message import WorkflowRun
from pipeline.render import headline, render
from pipeline.render.text import code, plain
from pipeline.schema.publication import Annotation, Review
from pipeline.schema.result import Failure
from tests.fakes.contexts import context
from tests.fakes.rows import recipe, report_data, row

HOSTILE = (
    "x\x1b[31mred\x1b]0;title\x07\n::error::gone\r\n##[add-mask]a\x00\x9b2J\u2028\u202e\ud800 @octocat"
    + "y" * 10_000
)
SHA = "a" * 40


def is_safe(text: str) -> bool:
    first = [line.lstrip()[:2] for line in text.splitlines()]
    controls = [
        letter for letter in text if (ord(letter) < 32 and letter != "\n") or 0x7F <= ord(letter) < 0xA0
    ]
    text.encode("utf-8")
    return not controls and "::" not in first and "##[" not in text and "\u202e" not in text


def test_one_line_is_safe_and_short():
    shown = one_line(HOSTILE)
    assert is_safe(shown)
    assert "\n" not in shown
    assert len(shown) == 300


def test_several_lines_stay_several_and_are_safe():
    shown = lines("a\n" + HOSTILE + "\n" + "b\n" * 5_000)
    assert is_safe(shown)
    assert len(shown.split("\n")) == 2_501
    assert lines("  indented  text\nsecond") == "  indented  text\nsecond"


@pytest.mark.parametrize(
    "text", ["\x1b[" * 50_000, "\x1b]" * 50_000, "::" * 50_000, "##[" * 50_000, " " * 200_000]
)
def test_long_texts_are_cut_first(text):
    assert len(one_line(text)) <= 300
    assert len(lines(text)) <= LONG


def test_an_error_is_printed_as_safe_lines(capsys):
    error = ArtifactError(f"not a Review: {HOSTILE}", where=HOSTILE, hint=HOSTILE)
    assert is_safe(str(error))
    assert is_safe(str(Problem(HOSTILE, 1, 1, HOSTILE, HOSTILE)))
    with redirect_stderr(io.StringIO()) as out:
        context(Path()).log(HOSTILE)
    assert is_safe(out.getvalue())
    assert run(["ingest", HOSTILE.replace("\x00", ""), "--history", "x"], {}) != 0
    assert is_safe(capsys.readouterr().err)


def test_an_annotation_is_one_command():
    text = annotation(Problem(HOSTILE, 3, 7, HOSTILE))
    assert text.startswith("::error file=")
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text


@pytest.mark.parametrize("plan_id", ["x\nmatrix={}", "x\rmatrix={}", "x=y", "a b", "-", "x" * 9 + "\x00"])
def test_a_plan_id_is_a_word(plan_id, tmp_path, capsys):
    out = tmp_path / "output"
    words = ["matrix", "--clusters", "laptop", "--out", str(tmp_path / "plans"), "--plan-id", plan_id]
    with pytest.raises(SystemExit):
        cli.run(words, {"GITHUB_OUTPUT": str(out)})
    assert not out.exists()


def test_a_step_output_of_several_lines_cannot_be_two(tmp_path):
    set_outputs(tmp_path / "out", {"plan-id": "x\nmatrix=1", "matrix": "2"})
    first, *_, last = (tmp_path / "out").read_text().splitlines()
    assert first.startswith("plan-id<<end-")
    assert last == "matrix=2"


def test_a_stored_failure_is_safe_wherever_it_is_shown():
    said = HOSTILE.replace("\ud800", "")
    text = json.dumps({"schema": 1, "error": said, "what": said * 100, "exit_code": 5, "retryable": True})
    found = Failure.from_json(text, where="error.json")
    assert is_safe(found.what)
    assert len(found.what) <= LONG
    failed = row(recipe(conc=(4,)), 4, failure=HOSTILE)
    report = analyse(report_data(failed))
    assert is_safe(headline(report))
    files = render(report)
    assert b"\x1b" not in files["index.html"]
    assert len(files["README.md"]) < 100_000


def test_markdown_of_a_text_is_one_line_of_limited_length():
    assert is_safe(plain(HOSTILE))
    assert is_safe(code(HOSTILE))
    assert len(plain("a" * 15_000_000)) <= LONG


def test_the_feed_is_well_formed_whatever_a_headline_says():
    entry = report_message.page_entry(
        report_message.of_nothing("a-report", HOSTILE, ""),
        WorkflowRun("acme/bench", "7"),
        site_url="https://acme.github.io/bench/",
        published_at="2026-12-01T00:00:00+00:00",
    )
    raw = entry.model_copy(update={"headline": HOSTILE.replace("\ud800", "")})
    for one in (entry, raw):
        assert len(ET.fromstring(site.feed([(one, None)])).findall("{http://www.w3.org/2005/Atom}entry")) == 1  # noqa: S314
    assert is_safe(entry.headline)


def review(**changed):
    made = Review(
        verdict="better",
        headline="fine\n::error::x",
        head_sha=SHA,
        repository="fork/bench",
        annotations=(Annotation(path="a\nb", line=1, severity="error", message="@octocat ##[add-mask]a"),),
    ).model_copy(update=changed)
    return {"review.json": made.to_json().encode(), "comment.md": HOSTILE.encode("utf-8", "replace")}


def message(repository: str, head: str):
    return foreign.read_review(
        review(), where="review.json", head=foreign.Head(SHA, head), repository=repository
    )


def test_a_review_is_published_as_safe_text_without_mentions():
    found = message("acme/bench", "fork/bench")
    assert is_safe(found.body)
    assert is_safe(found.headline)
    assert "@octocat" not in found.body + found.headline + found.annotations[0].message
    assert "\n" not in found.annotations[0].path + found.annotations[0].message


class Recorder:
    """What a check run was sent."""

    def __init__(self):
        self.sent = []

    def pages(self, *_words, **_named):
        return []

    def write(self, _method, _path, document):
        self.sent.append(document)
        return {"id": 1}


@pytest.mark.parametrize(("head", "conclusion"), [("fork/bench", "neutral"), ("Acme/Bench", "success")])
def test_a_check_of_a_fork_never_turns_green_by_what_the_fork_says(head, conclusion):
    github = Recorder()
    check.publish(message("acme/bench", head), WorkflowRun("acme/bench", "7"), github)
    assert [one["conclusion"] for one in github.sent] == [conclusion]
