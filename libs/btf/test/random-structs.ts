import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const INTEGERS = ['__u8', '__s8', '__u16', '__s16', '__u32', '__s32', '__u64', '__s64'] as const;
const DEPTH_MAX = 3;
export const ENUM_NAMES: Readonly<Record<string, string>> = { '-3': 'BELOW', '0': 'ZERO', '1': 'ONE', '200': 'MANY' };

/** What C says of one place in a struct: an expression, and how its value is meant. */
export interface Leaf {
  /** `a.b[2].c`, as C and our objects have it. */
  readonly path: string;
  readonly kind: 'integer' | 'boolean' | 'enum' | 'float' | 'text' | 'bytes';
  /** Bits of an integer. */
  readonly bits: number;
}

export interface RandomStruct {
  readonly name: string;
  readonly source: string;
  readonly leaves: readonly Leaf[];
}

/** Makes structs of everything that an event may hold, and of everything that compilers do to it. */
export class StructMaker {
  #names = 0;

  constructor(readonly random: () => number) {}

  make(name: string): RandomStruct {
    const leaves: Leaf[] = [];
    const body = this.#members(leaves, '', 0, 3 + this.#below(8));
    const packed = this.random() < 0.25 ? ' __attribute__((packed))' : '';
    return { name, source: `struct ${name} {\n${body}}${packed};\n`, leaves };
  }

  #members(leaves: Leaf[], prefix: string, depth: number, count: number): string {
    return Array.from({ length: count }, () => `\t${this.#member(leaves, prefix, depth)}\n`).join('');
  }

  #member(leaves: Leaf[], prefix: string, depth: number): string {
    const name = `m${(this.#names += 1)}`;
    const path = `${prefix}${name}`;
    const add = (kind: Leaf['kind'], bits: number, place = path): number => leaves.push({ path: place, kind, bits });
    const type = this.#pick(INTEGERS);
    const bits = Number(/\d+/.exec(type)?.[0]);
    switch (this.#below(depth < DEPTH_MAX ? 14 : 9)) {
      case 0:
      case 1:
        add('integer', bits);
        return `${type} ${name};`;
      case 2:
      case 3: {
        const width = 1 + this.#below(bits);
        add('integer', width);
        return `${type} ${name} : ${width};`;
      }
      case 4:
        add('boolean', 8);
        return `_Bool ${name};`;
      case 5:
        add('enum', 32);
        return `enum choice ${name};`;
      case 6:
        add('float', 64);
        return `double ${name};`;
      case 7:
        add('text', 0);
        return `char ${name}[${1 + this.#below(9)}];`;
      case 8:
        add('bytes', 0);
        return `__u8 ${name}[${1 + this.#below(9)}];`;
      case 9: {
        const count = 1 + this.#below(11);
        if (bits === 8) {
          add('bytes', 0);
          return `__u8 ${name}[${count}];`;
        }
        for (let index = 0; index < count; index += 1) add('integer', bits, `${path}[${index}]`);
        return `${type} ${name}[${count}];`;
      }
      case 10:
        return `struct {\n${this.#members(leaves, `${path}.`, depth + 1, 1 + this.#below(4))}\t} ${name};`;
      case 11:
        return `${this.#pick(['struct', 'union'])} {\n${this.#members(leaves, prefix, depth + 1, 1 + this.#below(4))}\t};`;
      case 12:
        return `union {\n${this.#members(leaves, `${path}.`, depth + 1, 1 + this.#below(3))}\t} ${name};`;
      default: {
        const inner: Leaf[] = [];
        const body = this.#members(inner, '', depth + 1, 1 + this.#below(3));
        const count = 1 + this.#below(3);
        for (let index = 0; index < count; index += 1) {
          for (const leaf of inner) leaves.push({ ...leaf, path: `${path}[${index}].${leaf.path}` });
        }
        return `struct {\n${body}\t} ${name}[${count}];`;
      }
    }
  }

  #below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#below(choices.length)] as T;
  }
}

export const ENUM_SOURCE = `enum choice { ${Object.entries(ENUM_NAMES)
  .map(([value, name]) => `${name} = ${value}`)
  .join(', ')} };\n`;

/** A program of this machine's compiler that reads records and prints each leaf: how C itself decodes them. */
export class COracle {
  readonly #folder = mkdtempSync(join(tmpdir(), 'bpfleet-oracle-'));

  constructor(structs: readonly RandomStruct[]) {
    const readers = structs.map(({ name, leaves }, index) => {
      const prints = leaves.map((leaf) => `\t${printOf(leaf)}\n`).join('');
      return `case ${index}: { struct ${name} *s = (void *)record;\n\tif (bytes < sizeof(*s)) return 3;\n${prints}\tbreak; }\n`;
    });
    const source = `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
${readFileSync(join(here, 'preamble.h'), 'utf8')}${ENUM_SOURCE}${structs.map(({ source: text }) => text).join('')}
static unsigned char record[65536] __attribute__((aligned(16)));
int main(int argc, char **argv) {
	size_t bytes = fread(record, 1, sizeof(record), stdin);
	switch (atoi(argv[1])) {
${readers.join('')}	}
	return 0;
}
`;
    writeFileSync(join(this.#folder, 'oracle.c'), source);
    execFileSync('clang', ['-O1', '-w', '-o', 'oracle', 'oracle.c'], { cwd: this.#folder, stdio: 'pipe' });
  }

  /** Integers, enums and booleans as decimal numbers, floats as the bits that they are. */
  read(struct: number, record: Uint8Array): string[] {
    const output = execFileSync(join(this.#folder, 'oracle'), [String(struct)], { input: record, encoding: 'utf8' });
    return output.split('\n').slice(0, -1);
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function printOf({ path, kind }: Leaf): string {
  const place = `s->${path}`;
  switch (kind) {
    case 'integer':
      return `if ((typeof(${place} + 0ll))-1 < 0 && ${place} < 0) printf("%lld\\n", (long long)${place}); else printf("%llu\\n", (unsigned long long)${place});`;
    case 'enum':
      return `printf("%d\\n", (int)${place});`;
    case 'boolean':
      return `printf("%d\\n", *(unsigned char *)&${place} != 0);`;
    case 'float':
      return `{ unsigned long long w; memcpy(&w, &${place}, 8); printf("%llu\\n", w); }`;
    default:
      return `for (size_t i = 0; i < sizeof(${place}); i++) printf("%02x", (unsigned char)${place}[i]); printf("\\n");`;
  }
}
