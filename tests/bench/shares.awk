# SPDX-License-Identifier: GPL-2.0
# Lays the consoles of two OSes side by side, in which "spin" has told how much
# work was done in which interval of the TSC. Counts the intervals in which
# both worked, without the first and the last of them, and prints
#	intervals N leading WORK coexisting WORK share PERCENT
# where PERCENT is the coexisting OS's part of the work. Fewer than three such
# intervals are an error.
#
# usage: awk -f shares.awk leading.log coexist-1.log

FNR == 1 { file++ }
{ gsub(/\r/, "") }
/spin: interval [0-9]+ work [0-9]+$/ {
	sub(/.*spin: /, "")
	work[file, $2] = $4
	if (file == 1)
		seen[++count] = $2
}
END {
	for (i = 1; i <= count; i++) {
		interval = seen[i]
		if (work[1, interval] > 0 && work[2, interval] > 0) {
			if (!first)
				first = interval
			last = interval
		}
	}
	for (interval = first + 1; interval < last; interval++) {
		common++
		leading += work[1, interval]
		coexisting += work[2, interval]
	}
	if (common < 3) {
		print "shares: fewer than three intervals in which both worked" > "/dev/stderr"
		exit 1
	}
	printf "intervals %d leading %d coexisting %d share %.3f\n", common, leading, \
		coexisting, 100 * coexisting / (leading + coexisting)
}
