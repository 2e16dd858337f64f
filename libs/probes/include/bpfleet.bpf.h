/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * What every bpfleet probe shares. Include it after "vmlinux.h", <bpf/bpf_helpers.h> and <bpf/bpf_core_read.h>.
 *
 * Rules that hold for every probe, because one object runs on many kernels:
 *   - compile with -mcpu=v2: v3's 32-bit jumps need 5.1, and atomics whose result is used need 5.12;
 *   - prefer raw_tp: it works on 32-bit kernels without BTF, needs no tracefs, and its links can be pinned since 5.8
 *     (a tracepoint's only since 5.15);
 *   - count in per-CPU maps with a plain addition: the JIT of 32-bit ARM refuses atomic additions (-524);
 *   - read `long`s and pointers of the kernel with bpfleet_read(), never with BPF_CORE_READ().
 */
#ifndef BPFLEET_BPF_H
#define BPFLEET_BPF_H

/* The largest event: the compiler clears at most this much without calling memset(), which BPF does not have. */
#define BPFLEET_EVENT_BYTES_MAX 1024

/*
 * BPFLEET_EVENT(exec_event); keeps `struct exec_event` in the object's BTF, where a struct that is used only inside a
 * program would be missing. The pointer lives in a section that no loader turns into a map, so nothing reaches the
 * kernel; the name carries the event's, so that a reader of the ELF can list them.
 */
#define BPFLEET_EVENT(name)                                                                                            \
	_Static_assert(sizeof(struct name) <= BPFLEET_EVENT_BYTES_MAX, "event " #name " is larger than 1024 bytes");   \
	_Static_assert(sizeof(struct name) % 8 == 0, "event " #name " must end on 8 bytes: pad it by name");           \
	const struct name *const bpfleet_event_##name __attribute__((section(".bpfleet.events"), used)) = 0

/*
 * BPFLEET_RING(events, 256 * 1024); declares the ring buffer `events` (kernel 5.8) and beside it the per-CPU array
 * `bpfleet_drops`, whose u64 at index 0 is the number of reservations that failed because the ring was full. A ring
 * buffer counts no drops of its own: an object without that map reports its drops as unknown. The size must be a power
 * of two and a multiple of the page size, which is 64 KiB on some ARM64 kernels.
 */
#define BPFLEET_RING(name, bytes)                                                                                      \
	_Static_assert((bytes) % 65536 == 0 && ((bytes) & ((bytes)-1)) == 0, #name ": a power of two, >= 64 KiB");     \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_RINGBUF);                                                                    \
		__uint(max_entries, bytes);                                                                            \
	} name SEC(".maps");                                                                                           \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                                               \
		__uint(max_entries, 1);                                                                                \
		__type(key, __u32);                                                                                    \
		__type(value, __u64);                                                                                  \
	} bpfleet_drops SEC(".maps")

/* Adds to the u64 at `index` of a per-CPU array. */
static __always_inline void bpfleet_add(void *array, __u32 index, __u64 amount)
{
	__u64 *slot = bpf_map_lookup_elem(array, &index);

	if (slot)
		*slot += amount;
}

/*
 * struct exec_event *e = bpfleet_reserve(events, struct exec_event);
 * Room for one event in the ring, all bytes zero (a ring's memory still holds older records), or NULL and a drop
 * counted. What was reserved must be given to bpfleet_submit() or bpfleet_discard() on every path.
 */
#define bpfleet_reserve(ring, type)                                                                                    \
	({                                                                                                             \
		type *bpfleet_room = bpf_ringbuf_reserve(&(ring), sizeof(type), 0);                                    \
		if (bpfleet_room)                                                                                      \
			__builtin_memset(bpfleet_room, 0, sizeof(type));                                               \
		else                                                                                                   \
			bpfleet_add(&bpfleet_drops, 0, 1);                                                             \
		bpfleet_room;                                                                                          \
	})

/* The agent drains on a timer: waking it for each record costs more than the record. */
#define bpfleet_submit(event) bpf_ringbuf_submit((event), BPF_RB_NO_WAKEUP)
#define bpfleet_discard(event) bpf_ringbuf_discard((event), BPF_RB_NO_WAKEUP)

/*
 * __u64 start = bpfleet_read(mm, arg_start);
 * One field of a kernel struct, read with the width it has on *this* kernel. BPF_CORE_READ() takes its width from the
 * build machine: it reads 8 bytes of a `long` that is 4 on a 32-bit kernel, loads, and returns garbage.
 */
#define bpfleet_read(source, field) BPF_CORE_READ_BITFIELD_PROBED((source), field)

/* The same for a pointer, which clang does not take as a bit-field. */
#define bpfleet_read_pointer(source, field)                                                                            \
	({                                                                                                             \
		__u64 bpfleet_value = 0;                                                                               \
		bpf_probe_read_kernel(&bpfleet_value, bpf_core_field_size((source)->field),                            \
				      __builtin_preserve_access_index(&(source)->field));                              \
		(void *)(unsigned long)bpfleet_value;                                                                  \
	})

/* floor(log2(value)), and 0 for 0: slot i of an `exp2` histogram holds the values of [2^i, 2^(i+1)). */
static __always_inline __u32 bpfleet_log2(__u64 value)
{
	__u32 log = 0;

	if (value >> 32) {
		value >>= 32;
		log += 32;
	}
	if (value >> 16) {
		value >>= 16;
		log += 16;
	}
	if (value >> 8) {
		value >>= 8;
		log += 8;
	}
	if (value >> 4) {
		value >>= 4;
		log += 4;
	}
	if (value >> 2) {
		value >>= 2;
		log += 2;
	}
	if (value >> 1)
		log += 1;
	return log;
}

#endif
