"""Two reports at once where no caller is told: whose is which line."""

import random
from itertools import pairwise

import pytest

import tocsin
from tests.small import scan_cut

MACHINE = "Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-1 04/01/2014"


def body(cpu, pid, name, frames):
    return [
        f"CPU: {cpu} PID: {pid} Comm: {name} Not tainted 6.1.0-13-amd64 #1 Debian 6.1.55-1",
        MACHINE,
        f"RIP: 0010:{frames[0]}+0x12/0x40",
        "Code: 00 00 00 00 0f 1f 44 00 00 f3 90 eb fc 66 90",
        f"RSP: 0018:ffffb00000d{cpu}be90 EFLAGS: 00000202",
        "RAX: 0000000000000000 RBX: ffff8ddb027072c0 RCX: 0000000000000000",
        "Call Trace:",
        " <TASK>",
        *(f" {frame}+0x22/0x80" for frame in frames[1:]),
        " </TASK>",
    ]


def lockup(cpu, pid, name, *frames):
    return [
        f"watchdog: BUG: soft lockup - CPU#{cpu} stuck for 22s! [{name}:{pid}]",
        "Modules linked in: xfs libcrc32c",
        *body(cpu, pid, name, frames),
    ]


def warning(cpu, pid, name, *frames):
    return [
        "------------[ cut here ]------------",
        f"WARNING: CPU: {cpu} PID: {pid} at fs/some.c:12 {frames[0]}+0x12/0x40",
        "Modules linked in: xfs libcrc32c",
        *body(cpu, pid, name, frames),
        "---[ end trace 0000000000000000 ]---",
    ]


def oops(cpu, pid, name, *frames):
    return [
        "BUG: kernel NULL pointer dereference, address: 0000000000000048",
        "#PF: supervisor write access in kernel mode",
        "#PF: error_code(0x0002) - not-present page",
        "PGD 0 P4D 0 ",
        "Oops: 0002 [#1] PREEMPT SMP NOPTI",
        *body(cpu, pid, name, frames),
        "Modules linked in: xfs libcrc32c",
        "CR2: 0000000000000048",
        "---[ end trace 0000000000000000 ]---",
    ]


def deadlock(cpu, pid, name, *frames):
    return [
        "======================================================",
        "WARNING: possible circular locking dependency detected",
        "6.1.0-13-amd64 #1 Not tainted",
        "------------------------------------------------------",
        f"{name}/{pid} is trying to acquire lock:",
        f"ffff8ddb02707200 (&a->lock){{+.+.}}-{{3:3}}, at: {frames[0]}+0x12/0x40",
        "",
        "but task is already holding lock:",
        f"ffff8ddb02707280 (&b->lock){{+.+.}}-{{3:3}}, at: {frames[1]}+0x22/0x80",
        "",
        "which lock already depends on the new lock.",
        "",
        "the existing dependency chain (in reverse order) is:",
        "",
        "-> #1 (&b->lock){+.+.}-{3:3}:",
        "       lock_acquire+0xbd/0x2b0",
        f"       {frames[1]}+0x22/0x80",
        "-> #0 (&a->lock){+.+.}-{3:3}:",
        "       lock_acquire+0xbd/0x2b0",
        f"       {frames[0]}+0x12/0x40",
        "other info that might help us debug this:",
        " Possible unsafe locking scenario:",
        "       CPU0                    CPU1",
        "       ----                    ----",
        "  lock(&b->lock);",
        "                               lock(&a->lock);",
        " *** DEADLOCK ***",
        f"1 lock held by {name}/{pid}:",
        f" #0: ffff8ddb02707280 (&b->lock){{+.+.}}-{{3:3}}, at: {frames[1]}+0x22/0x80",
        "stack backtrace:",
        f"CPU: {cpu} PID: {pid} Comm: {name} Not tainted 6.1.0-13-amd64 #1 Debian 6.1.55-1",
        MACHINE,
        "Call Trace:",
        " <TASK>",
        " dump_stack_lvl+0x44/0x5c",
        *(f" {frame}+0x22/0x80" for frame in frames),
        " </TASK>",
    ]


def use_after_free(cpu, pid, name, *frames):
    return [
        "==================================================================",
        f"BUG: KASAN: slab-use-after-free in {frames[0]}+0x12/0x40",
        f"Read of size 8 at addr ffff8ddb02707200 by task {name}/{pid}",
        "",
        f"CPU: {cpu} PID: {pid} Comm: {name} Not tainted 6.1.0-13-amd64 #1 Debian 6.1.55-1",
        MACHINE,
        "Call Trace:",
        " <TASK>",
        " dump_stack_lvl+0x44/0x5c",
        " kasan_report+0x9c/0xc0",
        *(f" {frame}+0x22/0x80" for frame in frames),
        " </TASK>",
        "",
        f"Allocated by task {pid}:",
        " kasan_save_stack+0x1e/0x40",
        " make_thing+0x22/0x80",
        "",
        "Freed by task 7:",
        " kasan_save_stack+0x1e/0x40",
        " drop_thing+0x22/0x80",
        "",
        "The buggy address belongs to the object at ffff8ddb02707200",
        " which belongs to the cache kmalloc-64 of size 64",
        "==================================================================",
    ]


def stall(cpu, pid, name, *frames):
    return [
        "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
        f"rcu: \t{cpu}-...!: (1 GPs behind) idle=0004/1/0x4000000000000000 softirq=98/98 fqs=0",
        "\t(detected by 3, t=5252 jiffies, g=-1195, q=2 ncpus=4)",
        f"Sending NMI from CPU 3 to CPUs {cpu}:",
        f"NMI backtrace for cpu {cpu}",
        *body(cpu, pid, name, frames),
    ]


def sleeper(cpu, pid, name, *frames):
    return [
        "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580",
        f"in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: {pid}, name: {name}",
        "preempt_count: 1, expected: 0",
        "RCU nest depth: 0, expected: 0",
        "Preemption disabled at:",
        f"[<ffffffff81234567>] {frames[-1]}+0x22/0x80",
        f"CPU: {cpu} PID: {pid} Comm: {name} Not tainted 6.1.0-13-amd64 #1 Debian 6.1.55-1",
        MACHINE,
        "Call Trace:",
        " <TASK>",
        " dump_stack_lvl+0x44/0x5c",
        " __might_resched+0x1e0/0x2c0",
        *(f" {frame}+0x22/0x80" for frame in frames),
        " </TASK>",
    ]


def bad_page(cpu, pid, name, *frames):
    return [
        f"BUG: Bad page state in process {name}  pfn:12345",
        "page:ffffea0000491140 refcount:0 mapcount:1 mapping:0000000000000000 index:0x0",
        "flags: 0x100000000000000(node=0|zone=1)",
        "raw: 0100000000000000 dead000000000100 dead000000000122 0000000000000000",
        "page dumped because: nonzero mapcount",
        "page_owner tracks the page as allocated",
        "page last allocated via order 0, migratetype Unmovable, gfp_mask 0xcc0(GFP_KERNEL), pid 1",
        " post_alloc_hook+0x22/0x80",
        " make_page+0x22/0x80",
        "Modules linked in: xfs libcrc32c",
        f"CPU: {cpu} PID: {pid} Comm: {name} Not tainted 6.1.0-13-amd64 #1 Debian 6.1.55-1",
        MACHINE,
        "Call Trace:",
        " <TASK>",
        " dump_stack_lvl+0x44/0x5c",
        " bad_page+0x80/0xf0",
        *(f" {frame}+0x22/0x80" for frame in frames),
        " </TASK>",
    ]


def held_lock(cpu, pid, name, *frames):
    return [
        "================================================",
        "WARNING: lock held when returning to user space!",
        "6.1.0-13-amd64 #1 Not tainted",
        "------------------------------------------------",
        f"{name}/{pid} is leaving the kernel with locks still held!",
        f"1 lock held by {name}/{pid}:",
        f" #0: ffff8ddb02707280 (&b->lock){{+.+.}}-{{3:3}}, at: {frames[1]}+0x22/0x80",
    ]


FIRST = (0, 1201, "stress", "spin_forever", "do_ioctl_thing", "__x64_sys_ioctl", "do_syscall_64",
         "entry_SYSCALL_64_after_hwframe")  # fmt: skip
SECOND = (1, 1302, "kworker/1:1", "wait_for_lock", "flush_things", "process_one_work",
          "worker_thread", "kthread", "ret_from_fork")  # fmt: skip
KINDS = {"lockup": lockup, "warning": warning, "oops": oops}
AFTER = {
    **KINDS, "deadlock": deadlock, "use-after-free": use_after_free, "stall": stall,
    "sleeper": sleeper, "bad page": bad_page, "held lock": held_lock,
}  # fmt: skip


def log_of(lines, stamped=True):
    return "".join(
        f"[  100.{n:06}] {line}\n" if stamped else f"{line}\n" for n, line in enumerate(lines)
    ).encode()


def said(incident):
    return [line.partition(b"] ")[2].decode() for line in incident.lines]


def in_turns(first, second, lead, step):
    """`lead` lines of the first, then `step` lines of each."""
    out = first[:lead]
    first, second = first[lead:], second[:]
    while first or second:
        out += second[:step] + first[:step]
        first, second = first[step:], second[step:]
    return out


@pytest.mark.parametrize("lead", [1, 2, 4, 6])
@pytest.mark.parametrize("kind", ["lockup", "warning"])
def test_two_reports_whose_lines_come_in_turns(kind, lead):
    first, second = KINDS[kind](*FIRST), KINDS[kind](*SECOND)
    if kind == "warning" and lead == 1:
        lead = 2  # two openings on end are one report's: only its own start says whose
    incidents = tocsin.scan(log_of(in_turns(first, second, lead, 1)))
    titles = [i.title for i in incidents]
    assert [(i.fields["cpu"], i.fields["pid"]) for i in incidents] == [(0, 1201), (1, 1302)]
    assert "do_ioctl_thing" in titles[0] or "spin_forever" in titles[0]
    assert "flush_things" in titles[1] or "wait_for_lock" in titles[1]
    for incident, lines in zip(incidents, (first, second), strict=True):
        own = set(lines)
        kept = said(incident)
        assert sum(line in own for line in kept) >= 0.9 * len(kept), kept
        assert len(own.intersection(kept)) >= 0.8 * len(own), own - set(kept)


def at_random(first, second, lead, change, dice):
    """After `lead` lines of the first, the printer changes before a line with that probability."""
    out, both, who = first[:lead], [first[lead:], second[:]], 1
    while any(both):
        who ^= dice.random() < change
        out.append((both[who] or both[1 - who]).pop(0))
    return out


@pytest.mark.parametrize(("change", "asked"), [(0.9, 0.85), (0.5, 0.7), (0.1, 0.75)])
@pytest.mark.parametrize("kind", ["lockup", "warning"])
def test_two_reports_in_any_order_are_mostly_told_apart(kind, change, asked):
    dice, named, rounds = random.Random(7), 0, 120
    for _ in range(rounds):
        first, second = KINDS[kind](*FIRST), KINDS[kind](*SECOND)
        lead = dice.randint(2, len(first))
        incidents = tocsin.scan(log_of(at_random(first, second, lead, change, dice)))
        titles = " ".join(i.title for i in incidents)
        assert len(incidents) == 2
        named += ("spin_forever" in titles or "do_ioctl_thing" in titles) and (
            "wait_for_lock" in titles or "flush_things" in titles
        )
    assert named / rounds >= asked


@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize("b", AFTER)
@pytest.mark.parametrize("a", AFTER)
def test_a_report_that_was_cut_off_takes_nothing_of_the_next(a, b, stamped):
    first, second = AFTER[a](*FIRST), AFTER[b](*SECOND)
    same_cpu = AFTER[b](0, *SECOND[1:])
    for after in (second, same_cpu):
        alone = [(i.title, i.lines) for i in tocsin.scan(log_of(after, False))]
        assert len(alone) == 1
        for cut in range(2, len(first) + 1):
            log = log_of(first[:cut] + after, stamped)
            found = [i for i in tocsin.scan(log) if i.lines]
            assert found[-1].title == alone[0][0], (cut, log.decode())
            assert len(found[-1].lines) == len(alone[0][1]), (cut, log.decode())


def test_a_waiting_report_survives_a_snapshot():
    lines = in_turns(lockup(*FIRST), lockup(*SECOND), 2, 1)
    want = [(i.title, i.lines) for i in tocsin.scan(log_of(lines))]
    log = log_of(lines)
    for cut in range(0, len(log), 97):
        scanner = tocsin.Scanner()
        out = scanner.feed(log[:cut])
        scanner = tocsin.Scanner.loads(scanner.dumps())
        out += scanner.feed(log[cut:]) + scanner.flush()
        assert [(i.title, i.lines) for i in out] == want


@pytest.mark.parametrize("seed", range(25))
def test_lines_of_many_reports_in_any_order(seed):
    dice = random.Random(seed)
    lines = []
    for n in range(6):
        make = dice.choice(list(AFTER.values()))
        report = make(dice.randrange(3), 100 + n, f"task{n}", *dice.sample(FIRST[3:], 3))
        at = dice.randrange(len(lines) + 1)
        for line in report[: dice.randrange(2, len(report) + 1)]:
            at = min(len(lines), at + dice.choice([0, 0, 1, 3]))
            lines.insert(at, line)
            at += 1
    log = log_of(lines, stamped=bool(seed % 4))
    incidents = tocsin.scan(log)
    taken = sorted(span for incident in incidents for span in incident.spans)
    assert all(a[1] <= b[0] for a, b in pairwise(taken)), "a line is in two incidents"
    for incident in incidents:
        assert sorted(incident.spans) == list(incident.spans)
        for line in incident.lines:
            assert line in log
    cuts = sorted(dice.sample(range(len(log)), 9))
    whole = scan_cut(log, [])
    assert scan_cut(log, cuts) == whole
    assert scan_cut(log, cuts, snapshots=(2, 5, 8)) == whole


def test_one_waits_for_another_that_waits_for_a_third():
    """The third closes, and with it the second, which closes the first: in one go."""
    lines = []

    def say(caller, *messages):
        for message in messages:
            lines.append(f"[{1 + len(lines) / 1e4:12.6f}][{caller:>6}] {message}\n")

    say("C1", *lockup(1, 88, "one", "f")[:3])
    say("C1", *lockup(1, 89, "two", "g")[:3])
    say("C1", "Sending NMI from CPU 1 to CPUs 0:")
    say("C0", "NMI backtrace for cpu 0", "CPU: 0 PID: 5 Comm: x Not tainted 6.1.0-13-amd64 #1")
    say("C0", *lockup(0, 90, "three", "h")[:3])
    say("C0", *(f"driver: number {number}" for number in range(100)))
    incidents = list(tocsin.scan("".join(lines).encode()))
    assert [incident.fields["comm"] for incident in incidents] == ["one", "two", "three"]
    assert sum(len(incident.lines) for incident in incidents) == 12
