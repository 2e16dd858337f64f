// Prints the types of a BTF file as C, as `bpftool btf dump format c` does, by the libbpf that it is linked with:
//   dump BTF [BASE]
// BASE is what a split BTF was made with.
#include <bpf/btf.h>
#include <stdarg.h>
#include <stdio.h>

static void print(void *context, const char *format, va_list args)
{
	(void)context;
	vprintf(format, args);
}

int main(int argc, char **argv)
{
	struct btf *base = argc > 2 ? btf__parse(argv[2], NULL) : NULL;
	struct btf *btf = argc > 1 ? btf__parse_split(argv[1], base) : NULL;
	struct btf_dump *dump;

	if (!btf || (argc > 2 && !base))
		return 1;
	dump = btf_dump__new(btf, print, NULL, NULL);
	if (!dump)
		return 1;
	for (__u32 id = base ? btf__type_cnt(base) : 1; id < btf__type_cnt(btf); id++)
		if (btf_dump__dump_type(dump, id))
			return 1;
	btf_dump__free(dump);
	return 0;
}
