"""A stream's state as bytes, and back: everything a scanner knows between two chunks.

Head, fingerprint of the ruleset, limits, the unfinished line, the console, the open reports, and a
check sum over all of it. What is damaged, of another version or of another ruleset is a
ValueError that says so; it never makes a scanner that misbehaves.
"""

import zlib

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tocsin._core.console cimport STATES
from tocsin._core.grouper cimport limits_t
from tocsin._core.pipeline cimport Pipeline
from tocsin._core.shelf cimport shelf_push
from tocsin._core.snapshot cimport Reader, Writer, read_trace, write_trace
from tocsin._core.types cimport offset_t

cdef bytes MAGIC = b"tocsin\x00\x05"
cdef enum:
    MAGIC_BYTES = 8
    FINGERPRINT_BYTES = 16
    SUM_BYTES = 4
# Leaves room for every sum of offsets and limits.
cdef offset_t MOST_OFFSET = 0x4000000000000000


def dumps(Pipeline stream not None):
    cdef Writer w = Writer()
    cdef limits_t *c = &stream.grouper.limits
    cdef size_t i
    stream.alone()
    if stream.grouper.closed.used:
        # Only a feed from C leaves some behind; a state without them would lose them.
        raise RuntimeError("incidents wait in this scanner: take them before its state")
    w.raw(MAGIC)
    w.raw(stream.program.fingerprint)
    # The limits decide where lines and incidents are cut: part of the state.
    w.u64(c.line_bytes)
    w.u64(c.trace_bytes)
    w.u64(c.trace_lines)
    w.u64(c.trace_total)
    w.u64(c.traces)
    w.u64(c.folds)
    w.u64(c.fold_lines)
    w.i64(c.gap_bytes)
    w.i64(c.fold_bytes)
    w.f64(c.fold_seconds)
    w.i64(stream.at)
    w.u64(stream.inside)
    w.u64(stream.overlong)
    w.block(stream.carry.at, stream.carry.used)
    w.u64(stream.grouper.serial)
    w.u64(stream.grouper.stamped_seen)
    w.i64(stream.grouper.console.boot)
    w.u64(stream.grouper.console.state)
    w.u64(stream.grouper.console.before)
    w.u64(stream.grouper.console.banner)
    w.u64(stream.grouper.evicted)
    w.i64(stream.grouper.begun_rule)
    w.f64(stream.grouper.begun_time)
    w.u64(stream.grouper.replayed)
    w.u64(stream.grouper.told)
    w.i64(stream.grouper.told_end)
    w.u64(stream.grouper.twofold)
    w.u64(stream.grouper.open.used)
    for i in range(stream.grouper.open.used):
        write_trace(w, stream.grouper.open.at[i])
    w.u64(stream.grouper.folds.used)
    for i in range(stream.grouper.folds.used):
        write_trace(w, stream.grouper.folds.at[i])
    state = w.result()
    return state + zlib.crc32(state).to_bytes(SUM_BYTES, "little")


def loads(Pipeline stream not None, bytes state not None):
    """Take over a snapshot made by `dumps` under the same ruleset; ValueError otherwise.

    This pipeline must be a fresh one, with the limits that `saved_limits` reads.
    """
    cdef Reader r = open_state(state)
    cdef uint32_t rules = stream.program.rule_count
    cdef uint32_t shapes = len(stream.program.shapes.names)
    cdef uint64_t n
    if r.raw(FINGERPRINT_BYTES) != stream.program.fingerprint:
        raise ValueError(
            "the state was saved under another ruleset: load it with the rules it was made with"
        )
    read_limits(r)
    stream.at = r.i64()
    stream.inside = r.u64() != 0
    stream.overlong = r.u64()
    r.block(&stream.carry)
    stream.grouper.serial = r.u64()
    stream.grouper.stamped_seen = r.u64()
    stream.grouper.console.boot = r.i64()
    n = r.u64()
    if (
        not 0 <= stream.at < MOST_OFFSET or stream.carry.used > stream.grouper.limits.line_bytes
        or n >= STATES or stream.grouper.console.boot < 0
    ):
        raise ValueError(f"damaged scanner state at byte {r.pos}: out of bounds")
    stream.grouper.console.state = <uint8_t> n
    n = r.u64()
    if n >= STATES:
        raise ValueError(f"damaged scanner state at byte {r.pos}: out of bounds")
    stream.grouper.console.before = <uint8_t> n
    stream.grouper.console.banner = r.u64() != 0
    stream.grouper.evicted = r.u64()
    stream.grouper.begun_rule = <int> r.i64()
    stream.grouper.begun_time = r.f64()
    stream.grouper.replayed = r.u64() != 0
    stream.grouper.told = r.u64()
    stream.grouper.told_end = r.i64()
    stream.grouper.twofold = r.u64() != 0
    for _ in range(r.u64()):
        shelf_push(&stream.grouper.open, read_trace(r, rules, shapes, stream.at))
    for n in range(stream.grouper.open.used):
        if stream.grouper.open.at[n].rival > stream.grouper.serial:
            raise ValueError(f"damaged scanner state at byte {r.pos}: a rival that never began")
    for _ in range(r.u64()):
        shelf_push(&stream.grouper.folds, read_trace(r, rules, shapes, stream.at))
    r.end()


cdef Reader open_state(bytes state):
    """A reader of a state's fields: behind its head, without its check sum."""
    cdef Reader r
    if len(state) < MAGIC_BYTES + FINGERPRINT_BYTES + SUM_BYTES or state[:MAGIC_BYTES] != MAGIC:
        raise ValueError("not a scanner state, or one of another version of tocsin")
    if zlib.crc32(state[:-SUM_BYTES]).to_bytes(SUM_BYTES, "little") != state[-SUM_BYTES:]:
        raise ValueError("damaged scanner state: its check sum is wrong")
    r = Reader(state[:-SUM_BYTES])
    r.pos = MAGIC_BYTES
    return r


cdef tuple read_limits(Reader r):
    whole = [r.u64() for _ in range(7)]
    return (*whole, r.i64(), r.i64(), r.f64())


def saved_limits(bytes state not None):
    """The limits a state was saved with, in the order of tocsin.Limits."""
    cdef Reader r = open_state(state)
    r.raw(FINGERPRINT_BYTES)
    return read_limits(r)
