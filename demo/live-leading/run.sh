#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What the leading console of the live demonstrations says before its prompt.
if [ ! -e /twinvm/os2 ]; then
	cat <<'END'

This is the leading OS. To launch a second Linux beside it:

  kexec --twinos --mem-min=0x100000 -l /boot/bzImage --initrd=/boot/coexist.cpio.gz --append="console=ttyS1"
  kexec --twinos -e

Then: twinos status, twinos log, ping 10.0.0.2; poweroff -f there ends it alone.
END
	exit
fi
cat <<'END'

This is the leading OS, with a CPU and a window for each of several others. Load and
launch coexisting OS 2 on CPUs 2 and 3, with the share that the machine has for it:

  . /etc/session
  launch_os 2 2-3

which is kexec --twinos --twinos-id=2 --twinos-cpus=2-3 ... and kexec --twinos-id=2 -e;
/twinvm/os2 holds the share. 1 and 3 are the other two. Then:

  twinos status
  ping 10.0.0.3
  kexec --twinos-id=2 --twinos-stop      or --twinos-kill
END
