#!/usr/bin/env node
// Builds the libbpf that the differential test of libs/btf compares with, out of Debian's source package: static libraries and
// headers. `bpf_object__prepare`, which gives the relocated instructions without loading them, came with 1.6, which is newer
// than the libbpf of the product.
//
//   node libs/btf/scripts/fetch-libbpf.mjs [--out FOLDER]
//
// Needs what node-libbpf's own build needs: apt-get, patch, bzip2 and a C compiler.
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { hostToolchain, staticLibraries } from '../../node-libbpf/native/static-libraries.mjs';

const LIBBPF = {
  name: 'libbpf',
  version: '1.7.0',
  suite: 'forky',
  file: 'libbpf_1.7.0.orig.tar.gz',
  sha256: '7ab5feffbf78557f626f2e3e3204788528394494715a30fc2070fcddc2051b7b',
};

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const { values } = parseArgs({ options: { out: { type: 'string' } } });
const out = values.out ?? join(root, '.cache', `libbpf-${LIBBPF.version}`);

// libz.a is the last to come.
if (!existsSync(join(out, 'libz.a'))) {
  const { include, archives } = await staticLibraries(hostToolchain(), LIBBPF);
  // Anew, not over files that another checkout may share by hard links.
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  cpSync(include, join(out, 'include'), { recursive: true });
  for (const archive of archives) cpSync(archive, join(out, basename(archive)));
}
