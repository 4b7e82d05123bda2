# SPDX-License-Identifier: GPL-2.0
"""The groups of the benchmark: for each what the OSes of one run of the test machine do, and
the rows that are read from what they have left on the consoles. A new group is one group()
at the end; README.md describes what it measures."""

import re
import subprocess
import typing

import machine
import shares


class Row(typing.NamedTuple):
    """A bar is "<= N", ">= N" or "A .. B", "-" where a row is only reported. figure(run, *of)
    gives the value and a text with details, or raises NoResult."""
    name: str
    what: str
    bar: str
    aim: str
    unit: str
    figure: typing.Callable
    of: tuple = ()


class Group(typing.NamedTuple):
    """Rows, and the run of the test machine that gives them; there is none without a block."""
    rows: tuple
    leading: str = ""           # blocks, shell text; $cycles is the number of -n
    coexisting: str = ""        # the same one in every coexisting OS
    options: tuple = ()         # of twinvm
    alone: bool = False         # runs when no other group does
    limit: int = 900            # seconds of the host
    per_cycle: int = 0          # of them, added to the limit for each cycle
    kernel: str = ""            # another than the tests' own, in BUILD; measured where it is


GROUPS = {}


def group(name, *rows, **rest):
    GROUPS[name] = Group(rows, **rest)


class NoResult(Exception):
    """Why a row has no figure."""


class Run:
    """What a run of a group has left."""

    def __init__(self, logs, cycles):
        self.logs = logs
        self.cycles = cycles

    def console(self, name):
        """The lines of a console, or of what QEMU has said."""
        return machine.console(self.logs / f"{name.replace('coexisting', 'coexist-1')}.log")

    leading = property(lambda self: self.console("leading"))
    coexisting = property(lambda self: self.console("coexisting"))


def line(console, begin, which=-1):
    """The last line that begins so, or the one of that index."""
    matching = [text for text in console if text.startswith(begin)]
    if not matching:
        raise NoResult(f"no line {begin}")
    return matching[which]


def field(console, begin, word, which=-1):
    """The number behind a word in the last line that begins so."""
    text = line(console, begin, which)
    number = re.search(rf"(?:^| ){word} (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?: |$)", text)
    if not number:
        raise NoResult(f"no {word} in: {text}")
    return int(number[1]) if number[1].lstrip("-").isdigit() else float(number[1])


# cpu


def switch(run):
    """Over the switches at slices of 100 us: those of a boot cost more."""
    means = []
    for name, other in (("leading", "coexisting"), ("coexisting", "leading")):
        before, after = ([field(run.leading, f"{begin}: {key}", key)
                          for key in (f"{name}_switch_avg", f"{other}_switches")]
                         for begin in ("stats", "at-100us"))
        count = after[1] - before[1]
        if count < 1000:
            raise NoResult(f"only {count} switches")
        means.append((after[0] * after[1] - before[0] * before[1]) / count)
    return max(means), f"to leading {means[0]:.0f}, to coexisting {means[1]:.0f}, {count} switches"


def both_busy(run):
    """Intervals in which both worked, work of the leading and of the coexisting OS."""
    counted, *work = shares.shares("\n".join(run.leading), "\n".join(run.coexisting))
    if counted < 3:
        raise NoResult("fewer than three intervals in which both worked")
    return counted, work, f"intervals {counted} leading {work[0]} coexisting {work[1]}"


def share(run, of):
    _, work, detail = both_busy(run)
    return 100 * work[of] / sum(work), detail


def work(run):
    # A unit of work is 10,000 instructions, an interval 100 ms = 100,000,000 ticks.
    counted, done, detail = both_busy(run)
    alone = field(run.leading, "alone", "rate")
    return (sum(done) * 10000 / (counted * 100000) / alone,
            f"{detail}, alone {alone} per 1000 ticks")


def against_alone(run, name, begin, factor=1):
    """The rate of spin beside another OS, against that alone."""
    rate, alone = field(run.console(name), begin, "rate"), field(run.leading, "alone", "rate")
    return factor * rate / alone, f"{rate} instructions per 1000 ticks, alone {alone}"


def put_off(run):
    longest, times = ([field(run.leading, f"stats: {name}", name)] for name in
                      ("put_off_max", "over_task"))
    return longest[0], f"by the leading OS; taken over a task {times[0]} times"


group(
    "cpu",
    Row("switch", "one-way OS switch, mean of the dearer direction",
        "<= 420", "<= 300", "instructions", switch),
    Row("put_off", "both computing: longest that a due switch was put off",
        "-", "-", "instructions", put_off),
    Row("share", "both computing: share of the leading OS",
        "48 .. 52", "49.5 .. 50.5", "percent", share, (0,)),
    Row("share_coexisting", "both computing: share of the coexisting OS",
        "48 .. 52", "49.5 .. 50.5", "percent", share, (1,)),
    Row("busy_leading", "coexisting OS idle: share of the leading OS",
        ">= 95", ">= 99", "percent", against_alone, ("leading", "beside-idle", 100)),
    Row("busy_coexisting", "leading OS idle: share of the coexisting OS",
        ">= 95", ">= 99", "percent", against_alone, ("coexisting", "beside-idle", 100)),
    Row("work", "both computing, 10 ms slice: sum of work vs one OS alone",
        ">= 0.98", ">= 0.995", "ratio", work),
    options=("-I",),
    leading='''
		echo 10000 >$os1/slice_us
		spin 100 20 | sed "s/^spin: ok/alone/; /^spin: interval/d"
		launch
		await_log "say: idle" 60
		spin 100 20 | sed "s/^spin: ok/beside-idle/; /^spin: interval/d"
		await_log "say: busy" 60
		spin 100 30
		sleep 5
		await_log "say: done" 60
		sed "s/^/stats: /" $os1/stats
		echo 100 >$os1/slice_us
		spin 100 20 >/dev/null
		sed "s/^/at-100us: /" $os1/stats
	''',
    coexisting='''
		say idle
		sleep 4
		say busy
		spin 100 40
		sleep 1
		spin 100 20 | sed "s/^spin: ok/beside-idle/; /^spin: interval/d"
		say done
		spin 1000 100 >/dev/null
	''')


# launch


def away(run, stats="stats: ", beats=""):
    # The longer of what the kernel and what a real-time process say; the latter beats
    # every 200,000 ticks.
    kernel = field(run.leading, f"{stats}launch_away_max", "launch_away_max")
    beat = field(run.leading, f"{beats}heartbeat: ok", "gap_max")
    return (max(kernel, beat - 200000) / 1e6,
            f"kernel's statistics {kernel}, a process that beats every 200000: {beat}")


def launch(run):
    # Where it was launched twice, the first launch counts.
    launched = (field(run.coexisting, "tscmark: ok", "tsc", 0)
                - field(run.leading, "launch-tscmark: ok", "tsc"))
    rebooted = (field(run.leading, "tscmark: ok", "tsc")
                - field(run.leading, "reboot-tscmark: ok", "tsc"))
    return launched / rebooted, f"{launched} against {rebooted}"


# Launched twice: to see how long it takes, and with a process that watches how long it is kept
# waiting, which costs time itself.
# The same kernel, initrd and first program, once launched beside the leading OS and once in its
# place, in one boot. Both times tscmark stands right before kexec -e and is the first program of
# the new kernel.
group(
    "launch",
    Row("away", "longest time the leading OS is away during a launch",
        "<= 3.8", "<= 2", "million instructions", away),
    Row("launch", "kexec -e to first user-space instruction vs ordinary kexec -e",
        "<= 0.06", "<= 0.03", "ratio", launch),
    options=("-I",),
    leading='''
		twinvm=$(grep -o "twinvm=[^ ]*" /proc/cmdline)
		kexec --twinos --mem-min=0x100000 -l /boot/bzImage --initrd=/boot/coexist.cpio.gz \\
			--append="console=ttyS1 rdinit=/bin/tscmark -- /init"
		tscmark | sed "s/^/launch-/"
		kexec -e
		sleep 2
		await stopped 60
		echo 1000 >$os1/slice_us
		kexec --twinos --mem-min=0x100000 -l /boot/bzImage --initrd=/boot/coexist.cpio.gz \\
			--append="console=ttyS1 rdinit=/bin/tscmark -- /init"
		heartbeat 1000 200 & heart=$!
		sleep 0.5
		kexec -e
		sleep 2
		kill $heart
		wait $heart
		sed "s/^/stats: /" $os1/stats
		await stopped 60
		kexec -c -l /boot/bzImage --initrd=/boot/coexist.cpio.gz \\
			--append="console=ttyS0 $twinvm rdinit=/bin/tscmark -- /init"
		tscmark | sed "s/^/reboot-/"
		kexec -e
	''',
    coexisting='''
		say up
		grep -q twinvm= /proc/cmdline || poweroff -f
	''')


# distribution

# As "launch", with a kernel that a distribution has configured (make kernel-distribution), its
# addresses random, and windows of a size that its users give.
group(
    "distribution",
    Row("away_512m", "a distribution's kernel, 512 MiB: longest away at a launch",
        "<= 10", "<= 3", "million instructions", away, ("512M: ", "512M: ")),
    Row("away_2g", "a distribution's kernel, 2 GiB: longest away at a launch",
        "<= 10", "<= 3", "million instructions", away, ("2G: ", "2G: ")),
    kernel="kernel-distribution/bzImage",
    options=("-I", "-R", "-m", "6G", "-w", "twinos=512M@1G,low=64K@0x80000", "-w", "twinos=2G@4G"),
    leading='''
		watched() {
			kexec --twinos --mem-min="$2" -l /boot/bzImage --initrd=/boot/coexist.cpio.gz \
				--append="console=ttyS1"
			heartbeat 1000 200 >/beats & heart=$!
			sleep 0.5
			kexec -e
			sleep 4
			kill $heart
			wait $heart
			sed "s/^/$1: /" /beats $os1/stats
			await stopped 120
			kexec --twinos -u
		}
		watched 512M 0x40000000
		watched 2G 0x100000000
	''',
    coexisting='''
		say up
		poweroff -f
	''')


# cross-cpu

# Emulated CPUs take turns, and a turn lasts until the next event of the machine. This makes such
# an event every 20,000 instructions (filters on networks that nobody is on): else a CPU that
# waits for another one waits for milliseconds. Two, since one alone is no event while it is
# being handled, however long the host lets that take.
TURNS = tuple(word for turn in (1, 2) for word in (
    "-q", f"-netdev hubport,id=turns{turn},hubid={8 + turn}",
    "-q", f"-object filter-buffer,id=turn{turn},netdev=turns{turn},interval=20"))


def cross(run, what, which=-1):
    return (field(run.leading, f"crosscpu: ok {what}", "max", which) / 1e6,
            line(run.leading, f"crosscpu: ok {what}", which))


# Instructions of both CPUs count as time, and a CPU that waits gets its turn every 20 us. One
# that is woken may get none for long while the other one computes: crosscpu does not let it sleep.
# One that waits for a lock gets none either, unless what computes there ends its turns itself: so
# it is crosscpu that computes, and nothing else.
group(
    "cross-cpu",
    Row("wake", "wake-up from another CPU to the idle shared CPU, latest",
        "<= 1", "<= 0.1", "ms", cross, ("wake",)),
    Row("call", "another CPU waiting for an IPI of the shared one, both OSes busy, longest",
        "<= 2", "<= 0.2", "ms", cross, ("call",)),
    Row("lock", "another CPU waiting for a lock of the shared one, both OSes busy, longest",
        "<= 2", "<= 0.2", "ms", cross, ("lock", 0)),
    Row("lock_held", "the same of a lock that is held for 2.5 ms, longer than a switch waits",
        "-", "-", "ms", cross, ("lock", 1)),
    options=("-I", "-c", "2", *TURNS),
    leading='''
		launch
		await_log "say: busy" 60
		crosscpu wake 1 200
		taskset 1 spin 1000 10000 >/dev/null & spinner=$!
		crosscpu call 1 300
		kill $spinner
		echo -1 >/proc/sys/kernel/sched_rt_runtime_us
		echo 40000000 >/proc/sys/fs/nr_open
		crosscpu lock 1 600000 16000
		crosscpu lock 1 60000 32000000
	''',
    coexisting='''
		say busy
		crosscpu compute
	''')


# nmi-rain


def survived(run):
    sent = field(run.leading, "nmirain: ok", "sent")
    taken = field(run.leading, "say: taken", "taken")
    return taken, f"{sent} sent, {line(run.leading, 'say: taken')}"


# Host time: NMIs come between any two instructions only where CPUs are emulated in parallel.
group(
    "nmi-rain",
    Row("nmi", "NMIs taken by two randomised kernels at slices of 100 us, both busy",
        ">= 10000", ">= 1000000", "NMIs", survived),
    options=("-P", "-R", "-c", "2", "-a", "tsc=nowatchdog",
             "-w", "twinos=256M@0x20000000,low=64K@0x80000"),
    alone=True,
    leading='''
		counted() { awk '$1 == "NMI:" { print $2 }' /proc/interrupts; }
		kexec --twinos --mem-min=0x20000000 --twinos-entry=bzimage -l /boot/bzImage \\
			--initrd=/boot/coexist.cpio.gz --append=console=ttyS1
		kexec --twinos -e
		await running 60
		await_log "say: busy" 60
		echo 100 >$os1/slice_us
		taskset 1 spin 1000 10000 >/dev/null & spinner=$!
		before=$(counted)
		switches=$(stats leading_switches)
		nmirain 1 2500000 40
		echo "say: taken $(($(counted) - before)) switches $(($(stats leading_switches) - switches))"
		test "$(cat $os1/state)" = running
		kill $spinner
	''',
    coexisting='''
		say busy
		spin 1000 10000 >/dev/null
	''')


# ping


def ping(run, asks):
    console = run.console(asks)
    return (field(console, "pinger: ok", "median_us") / 1000, line(console, "pinger:"))


group(
    "ping",
    Row("ping_coexisting", "slice 100 ms, both computing: ping of the coexisting OS, median",
        "<= 10", "<= 1", "ms", ping, ("leading",)),
    Row("ping_leading", "slice 100 ms, both computing: ping of the leading OS, median",
        "<= 10", "<= 1", "ms", ping, ("coexisting",)),
    options=("-I",),
    leading='''
		echo 100000 >$os1/slice_us
		launch
		await_log "say: busy" 60
		spin 1000 10000 >/dev/null & spinner=$!
		pinger 10.0.0.2 60 23
		await_log "say: done" 120
		kill $spinner
	''',
    coexisting='''
		spin 1000 10000 >/dev/null & spinner=$!
		say busy
		sleep 4
		pinger 10.0.0.1 60 23
		kill $spinner
		say done
	''')


# net-shared, net-cores


def against(run, what, which=0, networks=2):
    """A figure of netrate over the network between the OSes, the first, or another one, against
    that over the second: medians of three."""
    found = (re.match(rf"netrate: {what} ([0-9.]+) ", text) for text in run.leading)
    values = [float(match[1]) for match in found if match]
    if len(values) != 3 * networks:
        raise NoResult(f"{len(values)} figures of {what}, not {3 * networks}")
    medians = [sorted(values[i:i + 3])[1] for i in range(0, len(values), 3)]
    return medians[which] / medians[1], f"{medians[which]:.1f} against {medians[1]:.1f}"


def bells(run):
    """Kilobytes of a transfer of 100 MB for each doorbell of either side."""
    count = field(run.leading, "bells", "after") - field(run.leading, "bells", "before")
    return 100000 / max(count, 1), f"{count} doorbells"


# A copy by bytes is an instruction for each of them here, and is none of real CPUs that have ERMS.
WORD_COPIES = ("-q", "-cpu max,-erms,-fsrm")

NET_SERVER = '''
		net_up
		netrate_serve 0.0.0.0 5001
		say serving
		wait $rate
	'''

group(
    "net-shared",
    Row("net_stream", "TCP stream to an OS on the same CPU, against loopback in one OS",
        ">= 0.3", ">= 0.6", "x", against, ("stream",)),
    Row("net_ping", "TCP round trip likewise", "<= 5", "<= 2", "x", against, ("round trip",)),
    options=("-I", *WORD_COPIES),
    leading='''
		launch
		await_log "say: serving" 60
		net_up 1
		await_carrier 1 1 10
		for i in 1 2 3; do netrate stream 10.87.1.2 5001 50; done
		for i in 1 2 3; do netrate ping 10.87.1.2 5001 1000; done
		kexec --twinos-kill
		ip link set lo up
		netrate_serve 127.0.0.1 5001
		for i in 1 2 3; do netrate stream 127.0.0.1 5001 50; done
		for i in 1 2 3; do netrate ping 127.0.0.1 5001 1000; done
		kill $rate
	''',
    coexisting=NET_SERVER)
group(
    "net-cores",
    Row("cores_stream", "TCP stream between OSes on their own CPUs, against two cards and a hub",
        ">= 3", ">= 10", "x", against, ("stream",)),
    Row("cores_ping", "TCP round trip likewise", "<= 0.5", "<= 0.2", "x", against,
        ("round trip", 0, 3)),
    Row("cores_loopback", "the same over loopback in one OS, on one CPU", "-", "-", "x", against,
        ("round trip", 2, 3)),
    Row("bells", "kilobytes of a bulk transfer for each doorbell", ">= 64", ">= 1000", "kB", bells),
    options=("-c", "2", "-P", *WORD_COPIES),
    alone=True,
    leading='''
		bells() { awk '/_doorbells/ { n += $2 } END { print n }' $os1/stats; }
		load --twinos-cpus=1
		kexec -e
		await_log "say: serving" 60
		net_up 1
		await_carrier 1 1 10
		before=$(bells)
		# The first stream over each is not measured: QEMU translates the code meanwhile.
		netrate stream 10.87.1.2 5001 100 >/dev/null
		echo "bells before $before after $(bells)"
		for i in 1 2 3; do netrate stream 10.87.1.2 5001 400; done
		for i in 1 2 3; do netrate ping 10.87.1.2 5001 2000; done
		netrate stream 10.0.0.2 5001 30 >/dev/null
		for i in 1 2 3; do netrate stream 10.0.0.2 5001 100; done
		for i in 1 2 3; do netrate ping 10.0.0.2 5001 1000; done
		kexec --twinos-kill
		ip link set lo up
		netrate_serve 127.0.0.1 5001
		for i in 1 2 3; do netrate ping 127.0.0.1 5001 1000; done
		kill $rate
	''',
    coexisting=NET_SERVER)


# clocks


def clock(run, name):
    if any("say: unstable" in text for text in run.coexisting):
        raise NoResult("a clocksource was marked unstable")
    console = run.console(name)
    return (max(abs(field(console, "clockcheck: ok", word)) for word in ("monotonic", "wall")),
            line(console, "clockcheck:"))


# Ten minutes, the first two seconds busy in both.
group(
    "clocks",
    Row("clock_leading", "clock against TSC after 10 minutes, leading OS",
        "<= 1e-4", "<= 1e-6", "relative", clock, ("leading",)),
    Row("clock_coexisting", "clock against TSC after 10 minutes, coexisting OS",
        "<= 1e-4", "<= 1e-6", "relative", clock, ("coexisting",)),
    options=("-I",),
    leading='''
		launch
		await_log "say: started" 60
		spin 1000 2 >/dev/null &
		clockcheck 600 1 1000000
		await_log "say: checked" 60
		dmesg | grep -iE "clocksource.*(unstable|skew|mark)|tsc.*unstable" && false
		true
	''',
    coexisting='''
		say started
		spin 1000 2 >/dev/null &
		clockcheck 600 1 1000000
		dmesg | grep -iE "clocksource.*(unstable|skew|mark)|tsc.*unstable" && say unstable
		say checked
	''')


# disk


def disk(run, name):
    alone, after = (field(run.leading, begin, "ticks_median") for begin in ("alone", "after"))
    beside = field(run.console(name), "beside", "ticks_median")
    return ((alone + after) / 2 / beside, f"ticks for 64 MB: {beside} beside an idle OS, "
                                          f"{alone} alone, {after} alone afterwards")


# Instructions are not counted here: a disk is timed by the host, and beside its clock a count of
# instructions would make more work look like less time. So this is a ratio of host times. Both
# disks are held at 32 MB/s, as a disk has a speed of its own. The alone figure is taken before
# and after, in the same boot.
group(
    "disk",
    Row("disk_leading", "sequential read of the leading OS, other idle, vs alone",
        ">= 0.95", ">= 0.99", "ratio", disk, ("leading",)),
    Row("disk_coexisting", "sequential read of the coexisting OS, other idle, vs alone",
        ">= 0.95", ">= 0.99", "ratio", disk, ("coexisting",)),
    options=("-q", "-set drive.disk0.throttling.bps-total=33554432",
             "-q", "-set drive.disk1.throttling.bps-total=33554432"),
    alone=True,
    leading='''
		seqread /dev/vda 65536 3 | sed "s/^seqread: ok/alone/"
		launch
		await_log "say: idle" 60
		seqread /dev/vda 65536 3 | sed "s/^seqread: ok/beside/"
		await_log "say: done" 200
		await stopped 60
		seqread /dev/vda 65536 3 | sed "s/^seqread: ok/after/"
	''',
    coexisting='''
		say idle
		sleep 12
		seqread /dev/vda 65536 3 | sed "s/^seqread: ok/beside/"
		say done
		poweroff -f
	''')


# cores-gap

def gap(run, *names):
    """The longest gap in the measurements of these names, against the longest at rest."""
    longest = {}
    for words in map(str.split, run.leading):
        if words[:1] == ["rtgap"] and words[2:3] == ["max"]:
            longest[words[1]] = max(longest.get(words[1], 0), int(words[3]))
    # Without high-resolution timers rest would be the tick, and all fine.
    if not 0 < longest.get("rest", 0) < 1100000:
        raise NoResult("no usable figure at rest")
    if not all(name in longest for name in names):
        raise NoResult(f"not measured: {names}")
    found = max(longest[name] for name in names)
    return found / longest["rest"], f"{found} ticks, {longest['rest']} at rest"


# High-resolution timers begin some 1.5 s after the boot.
group(
    "cores-gap",
    Row("gap_launch", "1 kHz thread on CPU 0, launch on a CPU of its own: longest gap vs at rest",
        "<= 2", "<= 1.1", "ratio", gap, ("launch",)),
    Row("gap_launch_two", "the same, launch on two CPUs",
        "<= 2", "<= 1.1", "ratio", gap, ("launch_two",)),
    Row("gap_stop", "the same, --twinos-stop, one or two CPUs come back",
        "<= 2", "<= 1.1", "ratio", gap, ("stop", "stop_two")),
    Row("gap_kill", "the same, --twinos-kill of an OS on one CPU",
        "<= 2", "<= 1.1", "ratio", gap, ("kill",)),
    Row("gap_kill_two", "the same, --twinos-kill of an OS on two CPUs",
        "<= 2", "<= 1.1", "ratio", gap, ("kill_two",)),
    Row("gap_load", "the same, kexec -l", "-", "<= 1.1", "ratio", gap, ("load",)),
    options=("-I", "-c", "3", "-a", "preempt=full", *TURNS),
    alone=True,
    leading='''
		names="settle rest"
		for round in 1 2 3; do
			for end in stop kill; do
				names="$names load launch up $end pause load launch_two up ${end}_two pause"
			done
		done
		rtgap 0 $names >/tmp/gaps & gaps=$!
		mark() { kill -USR1 $gaps; usleep 50000; }
		sleep 3; mark
		sleep 5; mark
		for round in 1 2 3; do
			for end in stop kill; do
				for cpus in 2 1-2; do
					load_os 1 $cpus; mark
					kexec -e
					await running 60
					usleep 200000; mark
					sleep 1; mark
					kexec --twinos-$end; mark
					sleep 0.5; mark
				done
			done
		done
		kill $gaps
		wait $gaps
		cat /tmp/gaps
	''')


# cores-launch

# As in the group launch, with a CPU that is handed over. Instructions of all CPUs count as time,
# so the leading OS waits without starting a program meanwhile.
group(
    "cores-launch",
    Row("cores_launch", "own CPU: kexec -e to first user-space instruction vs ordinary kexec -e",
        "<= 0.06", "<= 0.03", "ratio", launch),
    options=("-I", "-c", "2", *TURNS),
    leading='''
		twinvm=$(grep -o "twinvm=[^ ]*" /proc/cmdline)
		sleep 3
		mkfifo /tmp/nobody
		APPEND="rdinit=/bin/tscmark -- /init" load_os 1 1
		tscmark | sed "s/^/launch-/"
		kexec -e
		read -t 2 nothing <>/tmp/nobody || :
		await stopped 60
		kexec -c -l /boot/bzImage --initrd=/boot/coexist.cpio.gz \\
			--append="console=ttyS0 $twinvm rdinit=/bin/tscmark -- /init"
		sleep 1
		tscmark | sed "s/^/reboot-/"
		kexec -e
	''',
    coexisting='''
		say up
		grep -q twinvm= /proc/cmdline || poweroff -f
	''')


# cores-quiet

# What an OS does to be busy: /tmp/busy serve|talk ADDRESS computes on every CPU, reads its disk,
# exchanges data over the network and changes pages that all its CPUs use.
# /tmp/counted NAME A B: what came between two copies of /proc/interrupts, row by row.
BUSY = r'''
cat >/tmp/busy <<"END"
exec </dev/null >/dev/null 2>&1
for cpu in $(seq $(nproc)); do spin 1000 1000 & done
while seqread /dev/vda 16384 1; do :; done &
while shootdown 1; do :; done &
if [ "$1" = serve ]; then
	netcheck serve "$2" 7
else
	netcheck talk "$2" 7 1000
fi
END
cat >/tmp/counted <<"END"
awk -v name="$1" "
	FNR == 1 { cpus = NF; file++; next }
	{
		sum = 0
		row = \$1
		for (i = 2; i <= NF; i++) {
			if (i <= cpus + 1)
				sum += \$i
			else
				row = row \" \" \$i
		}
		if (file == 1)
			before[\$1] = sum
		else
			print \"counted\", name, sum - before[\$1], row
	}" "$2" "$3"
END
'''


def quiet(run, name):
    """What an OS counted beside busy OSes in excess of what it counted beside idle ones, its own
    timer and its own devices left out. No result unless the others were busy."""
    rows = {"idle": {}, "loaded": {}}
    busy = 0
    for text in run.leading:
        counted = re.match(rf"counted {name}-(idle|loaded|busy) (-?\d+) (\S+)", text)
        if not counted:
            continue
        phase, number, row = counted[1], int(counted[2]), counted[3]
        if phase == "busy":
            busy += number if "virtio" in text else 0
        elif not re.search(" LOC: |virtio|ttyS", text):
            rows[phase][row] = number
    # A coexisting OS counts its timer as a platform interrupt, the vector of other OSes'
    # doorbells. Those are seen by QEMU: all that was sent to the third OS.
    if name == "coexisting":
        rows["loaded"].pop("PLT:", None)
    if len(rows["loaded"]) <= 5 or busy < 1000:
        raise NoResult(f"{len(rows['loaded'])} rows, {busy} device interrupts of a busy OS")
    excess = {row: number - rows["idle"].get(row, 0) for row, number in rows["loaded"].items()}
    if name == "coexisting":
        excess["doorbells"] = doorbells(run)
    excess = {row: number for row, number in excess.items() if number > 0}
    named = " ".join(f"{row} {number}" for row, number in excess.items())
    return sum(excess.values()), f"in excess: {named}; device interrupts of a busy OS: {busy}"


def doorbells(run):
    """Interrupts of vector 247 that were sent to CPU 3, the third OS."""
    traced = [dict(zip(words[1::2], words[2::2])) for words in
              map(str.split, run.console("qemu")) if words[:1] == ["apic_deliver_irq"]]
    if not traced:
        raise NoResult("QEMU has traced no interrupt")
    return sum(1 for one in traced if one["vector"] == "247" and (
        int(one["dest"]) & 8 if one["dest_mode"] != "0" else one["dest"] in ("3", "255")))


# A quiet OS has one CPU: so no IPI of its own can be counted. First the leading OS is the quiet
# one, then the third; the second has two CPUs, so that it sends IPIs, and so has the leading one
# when it is busy. Four seconds of guest time each.
group(
    "cores-quiet",
    Row("quiet_leading", "interrupts of the leading OS caused by two loaded OSes on own CPUs",
        "<= 0", "<= 0", "interrupts", quiet, ("leading",)),
    Row("quiet_coexisting",
        "interrupts of a coexisting OS caused by two loaded OSes, one the leading",
        "<= 0", "<= 0", "interrupts", quiet, ("coexisting",)),
    options=("-I", "-k", "2", "-c", "5", "-q", "-trace apic_deliver_irq"),
    leading=BUSY + '''
		during() { cat /proc/interrupts >/tmp/a; sleep 4; cat /proc/interrupts >/tmp/b; }
		echo 0 >/sys/devices/system/cpu/cpu4/online
		launch_os 1 1-2
		launch_os 2 3
		for os in 1 2; do
			await_os $os running 60
			await_log_os $os "say: ready" 60
		done
		sleep 2
		during; sh /tmp/counted leading-idle /tmp/a /tmp/b
		run_in 1 "cat /proc/interrupts >/tmp/a; sh /tmp/busy serve 10.0.0.2 &"
		run_in 2 "sh /tmp/busy talk 10.0.0.2 &"
		sleep 2
		during; sh /tmp/counted leading-loaded /tmp/a /tmp/b
		run_in 1 "cat /proc/interrupts >/tmp/b; sh /tmp/counted leading-busy /tmp/a /tmp/b"
		run_in 1 "killall sh spin seqread shootdown netcheck" || true
		run_in 2 "killall sh spin seqread shootdown netcheck" || true
		echo 1 >/sys/devices/system/cpu/cpu4/online
		sleep 2

		count="cat /proc/interrupts >/tmp/a; sleep 4; cat /proc/interrupts >/tmp/b"
		run_in 2 "($count) >/dev/null 2>&1 &"
		sleep 6
		run_in 2 "sh /tmp/counted coexisting-idle /tmp/a /tmp/b"
		cat /proc/interrupts >/tmp/begin
		setsid sh /tmp/busy serve 10.0.0.1 & serve=$!
		run_in 1 "sh /tmp/busy talk 10.0.0.1 &"
		sleep 2
		run_in 2 "($count) >/dev/null 2>&1 &"
		sleep 6
		cat /proc/interrupts >/tmp/end
		sh /tmp/counted coexisting-busy /tmp/begin /tmp/end
		run_in 2 "sh /tmp/counted coexisting-loaded /tmp/a /tmp/b"
		# Or the last read ends as an error, when the machine is switched off under it.
		kill -- -$serve
		sleep 1
	''',
    coexisting=BUSY + '''
		say ready
	''')


# cores-work

group(
    "cores-work",
    Row("cores_work", "own CPU: work of a computing process vs same kernel alone",
        ">= 0.99", ">= 1.00", "ratio", against_alone, ("coexisting", "beside")),
    Row("cores_work_leading", "work of the leading OS beside an OS on its own CPU vs alone",
        ">= 0.99", ">= 1.00", "ratio", against_alone, ("leading", "beside")),
    options=("-I", "-c", "2"),
    leading='''
		sleep 3
		taskset 2 spin 100 20 | sed "s/^spin: ok/alone/; /^spin: interval/d"
		launch --twinos-cpus=1
		await_log "say: idle" 60
		spin 100 20 | sed "s/^spin: ok/beside/; /^spin: interval/d"
		sleep 12
		await_log "say: done" 60
	''',
    coexisting='''
		say idle
		sleep 6
		spin 100 20 | sed "s/^spin: ok/beside/; /^spin: interval/d"
		say done
	''')


# cores-many


def many(run):
    answers = re.findall("^kernel [1-8] answers as coexisting", "\n".join(run.leading),
                         re.MULTILINE)
    return (len(set(answers)) + 1,
            "the leading OS and those that answered, one of them on the CPU of the leading OS")


# Each answers over the network when all of them have been launched. The eighth coexisting OS
# shares CPU 0.
group(
    "cores-many",
    Row("many", "kernels running at once, 8 CPUs, windows of 64 MiB",
        ">= 4", ">= 8", "kernels", many),
    options=("-k", "8", "-c", "8"),
    leading='''
		for os in 2 3 4 5 6 7 8; do
			launch_os $os $((os - 1)) || true
		done
		launch_os 1 shared --mem-max=0x40fffff || true
		sleep 10
		for os in 1 2 3 4 5 6 7 8; do
			await_os $os running 60 || true
		done
		for os in 1 2 3 4 5 6 7 8; do
			run_in $os "echo kernel $os answers as \\$(hostname), \\$(nproc) CPU" || true
		done
	''')


# cores-cycles


def cycles_done(run):
    return field(run.leading, "cycles: ok", "n"), f"of {run.cycles}"


def cycles_memory(run):
    ended, before, after = (field(run.leading, "cycles: ok", word)
                            for word in ("n", "before", "after"))
    return (before - after) / ended, f"free at first {before} KiB, at last {after} KiB"


group(
    "cores-cycles",
    Row("cycles", "launch + kill cycles in one leading OS, nothing leaked",
        ">= 200", ">= 2000", "cycles", cycles_done),
    Row("cycles_memory", "memory that a cycle costs", "<= 0.5", "<= 0.1", "KiB", cycles_memory),
    options=("-c", "2"),
    per_cycle=10,
    leading="dmesg -n 1; kill_cycles 20 $cycles",
    coexisting=":")


# net-idle


def idle_interrupts(run):
    """What the leading OS counted in a minute, its own timer left out: beside an OS on a CPU of its
    own all; beside one that shares CPU 0 what console and network add to that before their use."""
    rows = {"own": {}, "unused": {}, "shared": {}}
    for text in run.leading:
        counted = re.match(r"counted (own|unused|shared) (-?\d+) (\S+)", text)
        if counted and " LOC: " not in text:
            rows[counted[1]][counted[3]] = int(counted[2])
    rung = field(run.leading, "rung", "after") - field(run.leading, "rung", "before")
    if min(map(len, rows.values())) <= 5 or not any("all answer" in text for text in run.leading):
        raise NoResult(f"{len(rows['shared'])} rows")
    # After an NMI of the guard some IRQ work follows, if it came while the other OS had the CPU.
    more = {row: max(number - rows["unused"].get(row, 0), 0)
            for row, number in rows["shared"].items() if row != "IWI:"}
    named = "; ".join(" ".join([name, *(f"{row} {number}" for row, number in of.items() if number)])
                      for name, of in (*rows.items(), ("more", more)))
    return sum(rows["own"].values()) + sum(more.values()) + rung, f"doorbells {rung}; {named}"


group(
    "net-idle",
    Row("idle", "interrupts of an idle leading OS by console and network of idle ones, 60 s",
        "<= 0", "<= 0", "interrupts", idle_interrupts),
    options=("-I", "-k", "2", "-c", "2"),
    leading=BUSY + '''
		rung() {
			cat /sys/kernel/twinos/os[12]/stats |
				awk "/coexisting_doorbells/ { n += \\$2 } END { print n }"
		}
		minute() {
			sleep 60
			cat /proc/interrupts >/tmp/a
			sleep 60
			cat /proc/interrupts >/tmp/b
			sh /tmp/counted $1 /tmp/a /tmp/b
		}
		used() {
			await_os $1 running 60
			await_log_os $1 "say: ready" 60
			net_up $1
			await_carrier $1 1 10
			ping -c 2 10.87.$1.2 >/dev/null
			cat /dev/hvc$1 >/dev/null &
			echo typed >/dev/hvc$1
		}
		launch_os 2 1 --twinos-pci=
		used 2
		minute own
		launch_os 1 shared --twinos-pci=
		minute unused
		used 1
		sleep 60
		echo "rung before $(rung)" >/tmp/rung
		minute shared
		echo "$(cat /tmp/rung) after $(rung)"
		for os in 1 2; do ping -c 2 10.87.$os.2 >/dev/null; done
		echo "all answer"
	''',
    coexisting='''
		net_up
		say ready
		sleep 1000
	''')


# net-day


def day(run):
    return field(run.leading, "day: ok", "hours"), f"{field(run.leading, 'day: ok', 'n')} launches"


def day_memory(run):
    before, after = (field(run.leading, "day: ok", word) for word in ("before", "after"))
    return before - after, f"free at first {before} KiB, at last {after} KiB"


group(
    "net-day",
    Row("day", "hours of traffic, kills and relaunches at random", ">= 24", ">= 24", "h", day),
    Row("day_memory", "memory that they cost", "<= 64", "<= 0", "KiB", day_memory),
    options=("-I", "-c", "2"),
    limit=7200,
    leading='''
		dmesg -n 1
		random() { echo $(((RANDOM * 32768 + RANDOM) % $1)); }
		# What a stream that was cut off still wanted to send is kept for minutes.
		free_now() { sleep 1800; sync; echo 3 >/proc/sys/vm/drop_caches; free_memory; }
		cycle=0 before=
		load --twinos-pci= >/dev/null
		net_up 1
		until [ $(cut -d. -f1 /proc/uptime) -ge 86400 ]; do
			[ $cycle != 8 ] || before=$(free_now)
			load --twinos-pci= $([ $((cycle % 2)) = 0 ] || echo --twinos-cpus=1) >/dev/null
			kexec -e
			await running 60
			await_log "say: serving" 60
			await_carrier 1 1 10
			# What the last stream still wanted to send may have asked for its address too early.
			until ping -c 1 -W 1 10.87.1.2 >/dev/null 2>&1; do usleep 100000; done
			netrate stream 10.87.1.2 5001 2 >/dev/null
			sleep $(random 1500)
			ping -c 2 10.87.1.2 >/dev/null
			netrate stream 10.87.1.2 5001 1000 >/dev/null 2>&1 & stream=$!
			usleep $(random 400000)
			if [ $(random 3) = 0 ]; then kexec --twinos-stop; else kexec --twinos-kill; fi
			kill $stream 2>/dev/null || :
			wait $stream || :
			sleep $(random 60)
			cycle=$((cycle + 1))
		done
		echo "day: ok n $cycle hours $(($(cut -d. -f1 /proc/uptime) / 3600)) before $before after $(free_now)"
	''',
    coexisting=NET_SERVER)


# patch, check


def patch(_, of):
    stat = subprocess.run([machine.TESTS.parent / "kernel-patches" / "patch-stat"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    found = re.findall(r"^.* (\d+) lines changed in (\d+) files.*$", stat.stdout, re.MULTILINE)
    if not found:
        raise NoResult("patch-stat has counted nothing")
    return int(found[-1][of]), "{} lines changed in {} files".format(*found[-1])


def check_time(_):
    # Seconds, left by ./quickstart check at its end.
    try:
        seconds = int((machine.BUILD / "check-seconds").read_text())
    except (OSError, ValueError):
        raise NoResult(f"not measured: no {machine.BUILD}/check-seconds") from None
    return seconds / 60, f"{seconds} s"


group(
    "patch",
    Row("patch_lines", "changed lines in existing kernel files",
        "<= 50", "<= 30", "lines", patch, (0,)),
    Row("patch_files", "existing kernel files changed", "<= 15", "<= 15", "files", patch, (1,)))
group(
    "check",
    Row("check_time", "./quickstart check, everything built (host time)",
        "-", "<= 6", "minutes", check_time))
