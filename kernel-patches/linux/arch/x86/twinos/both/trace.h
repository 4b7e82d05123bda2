/* SPDX-License-Identifier: GPL-2.0 */
/* Trace events, for "twinos timeline", trace-cmd, perf and Perfetto: who has a shared CPU and why. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM twinos

#if !defined(_TWINOS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TWINOS_TRACE_H

#include <linux/tracepoint.h>

/*
 * Nothing to do; its turn is over; the other OS has an interrupt, or a timer of it has expired, or
 * another CPU of it waits. By enum why in timeshare.c.
 */
#define show_why(why)		\
	__print_symbolic(why,	\
			 { 0, "idle" }, { 1, "turn" }, { 2, "interrupt" }, { 3, "event" }, \
			 { 4, "urgent" })

TRACE_EVENT(twinos_leave,
	TP_PROTO(u32 os, unsigned int why, bool over_task),
	TP_ARGS(os, why, over_task),
	TP_STRUCT__entry(
		__field(u32, os)
		__field(u8, why)
		__field(bool, over_task)
	),
	TP_fast_assign(
		__entry->os = os;
		__entry->why = why;
		__entry->over_task = over_task;
	),
	TP_printk("os=%u why=%s%s", __entry->os, show_why(__entry->why),
		  __entry->over_task ? " over=task" : "")
);

TRACE_EVENT(twinos_back,
	TP_PROTO(u32 os, unsigned int why, u64 away_ns),
	TP_ARGS(os, why, away_ns),
	TP_STRUCT__entry(
		__field(u64, away_ns)
		__field(u32, os)
		__field(u8, why)
	),
	TP_fast_assign(
		__entry->away_ns = away_ns;
		__entry->os = os;
		__entry->why = why;
	),
	TP_printk("os=%u why=%s away_ns=%llu", __entry->os,
		  show_why(__entry->why), __entry->away_ns)
);

TRACE_EVENT(twinos_ring,
	TP_PROTO(u32 os, bool leading),
	TP_ARGS(os, leading),
	TP_STRUCT__entry(
		__field(u32, os)
		__field(bool, leading)
	),
	TP_fast_assign(
		__entry->os = os;
		__entry->leading = leading;
	),
	TP_printk("os=%u from=%s", __entry->os, __entry->leading ? "leading" : "coexisting")
);

TRACE_EVENT(twinos_state,
	TP_PROTO(u32 os, const char *state),
	TP_ARGS(os, state),
	TP_STRUCT__entry(
		__field(u32, os)
		__string(state, state)
	),
	TP_fast_assign(
		__entry->os = os;
		__assign_str(state);
	),
	TP_printk("os=%u state=%s", __entry->os, __get_str(state))
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH ../../arch/x86/twinos/both
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
