// Prints the instructions that libbpf hands to the kernel for each program of an object, relocated against a BTF file:
//   relocate OBJECT BTF [load]
// One line a program: its name, then the instructions in hexadecimal. The answer that libs/btf is held against. With `load` the
// object is loaded into this kernel first, and unloaded at the end; what libbpf and the verifier say goes to standard error.
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_DEBUG ? 0 : vfprintf(stderr, format, args);
}

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .btf_custom_path = argc > 2 ? argv[2] : NULL);
	struct bpf_program *program;
	struct bpf_object *object;
	int error;

	if (argc < 3)
		return 2;
	if (argc > 3)
		libbpf_set_print(print);
	object = bpf_object__open_file(argv[1], &options);
	if (!object)
		return 1;
	error = argc > 3 ? bpf_object__load(object) : bpf_object__prepare(object);
	if (error) {
		fprintf(stderr, "%s: %d\n", argc > 3 ? "bpf_object__load" : "bpf_object__prepare", error);
		return 1;
	}
	bpf_object__for_each_program(program, object) {
		const unsigned char *bytes = (const unsigned char *)bpf_program__insns(program);
		size_t count = bpf_program__insn_cnt(program) * sizeof(struct bpf_insn);

		printf("%s ", bpf_program__name(program));
		for (size_t at = 0; at < count; at++)
			printf("%02x", bytes[at]);
		printf("\n");
	}
	bpf_object__close(object);
	return 0;
}
