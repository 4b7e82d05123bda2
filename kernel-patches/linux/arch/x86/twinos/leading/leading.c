// SPDX-License-Identifier: GPL-2.0
/* The leading OS begins: what it hooks into its own kernel. */
#include <linux/init.h>

#include "leading.h"

static const struct twinos_role leading = {
	.doorbell	= twinos_answer_doorbell,
	.stray_vector	= twinos_stray_vector,
};

static int __init leading_init(void)
{
	if (twinos_off || twinos_coexisting())
		return 0;
	twinos_lapic_init();
	twinos_set_role(&leading);
	twinos_ipi_init();
	twinos_end_init();
	twinos_cpus_init();
	return 0;
}
late_initcall(leading_init);
