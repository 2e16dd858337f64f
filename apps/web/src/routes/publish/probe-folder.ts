import type { PublishRequest } from '@bpfleet/api';

/** A file as the browser gives it: name without its folder, and the bytes. */
export interface PickedFile {
  name: string;
  bytes: Uint8Array;
}

export interface ProbeFolder {
  request: PublishRequest | null;
  used: { name: string; role: 'manifest' | 'source' | 'header' | 'object'; bytes: number }[];
  ignored: string[];
  /** Sentences that say why this cannot be sent yet. */
  problems: string[];
}

type Arch = 'any' | 'x86_64' | 'arm64' | 'arm';

const fileName = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;
const sourceBytesMax = 512 * 1024;
const objectBytesMax = 9 * 1024 * 1024;
const sourcesMax = 16;
const objectsMax = 4;

/** Sorts a folder's files into a publish request; README, tests and the like are named as left out. */
export function readProbeFolder(files: readonly PickedFile[]): ProbeFolder {
  const folder: ProbeFolder = { request: null, used: [], ignored: [], problems: [] };
  const sources: { name: string; text: string }[] = [];
  const objects: { arch: Arch; base64: string }[] = [];
  let manifest: string | undefined;
  // Objects beside their sources are what a build left there; the server compiles the sources itself.
  const hasSources = files.some((file) => roleOf(file.name) === 'source');
  for (const file of [...files].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const role = roleOf(file.name);
    if (!role || (role === 'object' && hasSources)) {
      folder.ignored.push(file.name);
      continue;
    }
    folder.used.push({ name: file.name, role, bytes: file.bytes.length });
    if (role === 'manifest') manifest = text(file.bytes);
    else if (role === 'object') objects.push({ arch: archOf(file.name), base64: base64(file.bytes) });
    else sources.push({ name: file.name, text: text(file.bytes) });
    folder.problems.push(...sizeProblems(file, role));
  }
  if (manifest === undefined) folder.problems.push('probe.yaml is missing: it gives the probe its name and version.');
  const code = folder.used.some((file) => file.role === 'source') || objects.length > 0;
  if (!code) folder.problems.push('No .bpf.c source and no .bpf.o object is among these files.');
  if (sources.length > sourcesMax)
    folder.problems.push(`${sources.length} sources and headers: at most ${sourcesMax} can be sent.`);
  if (objects.length > objectsMax)
    folder.problems.push(`${objects.length} objects: at most ${objectsMax}, one for each architecture.`);
  if (folder.problems.length === 0 && manifest !== undefined) folder.request = { manifest, sources, objects };
  return folder;
}

function roleOf(name: string): ProbeFolder['used'][number]['role'] | undefined {
  if (name === 'probe.yaml' || name === 'probe.yml') return 'manifest';
  if (!fileName.test(name)) return undefined;
  if (name.endsWith('.bpf.c')) return 'source';
  if (name.endsWith('.h')) return 'header';
  return name.endsWith('.bpf.o') ? 'object' : undefined;
}

function sizeProblems(file: PickedFile, role: string): string[] {
  const max = role === 'object' ? objectBytesMax : sourceBytesMax;
  if (file.bytes.length === 0) return [`${file.name} is empty.`];
  return file.bytes.length > max ? [`${file.name} is larger than ${max / 1024} KiB.`] : [];
}

/** `trace.arm64.bpf.o` is for arm64; a name without an architecture is for all. */
function archOf(name: string): Arch {
  const part = name.split('.').at(-3);
  return part === 'x86_64' || part === 'arm64' || part === 'arm' ? part : 'any';
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function base64(bytes: Uint8Array): string {
  let binary = '';
  for (let i = 0; i < bytes.length; i += 8192) binary += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(binary);
}
