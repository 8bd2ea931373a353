"""Counts for Prometheus: a file for node_exporter's textfile collector, or /metrics.

No title, pid or device is a label: there is no end to those.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

__all__ = ["CONTENT", "Family", "serve", "text_of", "write_file"]

Sample = tuple[dict[str, str], float]


class Family(NamedTuple):
    name: str
    kind: str  # counter or gauge
    help: str
    samples: list[Sample]


CONTENT = Callable[[], list[Family]]


def text_of(families: list[Family]) -> str:
    """The text exposition format, version 0.0.4."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}\n"
    yield f"# TYPE {family.name} {family.kind}\n"
    for labels, value in family.samples:
        inside = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
        yield f"{family.name}{'{' + inside + '}' if inside else ''} {value:.17g}\n"


def _escaped(text: str) -> str:
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def write_file(path: str, families: list[Family]) -> None:
    """Whole or not at all: node_exporter may read at any moment."""
    beside = f"{path}.{os.getpid()}.tmp"
    with open(beside, "w", encoding="utf-8") as file:
        file.write(text_of(families))
    os.replace(beside, path)


def serve(host: str, port: int, content: CONTENT) -> Any:
    """/metrics in a thread of prometheus_client's. Raises ImportError, OSError."""
    import prometheus_client
    from prometheus_client import core

    class Collector:
        def collect(self) -> Iterator[Any]:
            for family in content():
                made = (
                    core.CounterMetricFamily
                    if family.kind == "counter"
                    else core.GaugeMetricFamily
                )
                names = list(family.samples[0][0]) if family.samples else []
                out = made(family.name, family.help, labels=names)
                for labels, value in family.samples:
                    out.add_metric(list(labels.values()), value)
                yield out

    registry = prometheus_client.CollectorRegistry()
    registry.register(Collector())
    server, _ = prometheus_client.start_http_server(port, host, registry=registry)
    return server
