#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Lays the consoles of two OSes side by side, in which "spin" has told how much work was done
in which interval of the TSC. Counts the intervals in which both worked, without the first and
the last of them, and prints
	intervals N leading WORK coexisting WORK share PERCENT
where PERCENT is the coexisting OS's part of the work. Fewer than three such intervals are an
error.

usage: shares.py leading.log coexist-1.log"""

import pathlib
import re
import sys


def work(console):
    """What spin has told on a console: {interval: work}."""
    return {int(interval): int(done) for interval, done in
            re.findall(r"spin: interval (\d+) work (\d+)\r?$", console, re.MULTILINE)}


def shares(leading, coexisting):
    """Intervals in which both worked, and the work of either OS in them; from their consoles."""
    both = [work(leading), work(coexisting)]
    common = sorted(interval for interval in both[0]
                    if both[0][interval] > 0 and both[1].get(interval, 0) > 0)
    within = range(common[0] + 1, common[-1]) if common else range(0)
    return (len(within), *(sum(done.get(interval, 0) for interval in within) for done in both))


if __name__ == "__main__":
    counted, *done = shares(*(pathlib.Path(path).read_text(errors="replace")
                              for path in sys.argv[1:3]))
    if counted < 3:
        sys.exit("shares: fewer than three intervals in which both worked")
    print("intervals %d leading %d coexisting %d share %.3f"
          % (counted, *done, 100 * done[1] / sum(done)))
