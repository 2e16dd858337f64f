/** A BPF object in C that asks the kernel everything that CO-RE can ask: what is made of it by chance must never do harm. */
export const ASKING_SOURCE = `
#define ASK(x, what) __builtin_preserve_field_info(x, what)
static long (*probe_read)(void *to, __u32 bytes, const void *from) = (void *)113;
volatile __u64 sink;
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct in { int a[4]; unsigned b : 3; };
struct s { long l; struct in in; struct s *next; union { int u; long v; }; int tail[]; };
enum e { ONE = 1, TWO };
#pragma clang attribute pop
SEC("raw_tp/x") int p(struct s *s) { long l; probe_read(&l, 8, __builtin_preserve_access_index(&s->l));
  sink = l + s->in.a[2] + s->next->v + s->tail[3] + ASK(s->in.b, 0) + ASK(s->in.b, 4) + ASK(s->u, 2); return 0; }
SEC("raw_tp/y") int q(void *x) { sink = __builtin_preserve_type_info(*(struct s *)0, 0) + __builtin_preserve_type_info(*(struct s *)0, 1)
  + __builtin_preserve_enum_value(*(enum e *)TWO, 1) + __builtin_btf_type_id(*(struct in *)0, 1); return 0; }`;
