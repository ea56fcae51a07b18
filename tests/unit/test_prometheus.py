"""Prometheus text, read by one parser for launchers and measures."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.edge import prometheus
from pipeline.edge.http import Response
from pipeline.errors import PipelineError


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        ("served 3", {}, 3),
        ("served 3 1395066363000", {}, 3),
        ('served{model="a}b"} 3', {"model": "a}b"}, 3),
        ('served{model="a}b",x="c{d"} 3 1395066363000', {"model": "a}b", "x": "c{d"}, 3),
        (
            r'served{model="say \"hi\"",path="C:\\x",text="a\nb"} 3',
            {"model": 'say "hi"', "path": "C:\\x", "text": "a\nb"},
            3,
        ),
        ('served{model="a, b = c # d"} 1e3', {"model": "a, b = c # d"}, 1000),
        ('served{model="a"} 5 # {trace_id="x y"} 0.3', {"model": "a"}, 5),
        ('served{model="a"} +Inf', {"model": "a"}, math.inf),
    ],
)
def test_a_sample_has_its_labels_and_its_value(line, labels, value):
    metrics = prometheus.parse(f"# HELP served requests\n# TYPE served gauge\nother 9\n{line}\n")
    assert metrics is not None
    assert [one for one in metrics.samples if one.name == "served"] == [
        prometheus.Sample("served", labels, value)
    ]


def test_samples_are_selected_by_some_of_their_labels():
    text = 'n{role="a",id="1"} 1\nn{role="a",id="2"} 2\nn{role="b",id="3"} 4\nn_total{role="a"} 8\n'
    metrics = prometheus.parse(text)
    assert metrics is not None
    assert metrics.values("n", role="a") == [1, 2]
    assert (metrics.total("n"), metrics.total("n", role="c"), metrics.total("none")) == (7, 0, 0)
    assert metrics.label_values("id") == {"1", "2", "3"}


@pytest.mark.parametrize(
    "text",
    [
        "<html><body>hi</body></html>",
        '{"a": 1}',
        'n{a="b"',
        'n{a="b"} x',
        "n",
        "hello world",
        "\0\1",
        "n{a=b} 5",
        "# HELP \x85 a",
    ],
)
def test_another_format_is_no_answer(text):
    assert prometheus.parse(text) is None


@given(st.text(alphabet='a{}"\\=, \n#1.\x85é'))
def test_no_text_is_too_strange(text):
    metrics = prometheus.parse(text)
    assert metrics is None or all(isinstance(one.value, float) for one in metrics.samples)


@pytest.mark.parametrize(
    ("status", "body", "count"),
    [(200, b"n 1\n", 1), (404, b"n 1\n", None), (200, b"\xff 1\n", None), (200, b"", 0)],
)
def test_only_an_answer_with_status_200_has_metrics(status, body, count):
    class Server:
        def request(self, *_: object, **__: object) -> Response:
            return Response(status, {}, body)

    metrics = prometheus.read("http://here/metrics", Server(), timeout_s=1)
    assert (None if metrics is None else len(metrics.samples)) == count


def test_a_server_that_does_not_answer_has_no_metrics():
    class Silent:
        def request(self, *_: object, **__: object) -> Response:
            raise PipelineError("no answer")

    assert prometheus.read("http://here/metrics", Silent(), timeout_s=1) is None
