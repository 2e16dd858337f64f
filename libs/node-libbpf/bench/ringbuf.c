// SPDX-License-Identifier: Apache-2.0
// The baseline: libbpf's own consumer of a pinned ring, which copies every record into a buffer. Each line on standard
// input is one pass over what the ring holds; the answer is a line with records and nanoseconds.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BUFFER_BYTES (256 * 1024)

static uint8_t buffer[BUFFER_BYTES];
static size_t filled;
static uint64_t records;

static int copy_record(void *context, void *data, size_t bytes)
{
	(void)context;
	if (filled + sizeof(uint32_t) + bytes > BUFFER_BYTES)
		filled = 0;
	uint32_t length = (uint32_t)bytes;
	memcpy(buffer + filled, &length, sizeof(length));
	memcpy(buffer + filled + sizeof(length), data, bytes);
	filled += (sizeof(length) + bytes + 7) & ~(size_t)7;
	records++;
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int main(int count, char **arguments)
{
	int map = count == 2 ? bpf_obj_get(arguments[1]) : -1;
	struct ring_buffer *ring = map < 0 ? NULL : ring_buffer__new(map, copy_record, NULL, NULL);
	if (ring == NULL) {
		fprintf(stderr, "cannot open the ring\n");
		return 1;
	}
	char line[16];
	while (fgets(line, sizeof(line), stdin) != NULL) {
		records = 0;
		uint64_t begun = now_ns();
		if (ring_buffer__consume(ring) < 0)
			return 1;
		uint64_t ended = now_ns();
		printf("%llu %llu\n", (unsigned long long)records, (unsigned long long)(ended - begun));
		fflush(stdout);
	}
	ring_buffer__free(ring);
	return 0;
}
