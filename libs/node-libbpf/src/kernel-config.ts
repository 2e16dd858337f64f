import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { gunzipSync } from 'node:zlib';

// A distribution's is 300 KB.
const configBytesMax = 4 << 20;
const compressedBytesMax = 1 << 20;

/** The options that a kernel was built with, and where that was read. */
export interface KernelConfig {
  /** Undefined where this kernel does not tell, or not to us: then nothing is known, which is not the same as off. */
  path: string | undefined;
  /** Without its CONFIG_ prefix: `y`, `m`, a number, or a text without its quotes. What is not set is not in here. */
  options: ReadonlyMap<string, string>;
}

export type ConfigAnswer = 'yes' | 'module' | 'no' | 'unknown';

function readPlaces(kernelRelease: string): string[] {
  return ['/proc/config.gz', `/boot/config-${kernelRelease}`, `/lib/modules/${kernelRelease}/config`];
}

/** Throws for what is larger than a kernel's configuration can be. */
function inflate(bytes: Buffer): Buffer {
  const isGzip = bytes.length > 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
  if (!isGzip) return bytes.subarray(0, configBytesMax);
  if (bytes.length > compressedBytesMax) throw new RangeError('too large for a kernel configuration');
  return gunzipSync(bytes, { maxOutputLength: configBytesMax });
}

/** Reads the text of a .config: only the lines that set something. */
export function parseKernelConfig(text: string): Map<string, string> {
  const options = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^CONFIG_([A-Za-z0-9_]{1,128})=(.{1,4096})$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) options.set(name, value.replace(/^"(.*)"$/, '$1'));
  }
  return options;
}

/**
 * The configuration of the running kernel, from /proc/config.gz (CONFIG_IKCONFIG_PROC) or where distributions put it. Never
 * throws: a place that is missing, unreadable, or not a configuration is passed over.
 */
export function readKernelConfig(places: readonly string[] = readPlaces(release())): KernelConfig {
  for (const path of places) {
    try {
      const options = parseKernelConfig(inflate(readFileSync(path)).toString('latin1'));
      if (options.size > 0) return { path, options };
    } catch {
      continue;
    }
  }
  return { path: undefined, options: new Map() };
}

/** Whether an option (without CONFIG_) is set. */
export function hasConfig(config: KernelConfig, name: string): ConfigAnswer {
  if (config.path === undefined) return 'unknown';
  const value = config.options.get(name);
  if (value === 'm') return 'module';
  return value === undefined || value === 'n' ? 'no' : 'yes';
}
