import type { PublishRequest } from '@bpfleet/api';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError } from '../../exit-code.js';

type Arch = 'any' | 'x86_64' | 'arm64' | 'arm';

const sourceBytesMax = 512 * 1024;
const objectBytesMax = 9 * 1024 * 1024;

/**
 * A probe's folder as a publish request. Objects are sent only where there is no source: beside their sources they are
 * what a build left there, and the server compiles the sources itself.
 * @throws CliError PROBE_FOLDER
 */
export async function readProbeFolder(dir: string): Promise<PublishRequest> {
  const names = (await listFiles(dir)).sort();
  if (!names.includes('probe.yaml')) throw new CliError('PROBE_FOLDER', `${join(dir, 'probe.yaml')} is missing`);
  const manifest = (await readBounded(dir, 'probe.yaml', sourceBytesMax)).toString('utf8');
  const hasSources = names.some((name) => name.endsWith('.bpf.c'));
  const wanted = names.filter((name) => (hasSources ? /\.(bpf\.c|h)$/.test(name) : name.endsWith('.bpf.o')));
  if (wanted.length === 0) throw new CliError('PROBE_FOLDER', `${dir} holds no .bpf.c source and no .bpf.o object`);
  if (!hasSources) {
    const objects = wanted.map(async (name) => ({
      arch: archOf(name),
      base64: (await readBounded(dir, name, objectBytesMax)).toString('base64'),
    }));
    return { manifest, sources: [], objects: await Promise.all(objects) };
  }
  const sources = wanted.map(async (name) => ({
    name,
    text: (await readBounded(dir, name, sourceBytesMax)).toString('utf8'),
  }));
  return { manifest, sources: await Promise.all(sources), objects: [] };
}

async function listFiles(dir: string): Promise<string[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    return entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  } catch (cause) {
    throw new CliError('PROBE_FOLDER', `${dir} cannot be read: ${(cause as Error).message}`);
  }
}

async function readBounded(dir: string, name: string, bytesMax: number): Promise<Buffer> {
  const path = join(dir, name);
  const facts = await stat(path);
  // A pipe or a device has no size and may have no end.
  if (!facts.isFile()) throw new CliError('PROBE_FOLDER', `${path} is not a regular file`);
  const { size } = facts;
  if (size > bytesMax) throw new CliError('PROBE_FOLDER', `${path} has ${size} bytes; at most ${bytesMax} can be sent`);
  return readFile(path);
}

/** `trace.arm64.bpf.o` is for arm64; a name without an architecture is for all. */
function archOf(name: string): Arch {
  const part = name.split('.').at(-3);
  return part === 'x86_64' || part === 'arm64' || part === 'arm' ? part : 'any';
}
