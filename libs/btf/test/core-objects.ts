import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RELOCATION_KINDS } from '../src/core/relocation.js';
import { parseElf } from '../src/elf/elf.js';
import { readObject } from '../src/object/object.js';
import { compileBpf } from './compile-bpf.js';

const here = dirname(fileURLToPath(import.meta.url));
const SOURCE = join(here, 'every-relocation.bpf.c');

/** The object that has every kind of relocation. */
export function everyRelocation(): Uint8Array {
  const bytes = compileBpf(readFileSync(SOURCE, 'utf8'));
  return askStrictly(bytes, 'raw_tp/matches');
}

const OBJECTS = join(here, 'objects');
/** What other compilers made of the same source, by name; scripts/compile-objects.mjs keeps them. */
export const KEPT_OBJECTS: readonly string[] = readdirSync(OBJECTS)
  .filter((file) => file.endsWith('.o'))
  .map((file) => file.slice(0, -'.o'.length));

export function keptObject(name: string): Uint8Array {
  return new Uint8Array(readFileSync(join(OBJECTS, `${name}.o`)));
}

/** The SHA-256 of the source that a kept object was made of, and of that source as it is now. */
export function keptSources(name: string): { readonly then: string; readonly now: string } {
  const record = JSON.parse(readFileSync(join(OBJECTS, `${name}.json`), 'utf8')) as { sourceSha256: string };
  const hash = createHash('sha256');
  for (const file of ['preamble.h', 'every-relocation.bpf.c']) hash.update(readFileSync(join(here, file), 'utf8'));
  return { then: record.sourceSha256, now: hash.digest('hex') };
}

/** Turns `type_exists` of one section into `type_matches`, which clang asks by itself from version 15 on. */
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
