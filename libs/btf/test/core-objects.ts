import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RELOCATION_KINDS } from '../src/core/relocation.js';
import { parseElf } from '../src/elf/elf.js';
import { readObject } from '../src/object/object.js';
import { compileBpf } from './compile-bpf.js';

const SOURCE = join(dirname(fileURLToPath(import.meta.url)), 'every-relocation.bpf.c');

/** The object that has every kind of relocation. */
export function everyRelocation(): Uint8Array {
  const bytes = compileBpf(readFileSync(SOURCE, 'utf8'));
  return askStrictly(bytes, 'raw_tp/matches');
}

/** Turns `type_exists` of one section into `type_matches`, which clang asks only from version 15 on. */
function askStrictly(bytes: Uint8Array, section: string): Uint8Array {
  const patched = bytes.slice();
  const object = readObject(patched);
  const ext = parseElf(patched).section('.BTF.ext')?.data;
  if (ext === undefined) throw new Error('the object has no .BTF.ext');
  const view = new DataView(ext.buffer, ext.byteOffset, ext.byteLength);
  const exists = RELOCATION_KINDS.indexOf('type_exists');
  const start = view.getUint32(4, true) + view.getUint32(24, true);
  const end = start + view.getUint32(28, true);
  for (let at = start + 4; at < end;) {
    const name = object.btf.stringAt(view.getUint32(at, true));
    const count = view.getUint32(at + 4, true);
    at += 8;
    for (let index = 0; index < count; index += 1, at += 16) {
      if (name !== section || view.getUint32(at + 12, true) !== exists) continue;
      view.setUint32(at + 12, RELOCATION_KINDS.indexOf('type_matches'), true);
    }
  }
  return patched;
}
