import { expect, it } from '@jest/globals';
import type { Btf } from '@bpfleet/btf';
import { parseBtf } from '@bpfleet/btf';
import { describeWithKernel } from '@bpfleet/testkit';
import { readFileSync } from 'node:fs';
import { decodeLinkInfo, linkInfoLayout } from './link-info.js';
import { linkTypes } from './index.js';

interface Found {
  offsetBits: number;
  bytes: number;
}

/** Where `a.b.c` is in a struct, through the unnamed members on the way. */
function find(btf: Btf, typeId: number, path: readonly string[], offsetBits = 0): Found | undefined {
  const [name, ...rest] = path;
  if (name === undefined) return { offsetBits, bytes: btf.sizeOf(typeId) };
  const type = btf.resolve(typeId);
  if (type?.kind !== 'struct' && type?.kind !== 'union') return undefined;
  for (const member of type.members) {
    const at = offsetBits + member.offsetBits;
    const found =
      member.name === ''
        ? find(btf, member.typeId, path, at)
        : member.name === name && find(btf, member.typeId, rest, at);
    if (found) return found;
  }
  return undefined;
}

describeWithKernel('link info', ['btf'], () => {
  it('has its fields where this kernel has them', () => {
    const btf = parseBtf(readFileSync('/sys/kernel/btf/vmlinux'));
    const info = btf.findByName('struct', 'bpf_link_info');
    const wrong = Object.entries(linkInfoLayout).filter(([field, [offset, bytes]]) => {
      const found = find(btf, info?.id ?? 0, field.split('.'));
      // A kernel that is older than a link type has no such field.
      return found !== undefined && (found.offsetBits !== 8 * offset || found.bytes !== bytes);
    });
    expect(wrong).toEqual([]);
    expect(find(btf, info?.id ?? 0, ['xdp', 'ifindex'])).toEqual({ offsetBits: 128, bytes: 4 });
  });

  it('decodes every link type of this kernel, and keeps the number of one that it does not know', () => {
    const btf = parseBtf(readFileSync('/sys/kernel/btf/vmlinux'));
    const known = btf.findByName('enum', 'bpf_link_type')?.values ?? [];
    const names = known.map(({ name }) => name.replace('BPF_LINK_TYPE_', '').toLowerCase());
    const unknown = names.filter((name) => !/unspec|^__max/.test(name) && !Object.hasOwn(linkTypes, name));
    expect(unknown).toEqual([]);
    const raw = Buffer.alloc(80);
    raw.writeUInt32LE(99, 0);
    expect(decodeLinkInfo({ id: 1, type: 'type_99', programId: 2, raw })).toEqual({
      id: 1,
      programId: 2,
      type: 'type_99',
    });
  });
});

it('leaves out what a shorter struct of an older kernel does not tell', () => {
  const facts = { id: 1, programId: 2, raw: Buffer.alloc(16) };
  expect(decodeLinkInfo({ ...facts, type: 'xdp' })).toEqual({ id: 1, programId: 2, type: 'xdp', ifindex: undefined });
  expect(decodeLinkInfo({ ...facts, type: 'perf_event' })).toMatchObject({ target: undefined });
  expect(decodeLinkInfo({ ...facts, type: 'kprobe_multi' })).toMatchObject({
    functionCount: undefined,
    missed: undefined,
  });
});

it('decodes what this machine has no kernel for', () => {
  const raw = Buffer.alloc(80);
  const facts = { id: 1, programId: 2, raw };
  raw.writeUInt32LE(4, 16);
  raw.writeUInt32LE(12, 36);
  raw.writeBigUInt64LE(0xffff_8000_1234_5678n, 40);
  raw.writeBigUInt64LE(3n, 48);
  expect(decodeLinkInfo({ ...facts, type: 'perf_event', text: 'do_nanosleep' })).toMatchObject({
    target: { event: 'kretprobe', function: 'do_nanosleep', offset: 12, address: 0xffff_8000_1234_5678n, missed: 3n },
  });
  raw.fill(0);
  raw.writeUInt32LE(7, 24);
  raw.writeUInt32LE(1, 28);
  raw.writeBigUInt64LE(5n, 32);
  expect(decodeLinkInfo({ ...facts, type: 'kprobe_multi' })).toMatchObject({
    functionCount: 7,
    onReturn: true,
    missed: 5n,
  });
  raw.fill(0);
  raw.writeUInt32LE(10, 16);
  raw.writeUInt32LE(9, 20);
  raw.writeInt32LE(-7, 24);
  raw.writeUInt32LE(1, 28);
  expect(decodeLinkInfo({ ...facts, type: 'netfilter' })).toMatchObject({
    family: 'ipv6',
    hook: 'hook_9',
    priority: -7,
    defragment: true,
  });
});
