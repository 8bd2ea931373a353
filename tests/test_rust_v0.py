"""Rust symbols read as paths; everything else stays what it was."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.classify.rust_v0 import path_of

SYMBOLS = {
    "_RNvCs1234_7mycrate3foo": "mycrate::foo",
    "_RNvC7mycrate3foo": "mycrate::foo",
    "_RNvNtC7mycrate3foo3bar": "mycrate::foo::bar",
    "_RNvNtCs9_7mycrate3foos_3bar.llvm.123": "mycrate::foo::bar",
    "_RNvMNtC5thing4nodeNtB2_4Node6update": "<thing::node::Node>::update",
    "_RNvMs3_NtCsabc_5thing4nodeNtB5_4Node6update": "<thing::node::Node>::update",
    "_RNvXs_C5thingNtB4_4NodeNtNtC6kernel4misc4Disc4mmap": (
        "<thing::Node as kernel::misc::Disc>::mmap"
    ),
    "_RNCNvC7mycrate4main0": "mycrate::main::{closure#0}",
    "_RNCNvC7mycrate4mains_0": "mycrate::main::{closure#1}",
    "_RINvC7mycrate3fooRlE": "mycrate::foo::<&i32>",
    "_RINvC7mycrate3fooSlTamEE": "mycrate::foo::<[i32], (i8, u32)>",
    "_RNvYNtC1a1bNtC1c1d1e": "<a::b as c::d>::e",
    "_RINvC1a1bQjOhPhE": "a::b::<&mut usize, *mut u8, *const u8>",
    "_RINvC1a1bL_hE": "a::b::<u8>",
    "_RINvC1a1bTaEE": "a::b::<(i8,)>",
    "_RNvMC1aINtC1b1chE1d": "<b::c<u8>>::d",
    "_RNvC1a1bC1c": "a::b",
}
NOT_READ = [
    "", "_R", "_Rubbish", "vfs_read", "_raw_spin_lock", "_ZN4core3fmt5Write9write_fmt17h0E",
    "_RNvC7mycrate30foo", "_RNvC7mycrate", "_RNvB_3foo", "_RNvB0_3foo", "_RINvC1a1bKj3_E",
    "_RNvC1a1b!", "_RNvCu3abc1b", "_RNvC99999999991b", "_RINvC1a1bFEuE", "_RNvCs!_1a1b",
]  # fmt: skip


@pytest.mark.parametrize(("symbol", "path"), SYMBOLS.items())
def test_symbols_read_as_paths(symbol, path):
    assert path_of(symbol) == path


@pytest.mark.parametrize("symbol", NOT_READ)
def test_what_is_not_read_stays(symbol):
    assert path_of(symbol) == symbol


def test_references_cannot_grow_without_end():
    # Every tuple names the one in front twice: 2 ** 40 elements if nobody counted.
    doubling = "_RINvC1a1bT" + "hh" + "E" + "TB7_B7_E" * 40 + "E"
    assert len(path_of(doubling)) < 10_000
    assert path_of("_R" + "N" * 500) == "_R" + "N" * 500


@given(st.text(alphabet="_RNvMXYIBCSTRQPOEsLK0123456789abz" + string.punctuation, max_size=60))
def test_any_text_gives_text(tail):
    assert isinstance(path_of("_R" + tail), str)
