"""Counts for Prometheus: a file for node_exporter's textfile collector, or /metrics.

No title, pid or device is a label: there is no end to those.
"""

from __future__ import annotations

import contextlib
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
    return _text(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _text(name: str) -> str:
    """Bytes of a file's name that are no UTF-8 would fail the whole page."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def write_file(path: str, families: list[Family]) -> None:
    """Whole or not at all: node_exporter may read at any moment."""
    beside = f"{path}.{os.getpid()}.tmp"
    try:
        with open(beside, "w", encoding="utf-8") as file:
            file.write(text_of(families))
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def serve(host: str, port: int, content: CONTENT) -> Any:
    """/metrics in a thread of prometheus_client's. Raises ImportError, OSError."""
    import prometheus_client
    from prometheus_client import core

    class Collector:
        def collect(self) -> Iterator[Any]:
            for family in content():
                made = (
                    core.CounterMetricFamily if family.kind == "counter" else core.GaugeMetricFamily
                )
                names = list(family.samples[0][0]) if family.samples else []
                out = made(family.name, family.help, labels=names)
                for labels, value in family.samples:
                    out.add_metric([_text(one) for one in labels.values()], value)
                yield out

    registry = prometheus_client.CollectorRegistry()
    registry.register(Collector())
    server, _ = prometheus_client.start_http_server(port, host, registry=registry)
    return server
