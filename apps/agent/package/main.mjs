// `npm run package -- --arch x64|arm64|armv7 [--arch …] [--format deb,tar] [--compression gzip] [--out DIR]`: the agent with
// everything it needs on a device, for a server to hand out (apps/server/src/features/agent-packages). Built on any x86 host; the
// same sources give the same bytes.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { bootstrap, repositoryDir } from '../../../scripts/bootstrap.mjs';
import { buildAll } from '../../../scripts/build.mjs';
import { Refusal, runScript, say, seconds } from '../../../scripts/say.mjs';
import { tar } from './archive.mjs';
import { debianPackage } from './deb.mjs';
import { targets } from './targets.mjs';
import { deviceTree } from './tree.mjs';

/** npm's own for what has no time: 26 October 1985. */
const NO_TIME_SECONDS = 499_162_500;

/** @typedef {import('./targets.mjs').Target} Target */

/** One time for everything: what the person says (reproducible-builds.org), else the time of the sources. */
function sourceSeconds() {
  const said = process.env.SOURCE_DATE_EPOCH;
  if (said !== undefined) {
    if (!/^\d{1,10}$/.test(said)) throw new Refusal(`SOURCE_DATE_EPOCH is no number of seconds: ${said}`);
    return Number(said);
  }
  try {
    const options = { cwd: repositoryDir, encoding: /** @type {const} */ ('utf8'), stdio: 'pipe' };
    return Number(execFileSync('git', ['log', '-1', '--format=%ct'], /** @type {any} */ (options))) || NO_TIME_SECONDS;
  } catch {
    return NO_TIME_SECONDS;
  }
}

/** @typedef {{ file: string, arch: string, format: string, version: string, glibc: string, bytes: number, installedBytes: number, sha256: string }} PackageFacts */

/**
 * @param {{ out: string, file: string, bytes: Buffer, facts: Omit<PackageFacts, 'file' | 'bytes' | 'sha256'> }} made
 * @returns {PackageFacts}
 */
function save({ out, file, bytes, facts }) {
  // Whole or not at all: a server may be handing out the one before.
  writeFileSync(join(out, `.${file}`), bytes);
  renameSync(join(out, `.${file}`), join(out, file));
  return { file, ...facts, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/**
 * @param {Target} target
 * @param {{ formats: string[], compression: 'xz' | 'gzip', out: string }} options
 */
async function makePackages(target, { formats, compression, out }) {
  const started = Date.now();
  const { entries, glibc, version } = await deviceTree(target);
  const installedBytes = entries.reduce((sum, { content }) => sum + (content?.length ?? 0), 0);
  const time = sourceSeconds();
  return formats.map((format) => {
    const deb = format === 'deb';
    const file = deb
      ? `bpfleet-agent_${version}_${target.debian}.deb`
      : `bpfleet-agent-${version}-${target.arch}.tar.gz`;
    const bytes = deb
      ? debianPackage({ entries, target, version, glibc, seconds: time, compression })
      : gzipSync(tar(entries, time), { level: 6 });
    const made = save({ out, file, bytes, facts: { arch: target.arch, format, version, glibc, installedBytes } });
    const mib = (/** @type {number} */ count) => `${(count / 1048576).toFixed(1)} MiB`;
    say(`${file}: ${mib(made.bytes)}, ${mib(installedBytes)} installed, glibc ${glibc}, in ${seconds(started)}`);
    return made;
  });
}

/**
 * What lies in the folder, for the server; packages of other architectures stay.
 * @param {string} out
 * @param {PackageFacts[]} made
 */
function writeIndex(out, made) {
  const path = join(out, 'index.json');
  /** @type {PackageFacts[]} */
  const before = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : [];
  const kept = before.filter((one) => !made.some(({ arch, format }) => arch === one.arch && format === one.format));
  const packages = [...kept, ...made].sort((a, b) => (a.file < b.file ? -1 : 1));
  writeFileSync(`${path}.new`, `${JSON.stringify({ packages }, null, 2)}\n`);
  renameSync(`${path}.new`, path);
  return packages;
}

/** @param {readonly string[]} given */
function list(given) {
  return given.flatMap((value) => value.split(',')).filter((value) => value !== '');
}

await runScript(async () => {
  const { values } = parseArgs({
    options: {
      arch: { type: 'string', multiple: true, default: ['x64'] },
      format: { type: 'string', multiple: true, default: ['deb,tar'] },
      compression: { type: 'string', default: 'xz' },
      out: { type: 'string', default: join(repositoryDir, 'packages') },
    },
  });
  const archs = list(values.arch);
  const formats = list(values.format);
  const unknown = archs.find((arch) => !Object.hasOwn(targets, arch));
  if (unknown)
    throw new Refusal(`there is no architecture "${unknown}": choose from ${Object.keys(targets).join(', ')}`);
  const strange = formats.find((format) => format !== 'deb' && format !== 'tar');
  if (strange) throw new Refusal(`there is no format "${strange}": choose from deb, tar`);
  const { compression, out } = values;
  if (compression !== 'xz' && compression !== 'gzip')
    throw new Refusal(`there is no compression "${compression}": choose from xz, gzip (an archive has always gzip)`);
  bootstrap();
  await buildAll();
  mkdirSync(out, { recursive: true });
  const made = [];
  for (const arch of archs) {
    made.push(...(await makePackages(targets[arch], { formats, compression, out })));
  }
  writeIndex(out, made);
  process.stdout.write(`${JSON.stringify({ out, packages: made })}\n`);
});
