// SPDX-License-Identifier: Apache-2.0
/*
 * Trouble on request: `echo WHAT > /proc/trouble` makes the kernel do WHAT.
 *
 * One function an action, kept out of line, so that a report names the action that caused it.
 * An action may never return; those that do leave a machine that should not be trusted further.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nmi.h>
#include <linux/printk.h>
#include <linux/proc_fs.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Makes a kernel come to grief, for tests of what its console says");

static DEFINE_SPINLOCK(gate);
static DEFINE_MUTEX(turnstile);
static DECLARE_COMPLETION(never);
static const char constant[64] = "cannot be written";
static int nothing;		/* zero; read through READ_ONCE so that no compiler knows */
static unsigned long at_once;	/* when both processors are to fail */

/* ---- faults ---- */

static noinline void do_null_read(void) { nothing = *(volatile int *)0x18; }
static noinline void do_null_write(void) { *(volatile int *)0x28 = 1; }

static noinline void do_null_call(void)
{
	void (*call)(void) = (void (*)(void))(long)READ_ONCE(nothing);

	call();
}

static noinline void do_wild(void) { *(volatile int *)0xffffc900fffff000ULL = 1; }
static noinline void do_noncanonical(void) { *(volatile int *)0xdead000000000100ULL = 1; }
static noinline void do_divide(void) { nothing = 7 / READ_ONCE(nothing); }
static noinline void do_invalid_opcode(void) { asm volatile(".byte 0x0f, 0xff"); }
static noinline void do_bug(void) { BUG(); }
static noinline void do_warn(void) { WARN_ON(1); }
static noinline void do_warn_text(void) { WARN(1, "level %d is over the brim\n", 42); }
static noinline void do_panic(void) { panic("asked for by the lab"); }
static noinline void do_write_constant(void) { *(volatile char *)constant = 1; }

static noinline int deeper(int depth)
{
	volatile char room[400];

	room[0] = depth;
	room[sizeof(room) - 1] = depth;
	/* The guard is always true, which no compiler knows. */
	return READ_ONCE(nothing) == 0 ? deeper(depth + 1) + room[0] : 0;
}

static noinline void do_stack(void) { nothing = deeper(1); }

/* ---- memory ---- */

static noinline void do_list_add(void)
{
	struct list_head head, one, two;

	INIT_LIST_HEAD(&head);
	list_add(&one, &head);
	head.next = &two;
	INIT_LIST_HEAD(&two);
	list_add(&two, &head);
}

static noinline void do_list_del(void)
{
	struct list_head head, one;

	INIT_LIST_HEAD(&head);
	list_add(&one, &head);
	list_del(&one);
	list_del(&one);
}

static noinline void do_double_free(void)
{
	void *block = kmalloc(96, GFP_KERNEL), *again = block;

	OPTIMIZER_HIDE_VAR(again);
	kfree(block);
	kfree(again);
}

static noinline void do_wild_free(void)
{
	kfree((char *)do_wild_free);
}

static noinline void do_use_after_free(void)
{
	volatile char *block = kmalloc(96, GFP_KERNEL), *again = block;
	int round;

	/* Often enough for a sampling checker to have guarded one of the blocks. */
	for (round = 0; round < 400; round++) {
		block = kmalloc(96, GFP_KERNEL);
		again = block;
		OPTIMIZER_HIDE_VAR(again);
		kfree((void *)block);
		again[8] = 0x41;
		if (!(round % 20))
			msleep(1);
	}
}

static noinline void do_overflow(void)
{
	int round;

	for (round = 0; round < 400; round++) {
		volatile char *block = kmalloc(96, GFP_KERNEL), *past = block;

		OPTIMIZER_HIDE_VAR(past);
		past[96] = 0x41;
		past[97] = 0x41;
		kfree((void *)block);
		if (!(round % 20))
			msleep(1);
	}
}

static noinline void do_refcount(void)
{
	refcount_t count = REFCOUNT_INIT(0);

	refcount_inc(&count);
}

static noinline void do_vfree_twice(void)
{
	void *block = vmalloc(PAGE_SIZE), *again = block;

	OPTIMIZER_HIDE_VAR(again);
	vfree(block);
	vfree(again);
}

static noinline void do_allocate(void)
{
	/* Nothing is given back: first allocations fail with a report, then the OOM killer comes. */
	while (alloc_pages(GFP_ATOMIC, 4))
		;
}

static noinline void do_copy(void)
{
	/* More to user space than the object holds. */
	char *block = kmalloc(64, GFP_KERNEL);
	unsigned long length = 512 + READ_ONCE(nothing);

	if (copy_to_user((void __user *)current->mm->start_stack - 4096, block, length))
		nothing++;
	kfree(block);
}

/* ---- waiting ---- */

static noinline void do_soft_lockup(void)
{
	unsigned long end = jiffies + 40 * HZ;

	preempt_disable();
	while (time_before(jiffies, end))
		cpu_relax();
	preempt_enable();
}

static noinline void do_hard_lockup(void)
{
	local_irq_disable();
	for (;;)
		cpu_relax();
}

static noinline void do_rcu_stall(void)
{
	unsigned long end = jiffies + 30 * HZ;

	rcu_read_lock();
	while (time_before(jiffies, end)) {
		touch_softlockup_watchdog();
		cpu_relax();
	}
	rcu_read_unlock();
}

static noinline void do_hang(void) { wait_for_completion(&never); }

static noinline void do_mutex(void)
{
	mutex_lock(&turnstile);
	mutex_lock(&turnstile);
}

static noinline void do_spin(void)
{
	spin_lock(&gate);
	spin_lock(&gate);
}

static noinline void do_atomic_sleep(void)
{
	spin_lock(&gate);
	msleep(20);
	spin_unlock(&gate);
}

static void busy_work(struct work_struct *work)
{
	unsigned long end = jiffies + 40 * HZ;

	while (time_before(jiffies, end)) {
		touch_softlockup_watchdog();
		cpu_relax();
	}
}

static DECLARE_WORK(busy, busy_work);
static noinline void do_busy_work(void) { schedule_work_on(0, &busy); }

/* ---- elsewhere than in the process that asked ---- */

static void in_a_timer(struct timer_list *timer) { *(volatile int *)0x38 = 1; }
static DEFINE_TIMER(late, in_a_timer);
static noinline void do_interrupt(void) { mod_timer(&late, jiffies + HZ / 5); msleep(1000); }

static int first_worker(void *unused)
{
	while (time_before(jiffies, READ_ONCE(at_once)))
		cpu_relax();
	BUG();
	return 0;
}

static int second_worker(void *unused)
{
	while (time_before(jiffies, READ_ONCE(at_once)))
		cpu_relax();
	*(volatile int *)0x48 = 1;
	return 0;
}

static noinline void do_two(void)
{
	struct task_struct *first = kthread_create(first_worker, NULL, "first");
	struct task_struct *second = kthread_create(second_worker, NULL, "second");

	WRITE_ONCE(at_once, jiffies + HZ / 2);
	kthread_bind(first, 0);
	kthread_bind(second, 1);
	wake_up_process(first);
	wake_up_process(second);
	msleep(2000);
}

/* ---- words ---- */

static noinline void do_words(void)
{
	int number;

	pr_info("piece by piece:");
	for (number = 0; number < 8; number++)
		pr_cont(" %d", number);
	pr_cont("\n");
	pr_err("bytes \x01\x02 escape \x1b[31mred\x1b[0m high \xff end\nand a second line\n");
	pr_err("%0900d\n", 7);
	pr_emerg("an emergency without a known word\n");
}

static const struct {
	const char *name;
	void (*act)(void);
} actions[] = {
#define ACTION(name) { #name, do_##name }
	ACTION(null_read), ACTION(null_write), ACTION(null_call), ACTION(wild), ACTION(noncanonical),
	ACTION(divide), ACTION(invalid_opcode), ACTION(bug), ACTION(warn), ACTION(warn_text),
	ACTION(panic), ACTION(write_constant), ACTION(stack), ACTION(list_add), ACTION(list_del),
	ACTION(double_free), ACTION(wild_free), ACTION(use_after_free), ACTION(overflow),
	ACTION(refcount), ACTION(vfree_twice), ACTION(allocate), ACTION(copy), ACTION(soft_lockup),
	ACTION(hard_lockup), ACTION(rcu_stall), ACTION(hang), ACTION(mutex), ACTION(spin),
	ACTION(atomic_sleep), ACTION(busy_work), ACTION(interrupt), ACTION(two), ACTION(words),
};

static ssize_t asked(struct file *file, const char __user *text, size_t length, loff_t *at)
{
	char word[32] = "";
	size_t number;

	if (copy_from_user(word, text, min(length, sizeof(word) - 1)))
		return -EFAULT;
	strim(word);
	for (number = 0; number < ARRAY_SIZE(actions); number++) {
		if (!strcmp(word, actions[number].name)) {
			actions[number].act();
			return length;
		}
	}
	return -EINVAL;
}

static const struct proc_ops operations = { .proc_write = asked };

static int __init trouble_init(void)
{
	return proc_create("trouble", 0200, NULL, &operations) ? 0 : -ENOMEM;
}

static void __exit trouble_exit(void)
{
	remove_proc_entry("trouble", NULL);
}

module_init(trouble_init);
module_exit(trouble_exit);
