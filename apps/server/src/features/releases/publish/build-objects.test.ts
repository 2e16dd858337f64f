import { describe, expect, it } from '@jest/globals';
import type { BodyOf } from '../../../http/route.js';
import { ObjectBuilder } from './build-objects.js';
import { withoutComments } from './c-comments.js';
import type { VerifyTools } from './verify-tools.js';

/** As much as a request may hold: what takes the square of this takes hours, and no test waits for it. */
const BASE64_CHARS_MAX = 12 * 1024 * 1024;

/** Compiles nothing: the jail itself is tested in verify/. */
function builder(): ObjectBuilder {
  const jail = { compile: async () => ({ object: Buffer.from('an object'), warnings: [] }) };
  return new ObjectBuilder({ compileJail: async () => jail } as unknown as VerifyTools);
}

const body = (given: Partial<BodyOf<'publish'>>): BodyOf<'publish'> => ({
  manifest: '',
  sources: [],
  objects: [],
  ...given,
});
const ready = (base64: string) => builder().build('probe', body({ objects: [{ arch: 'any', base64 }] }));
const archesOf = async (...texts: string[]) => {
  const sources = texts.map((text, index) => ({ name: index === 0 ? 'probe.bpf.c' : `h${index}.h`, text }));
  return (await builder().build('probe', body({ sources }))).objects.map(({ arch }) => arch);
};

describe('a ready object', () => {
  it('is base64, in lines or not', async () => {
    const bytes = Buffer.from('\x7fELF and the rest of it');
    const inLines = bytes.toString('base64').replace(/.{8}/g, '$&\r\n\t ');
    expect((await ready(bytes.toString('base64'))).objects).toEqual([{ arch: 'any', bytes }]);
    expect((await ready(` ${inLines}\n`)).objects).toEqual([{ arch: 'any', bytes }]);
  });

  it.each(['AA!A', 'AA=A', 'A===', 'AA\0A', 'ÄÄÄÄ'])('that is none is refused: %j', async (base64) => {
    await expect(ready(base64)).rejects.toMatchObject({ code: 'OBJECT_INVALID' });
  });

  it.each([
    ['spaces', ' '.repeat(BASE64_CHARS_MAX - 1)],
    ['letters and spaces', 'A '.repeat(BASE64_CHARS_MAX / 2 - 1)],
    ['pads', '='.repeat(BASE64_CHARS_MAX - 1)],
  ])('of %s alone is refused after one walk', async (_what, text) => {
    await expect(ready(`${text}!`)).rejects.toMatchObject({ code: 'OBJECT_INVALID' });
  });
});

describe('sources', () => {
  it('that name registers are compiled for each architecture', async () => {
    expect(await archesOf('int x;')).toEqual(['any']);
    expect((await archesOf('int x;', 'struct pt_regs *r;')).sort()).toEqual(['arm', 'arm64', 'x86_64']);
    expect((await archesOf('#if defined(__TARGET_ARCH_arm64)')).length).toBe(3);
  });

  it('may name them in comments', async () => {
    expect(await archesOf('int x; // PT_REGS_PARM1\n/* struct pt_regs\n * BPF_KPROBE */ int y;')).toEqual(['any']);
  });

  it('may have what looks like a comment in a text', async () => {
    expect((await archesOf('log("see http://x", PT_REGS_PARM1(c));')).length).toBe(3);
    expect((await archesOf(`char c = '"'; /* " */ f(PT_REGS_PARM1(c));`)).length).toBe(3);
    expect((await archesOf('log("/*", PT_REGS_PARM1(c)); /* */')).length).toBe(3);
    expect((await archesOf(String.raw`log("\"//", PT_REGS_PARM1(c));`)).length).toBe(3);
  });

  it('lose their comments in one walk, closed or not', () => {
    expect(withoutComments('a/* b */c//d\ne/*/f*/g')).toBe('a c \ne g');
    expect(withoutComments('a /* b')).toBe('a  ');
    expect(withoutComments('a // b')).toBe('a  ');
    // Lengths, since a report of what differs would take megabytes.
    expect(withoutComments('/* '.repeat(BASE64_CHARS_MAX / 3)).length).toBe(1);
    expect(withoutComments(`'"`.repeat(BASE64_CHARS_MAX / 2)).length).toBe(BASE64_CHARS_MAX);
    expect(withoutComments('"\n'.repeat(BASE64_CHARS_MAX / 2)).length).toBe(BASE64_CHARS_MAX);
  });
});
