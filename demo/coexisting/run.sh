#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What the coexisting OS of the demonstration shows: its own memory, disk and
# network card, and once a second that it runs.
echo "hello from the $(cat /sys/kernel/twinos/role) OS, Linux $(uname -r)"
echo "memory: $(awk '/^MemTotal/ { print $2 " " $3 }' /proc/meminfo)"
echo "disk: $(cat /sys/class/block/vda/size) sectors; PCI: $(cd /sys/bus/pci/devices && echo *)"
(
	while :; do
		echo "uptime $(cut -d ' ' -f 1 /proc/uptime)"
		sleep 1
	done
) &
