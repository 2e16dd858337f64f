// SPDX-License-Identifier: Apache-2.0
// The baseline: a walk over a pinned hash key by key. Each line on standard input is one walk; the answer is a line with
// entries and nanoseconds.
#include <bpf/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ENTRIES_MAX 100000

static uint64_t keys[ENTRIES_MAX];
static uint64_t values[ENTRIES_MAX];

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t walk(int map)
{
	uint64_t count = 0;
	const uint64_t *previous = NULL;
	while (count < ENTRIES_MAX && bpf_map_get_next_key(map, previous, &keys[count]) == 0) {
		previous = &keys[count];
		if (bpf_map_lookup_elem(map, previous, &values[count]) == 0)
			count++;
	}
	return count;
}

int main(int count, char **arguments)
{
	int map = count == 2 ? bpf_obj_get(arguments[1]) : -1;
	if (map < 0) {
		fprintf(stderr, "cannot open the map\n");
		return 1;
	}
	char line[16];
	while (fgets(line, sizeof(line), stdin) != NULL) {
		uint64_t begun = now_ns();
		uint64_t entries = walk(map);
		uint64_t ended = now_ns();
		printf("%llu %llu\n", (unsigned long long)entries, (unsigned long long)(ended - begun));
		fflush(stdout);
	}
	return 0;
}
