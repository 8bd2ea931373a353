"""Everything of one run put together: sources, streams, outbox, state; and its end."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from tocsin.rules.loader import Ruleset
from tocsin.scanner import shared_blame
from tocsin.sinks.prometheus import Family
from tocsin.watch import alarms
from tocsin.watch.alarms import Alarm
from tocsin.watch.courier import Sink
from tocsin.watch.loop import Loop
from tocsin.watch.maintenance import Maintenance
from tocsin.watch.meter import Meter
from tocsin.watch.outbox import Outbox
from tocsin.watch.ready import tell_starter
from tocsin.watch.requested import Requests
from tocsin.watch.store import Store
from tocsin.watch.storm import Storm
from tocsin.watch.streams import Streams

__all__ = ["Source", "Watcher"]

PRUNE = 3600.0
LOOK = 1.0  # seconds between two looks at the maintenance windows
FILES = 65536  # descriptors asked for


class Source(Protocol):
    def start(self, loop: Loop, streams: Streams) -> None: ...


class Watcher:
    """`wants(alarm)` says which alarms go to the sinks at all."""

    def __init__(
        self,
        rules: Ruleset,
        version: str,
        *,
        idle: float,
        keep: int,
        state: str | None,
        complain: Callable[[str], object],
        wants: Callable[[Alarm], bool] = lambda alarm: True,
        on_gap: Callable[[Alarm], object] = lambda alarm: None,
        maintenance: Maintenance | None = None,
    ) -> None:
        """Raises store.BadState."""
        _allow_many_files()
        self.loop = Loop()
        self.store = Store(state) if state is not None else None
        self.meter = Meter()
        self.outbox = Outbox(self.loop, self.store, keep=keep, complain=complain)
        self.streams = Streams(
            self.loop,
            rules,
            self._report,
            idle=idle,
            version=version,
            saved=self.store.saved if self.store else lambda _: None,
            complain=complain,
        )
        self._maintenance = maintenance
        self._requests = Requests(maintenance, self._consoles)
        self._wants = wants
        self._on_gap = on_gap
        self._complain = complain
        # Who takes back what it kept in the journal itself, by the name it kept it under.
        self.replay: dict[str, Callable[[bytes], object]] = {}
        self._listeners: list[Callable[[Alarm], object]] = []
        self._at_end: list[Callable[[], object]] = []
        self._sources: list[Source] = []
        self._keeps_nothing = False
        self._running = 0
        self.failed = 0  # sources that could not be read at all
        self.loop.after_round = self._round
        if maintenance is not None:
            self.loop.every(LOOK, self._end_windows)

    def add_sink(self, name: str, sink: Sink, storm: Storm | None = None) -> None:
        self.outbox.add(name, sink, storm)

    def is_output(self, status: os.stat_result) -> bool:
        """Whether a sink writes to this file: read again, it would tell the same for ever."""
        return self.outbox.is_output(status)

    def listen(self, hear: Callable[[Alarm], object]) -> None:
        """Hear of each alarm at once, before any sink."""
        self._listeners.append(hear)

    def add_source(self, source: Source) -> None:
        self._sources.append(source)
        self._running += 1

    def measure(self, use: Callable[[list[Family]], object], seconds: float) -> None:
        """Give the counts to `use` now and then, and at the end."""

        def turn() -> None:
            use(self.meter.families(self.streams, self.outbox, self._maintenance))

        turn()
        self.loop.every(seconds, turn)
        self._at_end.append(turn)

    def source_ended(self) -> None:
        """One that has an end came to it; the run ends with the last."""
        self._running -= 1
        if not self._running:
            self.loop.stop()

    def source_failed(self, why: str) -> None:
        """One that cannot be read, and will not be."""
        self._complain(why)
        self.failed += 1
        self.source_ended()

    def start(self) -> None:
        """After every sink is added: what is left over from a crash is told first."""
        if self.store is not None:
            for name, data in self.store.replay():
                take = self.replay.get(name)
                if take is not None:
                    take(data)
                else:
                    self.streams.open(name).feed(data)
            self.streams.keep = self._keep
            self.loop.every(PRUNE, self.store.prune)
        self._end_windows()  # those in force from the start on
        for source in self._sources:
            source.start(self.loop, self.streams)
        # Where each stream begins is known before the first byte of it can be lost.
        self.outbox.checkpoint(self.streams.dirty)
        # Compiled when first needed, which would be when there is something to tell. By a thread,
        # for it takes a while, in which consoles want to be read.
        blame = shared_blame(self.streams.rules)
        threading.Thread(target=blame.prepare, name="tocsin blame", daemon=True).start()
        if self._running:
            tell_starter("READY=1")

    def run(self) -> None:
        """Until SIGTERM, SIGINT or SIGHUP, the end of every source, or of who reads the output."""
        signals = [signal.SIGTERM, signal.SIGINT]
        # The terminal is gone: an orderly end, but not under nohup.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signals.append(signal.SIGHUP)
        self.loop.stop_on(signals)
        self.loop.run()
        self.finish()

    def finish(self) -> None:
        for source in self._sources:
            drain = getattr(source, "drain", None)
            if drain is not None:
                drain()
        if self.store is None:
            # With a state directory the open reports go on after the restart.
            for stream in list(self.streams):
                stream.flush()
        left = self.outbox.close(self.streams.dirty)
        for call in self._at_end:  # counts, of the last deliveries too
            call()
        if left:
            what = "kept for the next run" if self.outbox.is_kept else "lost"
            self._complain(f"{left} alarms could not be delivered; {what}")
        for source in self._sources:
            close = getattr(source, "close", None)
            if close is not None:
                close()
        if self.store is not None:
            self.store.close()
        if self.outbox.fatal is not None:
            raise self.outbox.fatal

    def _keep(self, name: str, data: bytes) -> None:
        """A full disc must not stop the reading of what nobody can read again."""
        assert self.store is not None
        try:
            self.store.journal.append(name, data)
        except OSError as error:
            if not self._keeps_nothing:
                self._keeps_nothing = True
                self._complain(
                    f"what {name} says cannot be kept: {error.strerror}; if tocsin ends now,"
                    " what is open there is lost"
                )
        else:
            self._keeps_nothing = False

    def _report(self, alarm: Alarm) -> None:
        if alarm.kind == "tocsin.gap":
            self._on_gap(alarm)
        alarm = self._requests.mark(alarm)
        self.meter.alarm(alarm)
        if self._wants(alarm):
            self.outbox.post(alarm)
            for hear in self._listeners:
                hear(alarm)

    def _consoles(self) -> Iterator[tuple[str, str | None, str]]:
        return ((stream.name, stream.host, stream.console) for stream in self.streams)

    def _end_windows(self) -> None:
        """Who is left in no good state when a maintenance is over has nobody's leave any more."""
        for window, incidents, unwell in self._requests.ended():
            assert self._maintenance is not None
            self._report(
                alarms.maintenance_over(
                    self._maintenance.path, window.reason, incidents, unwell, self.streams.wall()
                )
            )

    def _round(self) -> None:
        self.outbox.round(self.streams.dirty)
        if self.outbox.fatal is not None:
            self.loop.stop()


def _allow_many_files() -> None:
    """When many logs are rotated at once, both files of each are open for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
