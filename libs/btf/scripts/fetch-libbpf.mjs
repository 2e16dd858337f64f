#!/usr/bin/env node
// Builds the libbpf that the differential test of libs/btf compares with, out of Debian's source package: a static library and
// its headers. `bpf_object__prepare`, which gives the relocated instructions without loading them, came with 1.6.
//
//   node libs/btf/scripts/fetch-libbpf.mjs [--out FOLDER]
//
// Needs apt-get, make, a C compiler, and the headers of libelf and zlib. apt gets its own state folder.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { debianMirror } from './debian-mirror.mjs';

const VERSION = '1.7.0';
const SHA256 = '7ab5feffbf78557f626f2e3e3204788528394494715a30fc2070fcddc2051b7b';
const SUITE = 'forky';
const MIRROR = debianMirror();

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const { values } = parseArgs({ options: { out: { type: 'string' } } });
const out = values.out ?? join(root, '.cache', `libbpf-${VERSION}`);

if (!existsSync(join(out, 'libbpf.a'))) {
  const work = mkdtempSync(join(tmpdir(), 'bpfleet-libbpf-'));
  try {
    build(download(work), work);
    console.log(`built libbpf ${VERSION}: ${out}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function download(work) {
  for (const folder of ['lists/partial', 'cache/archives/partial', 'sources'])
    mkdirSync(join(work, folder), { recursive: true });
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(
    join(work, 'sources/debian.sources'),
    `Types: deb-src\nURIs: ${MIRROR}\nSuites: ${SUITE}\nComponents: main\nSigned-By: ${keyring}\n`,
  );
  const options = {
    'Dir::Etc::SourceList': '/dev/null',
    'Dir::Etc::SourceParts': join(work, 'sources'),
    'Dir::State::Lists': join(work, 'lists'),
    'Dir::State::status': '/dev/null',
    'Dir::Cache': join(work, 'cache'),
    'APT::Sandbox::User': 'root',
  };
  const flags = Object.entries(options).map(([key, value]) => `-o${key}=${value}`);
  for (const command of [['update'], ['source', '--download-only', 'libbpf']]) {
    execFileSync('apt-get', [...flags, '-q', ...command], { cwd: work, stdio: ['ignore', 'ignore', 'inherit'] });
  }
  const archive = readdirSync(work).find((file) => file.endsWith('.orig.tar.gz'));
  const digest = createHash('sha256')
    .update(readFileSync(join(work, archive)))
    .digest('hex');
  if (digest !== SHA256)
    throw new Error(`${archive} has the digest ${digest}, not ${SHA256}: another version than ${VERSION}`);
  return archive;
}

function build(archive, work) {
  execFileSync('tar', ['-xzf', archive], { cwd: work });
  const source = join(
    work,
    readdirSync(work).find((file) => file.startsWith('libbpf-')),
    'src',
  );
  mkdirSync(out, { recursive: true });
  const settings = [
    'BUILD_STATIC_ONLY=1',
    `OBJDIR=${join(work, 'build')}`,
    `DESTDIR=${out}`,
    'PREFIX=/',
    'LIBDIR=/',
    'INCLUDEDIR=/include',
  ];
  execFileSync('make', ['-s', '-j2', ...settings, 'install', 'install_uapi_headers'], {
    cwd: source,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
