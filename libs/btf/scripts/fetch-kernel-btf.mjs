#!/usr/bin/env node
// Makes the foreign kernel BTFs of test/kernels out of Debian's own packages: for arm64 the kernel image holds its BTF; the
// armhf kernels are built without one, so pahole encodes it from the debug package's DWARF (619 MB to fetch).
//
//   node libs/btf/scripts/fetch-kernel-btf.mjs [--out FOLDER] [--only NAME]
//
// Needs apt-get, dpkg, pahole, xz and zstd. apt gets its own state folder, so that the host's is not touched.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { brotliCompressSync, constants, gunzipSync } from 'node:zlib';
import { aptFor } from '../../node-libbpf/native/debian-apt.mjs';

const KERNELS = [
  { name: 'arm64-5.10', suite: 'bullseye', architecture: 'arm64', metapackage: 'linux-image-arm64' },
  { name: 'arm64-6.1', suite: 'bookworm', architecture: 'arm64', metapackage: 'linux-image-arm64' },
  { name: 'arm64-6.12', suite: 'trixie', architecture: 'arm64', metapackage: 'linux-image-arm64' },
  { name: 'armhf-6.1', suite: 'bookworm', architecture: 'armhf', metapackage: 'linux-image-armmp-dbg' },
];
const OUTPUT_BYTES_MAX = 512 * 1024 * 1024;

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({ options: { out: { type: 'string' }, only: { type: 'string' } } });
const out = values.out ?? join(here, '../test/kernels');
mkdirSync(out, { recursive: true });

for (const kernel of KERNELS) {
  if (values.only !== undefined && values.only !== kernel.name) continue;
  const work = mkdtempSync(join(tmpdir(), 'bpfleet-kernel-'));
  try {
    const { btf, source } = makeBtf(kernel, work);
    const packed = brotliCompressSync(btf, {
      params: { [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: btf.length },
    });
    writeFileSync(join(out, `${kernel.name}.btf.br`), packed);
    writeFileSync(
      join(out, `${kernel.name}.json`),
      `${JSON.stringify({ ...source, btfBytes: btf.length, btfSha256: sha256(btf) }, null, 2)}\n`,
    );
    console.log(`${kernel.name}: ${source.package} ${source.version}: ${btf.length} bytes, ${packed.length} packed`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function makeBtf(kernel, work) {
  const apt = aptFor({ folder: work, suite: kernel.suite, architecture: kernel.architecture });
  apt('update');
  const name = dependencyOf(apt('show', kernel.metapackage));
  apt('download', name);
  const file = readdirSync(work).find((entry) => entry.endsWith('.deb'));
  const path = join(work, file);
  const version = execFileSync('dpkg-deb', ['-f', path, 'Version'], { encoding: 'utf8' }).trim();
  const source = {
    package: name,
    version,
    architecture: kernel.architecture,
    packageSha256: sha256(readFileSync(path)),
  };
  const debug = name.endsWith('-dbg');
  const wanted = debug ? './usr/lib/debug/boot/vmlinux-*' : './boot/vmlinuz-*';
  // Reads through a pipe: the debug package unpacks to several GB, of which one file is wanted.
  const pipe = 'dpkg-deb --fsys-tarfile "$0" | tar -x -C "$1" --wildcards --no-anchored "$2"';
  execFileSync('sh', ['-c', pipe, path, work, wanted], { stdio: 'inherit' });
  const folder = join(work, debug ? 'usr/lib/debug/boot' : 'boot');
  const image = join(folder, readdirSync(folder)[0]);
  return { source, btf: debug ? encodeFromDwarf(image, work) : extractFromImage(readFileSync(image)) };
}

/** The real package behind a metapackage. */
function dependencyOf(shown) {
  const found = /^Depends: (linux-image-\S+)/m.exec(shown);
  if (found === null) throw new Error(`no dependency on a kernel in:\n${shown}`);
  return found[1];
}

function encodeFromDwarf(vmlinux, work) {
  const target = join(work, 'kernel.btf');
  execFileSync('pahole', [`--btf_encode_detached=${target}`, '--btf_gen_floats', vmlinux], { stdio: 'inherit' });
  return readFileSync(target);
}

/** A kernel image is raw memory, possibly packed: the BTF is the one place where a sound BTF header is. */
function extractFromImage(image) {
  for (const unpacked of unpackings(image)) {
    const btf = findBtf(unpacked);
    if (btf !== undefined) return btf;
  }
  throw new Error('no BTF in the kernel image');
}

function* unpackings(image) {
  yield image;
  for (let at = image.indexOf('1f8b08', 0, 'hex'); at >= 0; at = image.indexOf('1f8b08', at + 1, 'hex')) {
    try {
      yield gunzipSync(image.subarray(at), { maxOutputLength: OUTPUT_BYTES_MAX });
    } catch {
      // Trailing bytes behind the stream, or three bytes that only looked like gzip: zcat takes the former.
      const { stdout } = spawnSync('zcat', { input: image.subarray(at), maxBuffer: OUTPUT_BYTES_MAX });
      if (stdout.length > 1 << 20) yield stdout;
    }
  }
  const tools = [
    ['28b52ffd', 'zstd'],
    ['fd377a585a00', 'xz'],
  ];
  for (const [magic, tool] of tools) {
    const at = image.indexOf(magic, 0, 'hex');
    if (at < 0) continue;
    const { stdout } = spawnSync(tool, ['-dcq'], { input: image.subarray(at), maxBuffer: OUTPUT_BYTES_MAX });
    if (stdout.length > 1 << 20) yield stdout;
  }
}

function findBtf(bytes) {
  for (let at = bytes.indexOf('9feb0100', 0, 'hex'); at >= 0; at = bytes.indexOf('9feb0100', at + 1, 'hex')) {
    if (at + 24 > bytes.length || bytes.readUInt32LE(at + 4) !== 24) continue;
    const [typeStart, typeBytes, stringStart, stringBytes] = [8, 12, 16, 20].map((offset) =>
      bytes.readUInt32LE(at + offset),
    );
    const end = at + 24 + stringStart + stringBytes;
    if (typeStart === 0 && stringStart === typeBytes && typeBytes > 1 << 20 && end <= bytes.length) {
      return bytes.subarray(at, end);
    }
  }
  return undefined;
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
