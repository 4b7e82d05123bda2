// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/twinos/control, the leading OS's door to commands for coexisting OSes and to news
 * of their states. include/twinos/control.h tells how to use it.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/poll.h>
#include <linux/security.h>
#include <linux/uaccess.h>
#include <twinos/control.h>

#include "leading.h"

/* A file's private_data is what its owner has seen of twinos_changes. */
static int control_open(struct inode *inode, struct file *file)
{
	file->private_data = (void *)atomic_long_read(&twinos_changes);
	return stream_open(inode, file);
}

static ssize_t control_read(struct file *file, char __user *buf, size_t size, loff_t *pos)
{
	unsigned long now = atomic_long_read(&twinos_changes);

	if (size < sizeof(now))
		return -EINVAL;
	if (put_user(now, (u64 __user *)buf))
		return -EFAULT;
	file->private_data = (void *)now;
	return sizeof(now);
}

static __poll_t control_poll(struct file *file, poll_table *wait)
{
	poll_wait(file, &twinos_watchers, wait);
	/* From now on consoles are news, too; and what has been printed before is. */
	WRITE_ONCE(twinos_common->doorbell, 1);
	twinos_answer_doorbell();
	if (file->private_data == (void *)atomic_long_read(&twinos_changes))
		return 0;
	return EPOLLIN | EPOLLPRI;
}

static long control_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	struct twinos_control c;
	struct twinos_os *os;
	int err;

	if (command < TWINOS_STOP || command > TWINOS_UNLOAD)	/* in a row */
		return -ENOTTY;
	if (!capable(CAP_SYS_BOOT))
		return -EPERM;
	err = security_locked_down(LOCKDOWN_KEXEC);
	if (err)
		return err;
	if (copy_from_user(&c, (void __user *)arg, sizeof(c)))
		return -EFAULT;
	if (c.reserved || (c.cpu && command != TWINOS_MOVE))
		return -EINVAL;
	CLASS(mutex_intr, locked)(&twinos_mutex);
	if (!locked)
		return -EINTR;
	os = twinos_find(c.id);
	if (command == TWINOS_UNLOAD)
		return twinos_unload(os);
	if (!os || !os->running || twinos_get_state(os) > TWINOS_RUNNING)
		return -ESRCH;
	if (command == TWINOS_MOVE)
		return twinos_move(os, c.cpu);
	if (command == TWINOS_KILL) {
		twinos_kill(os, "killed");
	} else {
		os->give_back = true;
		twinos_request(os, TWINOS_REQUEST_STOP);
	}
	return 0;
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.open = control_open,
	.read = control_read,
	.poll = control_poll,
	.unlocked_ioctl = control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/* Registered at boot. */
struct miscdevice twinos_control_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "twinos",
	.nodename = "twinos/control",
	.mode = 0600,
	.fops = &control_fops,
};
