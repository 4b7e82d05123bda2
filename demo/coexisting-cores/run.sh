#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What a coexisting OS of the demonstration with several shows: its own CPUs,
# memory and devices, and every two seconds that it runs. Meanwhile it computes
# and reads its disk, so that it could disturb the others if it did.
echo "hello from $(hostname) on $(nproc) CPU(s), Linux $(uname -r)"
echo "memory: $(awk '/^MemTotal/ { print $2 " " $3 }' /proc/meminfo)"
echo "disk: $(cat /sys/class/block/vda/size) sectors; PCI: $(cd /sys/bus/pci/devices && echo *)"
(
	while :; do
		echo "uptime $(cut -d ' ' -f 1 /proc/uptime)"
		sleep 2
	done
) &
(
	while :; do
		dd if=/dev/vda of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null
		spin 10 2 >/dev/null
		usleep 50000
	done
) &
