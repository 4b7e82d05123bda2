#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What the leading console of the live demonstration says before its prompt.
cat <<'END'

This is the leading OS. To launch a second Linux beside it:

  kexec --twinos --mem-min=0x100000 -l /boot/bzImage --initrd=/boot/coexist.cpio.gz --append="console=ttyS1"
  kexec -e

Then: twinos status, twinos log, ping 10.0.0.2; poweroff -f there ends it alone.
END
