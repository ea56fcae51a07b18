"""Prometheus metrics of a server, in the text format."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from pipeline.edge.http import Http
from pipeline.errors import PipelineError


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """All samples of one answer."""

    samples: tuple[Sample, ...]

    def values(self, name: str, **labels: str) -> list[float]:
        """Return the values of a metric's series that have these labels."""
        wanted = labels.items()
        return [one.value for one in self.samples if one.name == name and wanted <= one.labels.items()]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of a metric over its series that have these labels; 0 without any."""
        return sum(self.values(name, **labels), 0.0)

    def label_values(self, label: str) -> frozenset[str]:
        """Return all values of a label, over all metrics."""
        return frozenset(one.labels[label] for one in self.samples if label in one.labels)


def read(url: str, http: Http, *, timeout_s: float) -> Metrics | None:
    """Fetch the metrics at ``url``; None where the server does not answer with any."""
    try:
        answer = http.request("GET", url, timeout_s=timeout_s)
    except PipelineError:
        return None
    return parse(answer.body.decode("utf-8", errors="replace")) if answer.status == 200 else None


def parse(text: str) -> Metrics | None:
    """Return the samples of a text; None where it is not in Prometheus's format."""
    try:
        families = list(text_string_to_metric_families(text))
    except (ValueError, IndexError):  # the parser raises either, depending on what is wrong
        return None
    return Metrics(
        tuple(Sample(one.name, one.labels, float(one.value)) for family in families for one in family.samples)
    )
