"""A fault has the same signature on every kernel, host and boot; another fault has another."""

import json
import re
from collections import defaultdict
from itertools import pairwise

import pytest

import tocsin
from tests import cases

ON_KERNEL = re.compile(r"(?P<what>.+)-on-(?P<kernel>\d+\.\d+)")


def trouble(path):
    return cases.Case(path).scan()[0]


def pairs():
    """Cases of the same fault, provoked on several kernels."""
    found = defaultdict(list)
    for path in cases.paths():
        match = ON_KERNEL.fullmatch(path.stem)
        if match:
            found[match["what"]].append(path)
    return {what: paths for what, paths in sorted(found.items()) if len(paths) > 1}


PAIRS = pairs()


def test_there_are_enough_pairs():
    assert len(PAIRS) >= 20


@pytest.mark.parametrize("what", PAIRS)
def test_the_same_fault_on_two_kernels_has_one_signature(what):
    # One kernel may say more than the other (a second stall, a journal given up), never otherwise.
    told = sorted(({i.signature for i in trouble(path)} for path in PAIRS[what]), key=len)
    assert told[0] or not any(told)
    for fewer, more in pairwise(told):
        assert fewer <= more


def test_the_same_fault_in_any_wrapping_has_one_signature():
    paths = [path for path in cases.paths() if path.parent.name == "prefix"]
    assert len(paths) >= 10
    signatures = {i.signature for path in paths for i in trouble(path) if i.kind == "kernel.oops"}
    assert len(signatures) == 1


def one_to_one(incidents):
    """What breaks the rule that a signature stands for one kind and one title."""
    titles = defaultdict(set)
    for incident in incidents:
        titles[incident.signature].add((incident.kind, incident.title))
    return {signature: named for signature, named in titles.items() if len(named) > 1}


def test_two_faults_have_two_signatures():
    incidents = [i for path in cases.paths() for i in trouble(path)]
    assert len({(i.kind, i.title) for i in incidents}) >= 80
    assert one_to_one(incidents) == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("BUG: kernel NULL pointer dereference, address: 8\nRIP: 0010:ring_push+0x2b/0x90\n",
         "BUG: kernel NULL pointer dereference, address: 8\nRIP: 0010:ring_pull+0x2b/0x90\n"),
        ("Out of memory: Killed process 41 (java)\n",
         "Out of memory: Killed process 41 (mysqld)\n"),
        ("EXT4-fs error (device sda1): ext4_lookup:1: x\n",
         "EXT4-fs error (device sdb1): ext4_lookup:1: x\n"),
        ("I/O error, dev sda, sector 8\n", "I/O error, dev sdb, sector 8\n"),
        ("Kernel panic - not syncing: Attempted to kill init!\n",
         "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"),
    ],
)  # fmt: skip
def test_what_tells_faults_apart_is_in_the_signature(one, other):
    first, second = (tocsin.scan(log.encode())[0] for log in (one, other))
    assert first.rule == second.rule
    assert first.signature != second.signature


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # Address, offset, processor, pid and build.
        ("[    1.100000] BUG: kernel NULL pointer dereference, address: 0000000000000008\n"
         "[    1.200000] CPU: 0 PID: 90 Comm: a Not tainted 6.1.0-1-amd64 #1\n"
         "[    1.300000] RIP: 0010:ring_push+0x2b/0x90\n",
         "[77777.100000] BUG: kernel NULL pointer dereference, address: 0000000000000010\n"
         "[77777.200000] CPU: 7 PID: 4 Comm: b Tainted: G W 6.12.9-2-amd64 #1\n"
         "[77777.300000] RIP: 0010:ring_push.isra.0+0x31/0xa0\n"),
        # The wording of another decade, and what the compiler put behind the name.
        ("BUG: unable to handle kernel NULL pointer dereference at 0000000000000008\n"
         "IP: [<ffffffff81234567>] ring_push+0x2b/0x90\n",
         "BUG: kernel NULL pointer dereference, address: 0000000000000008\n"
         "RIP: 0010:ring_push.constprop.0+0x2b/0x90\n"),
        ("INFO: task dd:41 blocked for more than 120 seconds.\nCall Trace:\n thing_take+0x1/0x2\n",
         "INFO: task tar:7 blocked for more than 241 seconds.\nCall Trace:\n thing_take+0x3/0x9\n"),
        ("blk_update_request: I/O error, dev sda, sector 8\n",
         "I/O error, dev sda, sector 4096 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2\n"),
        ("Out of memory: Kill process 41 (java) score 9 or sacrifice child\n",
         "Out of memory: Killed process 7 (java) total-vm:1kB, anon-rss:1kB, file-rss:0kB\n"),
    ],
)  # fmt: skip
def test_what_is_volatile_is_not_in_the_signature(one, other):
    first, second = (tocsin.scan(log.encode())[0] for log in (one, other))
    assert first.signature == second.signature


def test_signatures_of_the_crash_logs_stand_for_one_title_each(shared):
    corpus = shared / "corpus"
    if not (corpus / "syzbot" / "index.jsonl").exists():
        pytest.skip("the crash logs do not lie beside the project")
    incidents = []
    for row in (corpus / "syzbot" / "index.jsonl").read_text().splitlines():
        incidents += tocsin.scan((corpus / json.loads(row)["path"]).read_bytes())
    assert len(incidents) > 300
    assert one_to_one(incidents) == {}
    # And the other way round: a title that names its function is one fault.
    signatures = defaultdict(set)
    for incident in incidents:
        if " in " in incident.title and incident.kind.startswith(("kernel.", "sanitizer.")):
            signatures[incident.kind, incident.title].add(incident.signature)
    assert {named for named, ids in signatures.items() if len(ids) > 1} == set()


def test_where_a_report_is_cut_off_in_front_of_its_function_the_file_tells_faults_apart():
    one, built, other = (
        tocsin.scan(f"[    1.000000] kernel BUG at {source}:91!\n".encode())[0]
        for source in ("fs/thing.c", "/build/linux-6.1/fs/thing.c", "mm/thing.c")
    )
    assert one.title == built.title == other.title == "kernel BUG in corrupted"
    assert one.signature == built.signature != other.signature


@pytest.mark.parametrize(
    "name", ["thing.isra.0", "thing.part.0.cold.12", "thing.cfi_jt", "__pi_thing", ".thing"]
)
def test_what_a_compiler_adds_to_a_function_changes_nothing(name):
    log = "general protection fault: 0000 [#1] SMP\nRIP: 0010:{}+0x1/0x2\n"
    plain, added = (tocsin.scan(log.format(name).encode())[0] for name in ("thing", name))
    assert added.title == "general protection fault in thing"
    assert added.signature == plain.signature
