import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CompileJail } from '../compile/compile-jail.js';
import { ensureVmlinuxHeader } from '../compile/vmlinux-header.js';

const probes = fileURLToPath(new URL('../../../../../libs/probes', import.meta.url));

export const PREAMBLE = `#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "bpfleet.bpf.h"
`;

let jail: Promise<CompileJail> | undefined;

async function makeJail(): Promise<CompileJail> {
  const headers = await ensureVmlinuxHeader(path.join(tmpdir(), 'bpfleet-test-headers'));
  return new CompileJail({ includeDirs: [path.join(probes, 'include'), headers] });
}

/** Compiles C with the usual headers in front of it; line 1 of `body` is line 5 of `test.bpf.c`. */
export async function compileForTest(body: string): Promise<Buffer> {
  jail ??= makeJail();
  const file = { name: 'test.bpf.c', bytes: Buffer.from(PREAMBLE + body) };
  return (await (await jail).compile({ files: [file] }, 'test.bpf.c', 'x86_64')).object;
}

export async function compileBuiltIn(name: string): Promise<Buffer> {
  jail ??= makeJail();
  const entry = `${name}.bpf.c`;
  const bytes = readFileSync(path.join(probes, name, entry));
  return (await (await jail).compile({ files: [{ name: entry, bytes }] }, entry, 'x86_64')).object;
}

export function builtInManifest(name: string): string {
  return readFileSync(path.join(probes, name, 'probe.yaml'), 'utf8');
}

export const BUILT_IN_PROBES = [
  'count_packets',
  'count_syscalls',
  'profile_cpu',
  'run_queue_latency',
  'trace_exec',
  'trace_tcp',
] as const;
