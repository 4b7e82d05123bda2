// SPDX-License-Identifier: GPL-2.0
/* The leading OS begins: what it hooks into its own kernel. */
#include <linux/cc_platform.h>
#include <linux/miscdevice.h>
#include <linux/pci.h>

#include "leading.h"

static const struct twinos_role leading = {
	.doorbell	= twinos_answer_doorbell,
	.stray_vector	= twinos_stray_vector,
};

static int __init leading_init(void)
{
	int err;

	twinos_name_windows();
	if (cpu_feature_enabled(X86_FEATURE_XENPV) || cc_platform_has(CC_ATTR_MEM_ENCRYPT)) {
		pr_info("off: this kernel is Xen's guest (PV), or its memory is encrypted\n");
		twinos_off = true;
	}
	if (twinos_off)
		return 0;
	err = twinos_sysfs_init();
	if (err || twinos_coexisting())
		return err;
	scoped_guard(mutex, &twinos_mutex)
		if (!twinos_find_or_create(TWINOS_ID_DEFAULT))
			return -ENOMEM;
	twinos_lapic_init();
	twinos_set_role(&leading);
	twinos_ipi_init();
	twinos_end_init();
	twinos_cpus_init();
	return pci_register_driver(&twinos_pci_driver) ?: misc_register(&twinos_control_device);
}
late_initcall(leading_init);
