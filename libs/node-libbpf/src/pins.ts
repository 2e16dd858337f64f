import type { Dirent } from 'node:fs';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NativeKind } from './native.js';
import { native } from './native.js';

/** A pin in a bpffs. */
export interface PinnedObject {
  path: string;
  kind: NativeKind;
  id: number;
}

export interface Pins {
  pins: PinnedObject[];
  /** A bound was met before the end. */
  truncated: boolean;
}

export interface PinOptions {
  /** Files and folders that are looked at; 65,536 unless told. */
  entriesMax?: number;
}

// The kernel writes space, tab, newline and backslash of a mount point as \ooo.
function unescape(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Where a bpffs is mounted, as this process sees it. */
export function bpffsMounts(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): string[] {
  const points = mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    return after.startsWith('bpf ') ? [unescape(before.split(' ')[4] ?? '')] : [];
  });
  return [...new Set(points)];
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    // Removed meanwhile, or not ours to read.
    return [];
  }
}

/**
 * Every pin in every bpffs that this process sees, opened for a moment to ask what it is (≥ 4.13). Pins that may not be opened are left out, and so is what vanishes meanwhile.
 */
export function listPins(options: PinOptions = {}): Pins {
  const { entriesMax = 65_536 } = options;
  const pins: PinnedObject[] = [];
  const folders = bpffsMounts();
  let seen = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of entriesOf(folder)) {
      if (++seen > entriesMax) return { pins, truncated: true };
      const path = join(folder, entry.name);
      if (entry.isDirectory()) folders.push(path);
      if (!entry.isFile()) continue;
      const found = native.describePin(path);
      if (typeof found !== 'number' && found.kind !== '' && found.id !== undefined) {
        pins.push({ path, kind: found.kind, id: found.id });
      }
    }
  }
  return { pins, truncated: false };
}
