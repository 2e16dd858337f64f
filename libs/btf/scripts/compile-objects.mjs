#!/usr/bin/env node
// Makes the objects of test/objects: the object with every kind of relocation, by compilers that the machines of today may not
// have. Only clang 15 and later can ask whether a type matches, and each version finds other code for the same questions.
//
//   node libs/btf/scripts/compile-objects.mjs [--out FOLDER]
//
// Needs apt-get, dpkg and llvm-strip. apt gets its own state folder, so that the host's is not touched.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { aptFor } from '../../node-libbpf/native/debian-apt.mjs';

const SUITE = 'bookworm';
const COMPILERS = [
  { version: 16, target: 'bpfel' },
  { version: 19, target: 'bpfel' },
  { version: 19, target: 'bpfeb' },
];

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({ options: { out: { type: 'string' } } });
const out = values.out ?? join(here, '../test/objects');
const source = ['preamble.h', 'every-relocation.bpf.c']
  .map((file) => readFileSync(join(here, '../test', file), 'utf8'))
  .join('');
mkdirSync(out, { recursive: true });

const work = mkdtempSync(join(tmpdir(), 'bpfleet-objects-'));
try {
  const apt = aptFor({ folder: work, suite: SUITE });
  apt('update');
  const installed = new Map();
  for (const { version, target } of COMPILERS) {
    if (!installed.has(version)) installed.set(version, install(apt, version));
    const name = `every-relocation.clang${version}.${target}`;
    const bytes = compile(installed.get(version), version, target);
    writeFileSync(join(out, `${name}.o`), bytes);
    const record = {
      packages: installed.get(version).packages,
      target,
      bytes: bytes.length,
      sha256: sha256(bytes),
      sourceSha256: sha256(source),
    };
    writeFileSync(join(out, `${name}.json`), `${JSON.stringify(record, null, 2)}\n`);
    console.log(`${name}: ${bytes.length} bytes`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

function install(apt, version) {
  const names = [`clang-${version}`, `libclang-cpp${version}`, `libllvm${version}`, `libclang-common-${version}-dev`];
  const root = join(work, `clang-${version}`);
  apt('download', ...names);
  const files = readdirSync(work).filter((file) => names.some((name) => file.startsWith(`${name}_`)));
  for (const file of files) execFileSync('dpkg', ['-x', file, root], { cwd: work });
  const packages = files.map((file) => decodeURIComponent(file.replace(/_[^_]*\.deb$/, '')).replace('_', ' '));
  return { root, packages };
}

function compile({ root }, version, target) {
  writeFileSync(join(work, 'every-relocation.bpf.c'), source);
  const llvm = join(root, `usr/lib/llvm-${version}`);
  const libraries = [
    join(llvm, 'lib'),
    ...readdirSync(join(root, 'usr/lib')).map((name) => join(root, 'usr/lib', name)),
  ];
  const options = ['-target', target, '-O2', '-g', '-Wno-everything', '-c', 'every-relocation.bpf.c', '-o', 'out.o'];
  execFileSync(join(llvm, 'bin/clang'), options, {
    cwd: work,
    env: { ...process.env, LD_LIBRARY_PATH: libraries.join(':') },
    stdio: 'inherit',
  });
  // DWARF is of no use to a loader.
  execFileSync('llvm-strip', ['-g', 'out.o'], { cwd: work, stdio: 'inherit' });
  return readFileSync(join(work, 'out.o'));
}
