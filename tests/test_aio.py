"""Incidents of asyncio streams: the same ones, in time, and none lost to a cancelled wait."""

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path

import pytest

import tocsin
from tests.cli_program import RULES
from tests.watch_program import disk, oom
from tocsin.aio import incidents

LOG = (Path(__file__).parent.parent / "examples" / "five-troubles.log").read_bytes()
IDLE = 0.1


@pytest.fixture(name="scanner")
def _scanner(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text(RULES)
    return tocsin.Scanner(tocsin.load_rules(path, builtin=False))


def fed_reader(*chunks, end=True):
    reader = asyncio.StreamReader()
    for chunk in chunks:
        reader.feed_data(chunk)
    if end:
        reader.feed_eof()
    return reader


async def pieces(data, size, wait=0.0):
    for at in range(0, len(data), size):
        yield data[at : at + size]
        await asyncio.sleep(wait)


async def collect(stream):
    return [incident async for incident in stream]


@pytest.mark.parametrize("size", [7, 1000, 1 << 20])
def test_a_reader_gives_the_incidents_of_its_bytes(size):
    async def main():
        reader = asyncio.StreamReader()

        async def write():
            async for piece in pieces(LOG, size):
                reader.feed_data(piece)
            reader.feed_eof()

        found, _ = await asyncio.gather(collect(incidents(reader)), write())
        return found

    assert asyncio.run(main()) == tocsin.scan(LOG)


@pytest.mark.parametrize("size", [7, 1000, 1 << 20])
def test_an_async_iterator_does_too(size):
    assert asyncio.run(collect(incidents(pieces(LOG, size)))) == tocsin.scan(LOG)


def test_the_output_of_a_process():
    code = f"import sys; sys.stdout.buffer.write({LOG!r})"

    async def main():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
        )
        found = await collect(incidents(process.stdout))
        await process.wait()
        return found

    assert asyncio.run(main()) == tocsin.scan(LOG)


def sources(line):
    """A source that says one line and then nothing, of either sort."""

    async def silent():
        yield line
        await asyncio.Event().wait()

    return {"reader": lambda: fed_reader(line, end=False), "iterator": silent}


@pytest.mark.parametrize("kind", ["reader", "iterator"])
def test_silence_ends_what_is_open(kind, scanner):
    async def main():
        stream = incidents(sources(oom(1))[kind](), scanner, idle=IDLE)
        began = time.monotonic()
        incident = await asyncio.wait_for(anext(stream), 10)
        took = time.monotonic() - began
        # Nothing is open any more: silence has nothing to say.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 3 * IDLE)
        await stream.aclose()
        return incident, took

    incident, took = asyncio.run(main())
    assert incident.title == "Out of memory: killed mysqld1"
    assert took >= IDLE


def test_without_idle_nothing_is_ended_by_silence(scanner):
    async def main():
        reader = fed_reader(oom(1), end=False)
        stream = incidents(reader, scanner, idle=None)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 3 * IDLE)
        assert scanner.pending
        reader.feed_eof()
        return await collect(stream)

    [incident] = asyncio.run(main())
    assert incident.title == "Out of memory: killed mysqld1"


@pytest.mark.parametrize("kind", ["reader", "iterator"])
def test_bytes_that_wait_come_before_silence(kind, scanner):
    """A consumer that was busy longer than `idle` is no silence of the stream."""
    async def chunks(reader):
        while chunk := await reader.read(1 << 16):
            yield chunk

    async def main():
        reader = asyncio.StreamReader()
        # Open, then idle passes while the loop is blocked, then the repeat is there to be read.
        reader.feed_data(oom(1))
        stream = incidents(reader if kind == "reader" else chunks(reader), scanner, idle=IDLE)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), IDLE / 4)
        assert scanner.pending
        time.sleep(2 * IDLE)
        reader.feed_data(oom(1))
        reader.feed_eof()
        return await collect(stream)

    [incident] = asyncio.run(main())
    assert incident.count == 2


@pytest.mark.parametrize("kind", ["reader", "iterator"])
def test_a_cancelled_wait_loses_nothing(kind, scanner):
    here, there = os.pipe()
    expected = []

    async def main():
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), open(here, "rb", buffering=0)  # noqa: SIM115
        )

        async def chunks():
            while chunk := await reader.read(64):
                await asyncio.sleep(0)  # where a cancelled generator would drop what it holds
                yield chunk

        async def write():
            for number in range(200):
                line = disk(f"d{number}")
                expected.append(f"I/O error on d{number}")
                os.write(there, line[:20])
                await asyncio.sleep(0.001)
                os.write(there, line[20:])
            os.close(there)

        writer = asyncio.ensure_future(write())
        stream = incidents(reader if kind == "reader" else chunks(), scanner, idle=None)
        found, cancelled = [], 0
        while True:
            try:
                # Cancelled after some turns of the loop, each time after another number.
                waiting = asyncio.ensure_future(anext(stream))
                for _ in range(cancelled % 7):
                    await asyncio.sleep(0)
                if not waiting.done():
                    waiting.cancel()
                found.append((await waiting).title)
            except asyncio.CancelledError:
                cancelled += 1
                await asyncio.sleep(0.0005)
            except StopAsyncIteration:
                break
        await writer
        transport.close()
        return found, cancelled

    found, cancelled = asyncio.run(main())
    assert cancelled > 50
    assert found == expected


def test_the_error_of_a_source_comes_after_what_it_brought(scanner):
    async def broken():
        yield disk("sda")
        raise ConnectionResetError("gone")

    async def main():
        stream = incidents(broken(), scanner)
        title = (await anext(stream)).title
        with pytest.raises(ConnectionResetError, match="gone"):
            await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        return title

    assert asyncio.run(main()) == "I/O error on sda"


def test_a_timeout_of_the_source_is_no_silence(scanner):
    async def impatient():
        yield disk("sda")
        raise TimeoutError("the source's own")

    async def main():
        reader = fed_reader(disk("sdb"), end=False)
        reader.set_exception(TimeoutError("the reader's own"))
        for source, own in ((impatient(), "source"), (reader, "reader")):
            with pytest.raises(TimeoutError, match=f"the {own}'s own"):
                await collect(incidents(source, scanner, idle=IDLE))

    asyncio.run(main())


def test_who_leaves_early_gets_the_source_back(scanner):
    async def main():
        reader = fed_reader(oom(1), disk("sda"), b"[  200.0] clocksource: went back\n", end=False)
        async with incidents(reader, scanner, idle=IDLE) as stream:
            first = await anext(stream)
        reader.feed_data(b"the rest")
        reader.feed_eof()
        rest = await reader.read()
        return first, rest

    first, rest = asyncio.run(main())
    assert first.title == "Out of memory: killed mysqld1"
    assert rest == b"the rest"


def test_closing_leaves_no_task_and_keeps_what_was_taken(scanner):
    began = asyncio.Event

    async def main():
        entered = began()

        async def stubborn():
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                yield oom(1)  # had it already

        stream = incidents(stubborn(), scanner, idle=None)
        waiting = asyncio.ensure_future(anext(stream))
        await entered.wait()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        await stream.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    asyncio.run(main())
    assert [incident.title for incident in scanner.flush()] == ["Out of memory: killed mysqld1"]


def test_a_scanner_goes_on(scanner):
    async def main():
        scanner.feed(oom(1)[:30])
        return await collect(incidents(fed_reader(oom(1)[30:]), scanner))

    [incident] = asyncio.run(main())
    assert incident.title == "Out of memory: killed mysqld1"
    assert scanner.offset == len(oom(1))


def test_what_is_no_source_is_refused(scanner):
    async def main():
        for wrong in (b"bytes", [b"bytes"], None):
            with pytest.raises(TypeError, match="StreamReader or an async iterator of bytes"):
                incidents(wrong, scanner)
        for idle in (0, -1):
            with pytest.raises(ValueError, match="idle: expected seconds above 0"):
                incidents(fed_reader(), scanner, idle=idle)

        async def text():
            yield "text"

        with pytest.raises(TypeError, match="got str"):
            await collect(incidents(text(), scanner))

    asyncio.run(main())
