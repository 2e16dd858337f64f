import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { MAP_TYPE_NAMES } from '../object/map-types.js';
import { readObject } from '../object/object.js';
import { compileBpf } from '../../test/compile-bpf.js';
import type { Btf } from './btf.js';
import { parseBtf } from './parse.js';

const VMLINUX = '/sys/kernel/btf/vmlinux';

function typesOf(source: string): Btf {
  return readObject(compileBpf(source)).btf;
}

describe('Btf', () => {
  it('knows sizes through typedefs, qualifiers, arrays and pointers', () => {
    const btf = typesOf(
      `
typedef const volatile __u32 word_t; typedef word_t grid_t[3][5];
enum wide { WIDE = 0x100000000ull };
struct s { grid_t grid; void *p; enum wide w; double d; _Bool b; }; KEEP(s_t);`.replace(
        'KEEP(s_t)',
        'typedef struct s s_t; KEEP(s_t)',
      ),
    );
    const s = btf.findByName('struct', 's');
    expect(s).toBeDefined();
    expect(btf.sizeOf(s?.id as number)).toBe(96);
    expect(s?.members.map((m) => btf.sizeOf(m.typeId))).toEqual([60, 8, 8, 8, 1]);
    expect(btf.resolve(s?.members[0]?.typeId as number)).toMatchObject({ kind: 'array', count: 3 });
    expect(btf.idsByName('struct', 'nothing')).toEqual([]);
  });

  it('prints C', () => {
    const btf = typesOf(`
enum color { RED, GREEN = 5, BLUE = -1 };
struct node { struct node *next; const char *name; int (*compare)(const void *a, __u32 b, ...); __u32 (*table)[4];
  union { __u64 whole; struct { __u32 low, high; }; }; __u32 flags : 3, rest : 29; enum color color; char text[16]; __u8 tail[]; };
typedef struct node node_t; KEEP(node_t);`);
    const node = btf.findByName('struct', 'node');
    expect(btf.printC(node?.id as number)).toBe(`struct node {
	struct node *next;
	const char *name;
	int (*compare)(const void *, __u32, ...);
	__u32 (*table)[4];
	union {
		__u64 whole;
		struct {
			__u32 low;
			__u32 high;
		};
	};
	__u32 flags: 3;
	__u32 rest: 29;
	enum color color;
	char text[16];
	__u8 tail[];
};
`);
    expect(btf.printC(btf.findByName('enum', 'color')?.id as number)).toContain('GREEN = 5,');
  });

  it('reads split BTF: ids and strings go on where the base ends', () => {
    const base = typesOf('struct base_struct { __u32 a; }; typedef struct base_struct base_t; KEEP(base_t);');
    const split = parseBtf(splitBlob(base), base);
    expect(split.firstId).toBe(base.typeCount);
    const typedef = split.findByName('typedef', 'mod_t');
    expect(typedef?.id).toBe(base.typeCount);
    expect(split.resolve(typedef?.id as number)).toMatchObject({ kind: 'struct', name: 'base_struct' });
    expect(split.findByName('struct', 'base_struct')?.id).toBe(base.findByName('struct', 'base_struct')?.id);
  });
});

describeWithKernel('Btf of this kernel', ['btf', 'bpftool'], () => {
  it('is read, and agrees with bpftool on every struct size', () => {
    const btf = parseBtf(new Uint8Array(readFileSync(VMLINUX)));
    const dump = execFileSync('bpftool', ['btf', 'dump', 'file', VMLINUX], { encoding: 'utf8', maxBuffer: 1 << 28 });
    let compared = 0;
    for (const [, id, kind, name, size] of dump.matchAll(
      /^\[(\d+)\] (STRUCT|UNION|ENUM|ENUM64|INT|FLOAT) '(.*?)' .*?size=(\d+)/gm,
    )) {
      const type = btf.typeById(Number(id));
      const seen = [type.kind.toUpperCase(), type.name || '(anon)', btf.sizeOf(type.id)];
      if (seen.join() !== [kind, name, Number(size)].join()) expect(seen).toEqual([kind, name, Number(size)]);
      compared += 1;
    }
    expect(compared).toBeGreaterThan(1000);
    expect(btf.typeCount - 1).toBe(Number([...dump.matchAll(/^\[(\d+)\]/gm)].at(-1)?.[1]));
    const task = btf.findByName('struct', 'task_struct');
    expect(dump).toContain(`[${task?.id}] STRUCT 'task_struct' size=${btf.sizeOf(task?.id as number)} `);
  });

  it('has the map types that are known', () => {
    const btf = parseBtf(new Uint8Array(readFileSync(VMLINUX)));
    const values = btf.findByName('enum', 'bpf_map_type')?.values.filter(({ name }) => !name.startsWith('__')) ?? [];
    const expected = values.map(({ name, value }) => [
      name.replace('BPF_MAP_TYPE_', '').replace('_DEPRECATED', '').toLowerCase(),
      value,
    ]);
    const known = MAP_TYPE_NAMES.map((name, index) => [name, BigInt(index)]);
    expect(known).toEqual(expect.arrayContaining(expected.slice(0, known.length)));
  });
});

/** A typedef `mod_t` of the base's struct, as a module's BTF would hold it. */
function splitBlob(base: Btf): Uint8Array {
  const name = new TextEncoder().encode('mod_t\0');
  const bytes = new Uint8Array(24 + 12 + name.length);
  const view = new DataView(bytes.buffer);
  const target = base.findByName('struct', 'base_struct')?.id as number;
  const baseStrings = stringBytes(base);
  [0xeb9f | (1 << 16), 24, 0, 12, 12, name.length, baseStrings, 8 << 24, target].forEach((word, i) =>
    view.setUint32(i * 4, word, true),
  );
  bytes.set(name, 36);
  return bytes;
}

/** The base's string section ends where reading begins to fail. */
function stringBytes(btf: Btf): number {
  let low = 1;
  for (let at = 1; at < 100_000; at += 1) {
    try {
      btf.stringAt(at);
      low = at + 1;
    } catch {
      return low;
    }
  }
  return low;
}
