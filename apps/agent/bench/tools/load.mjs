// node load.cjs OBJECT < BTF: loads an object, against the BTF on standard input if there is any, and prints by how many KiB
// this process was larger while it did.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openObject } from '@bpfleet/node-libbpf';
import { memoryOf, resetPeak } from './process-memory.mjs';

const object = readFileSync(process.argv[2]);
const btf = readFileSync(0);
const folder = mkdtempSync(join(tmpdir(), 'bpfleet-btf-'));
const btfCustomPath = join(folder, 'btf');
writeFileSync(btfCustomPath, btf);
resetPeak(process.pid);
const before = memoryOf(process.pid).rssKib;
openObject(object, { name: 'bench', ...(btf.length > 0 ? { btfCustomPath } : {}) })
  .load()
  .close();
process.stdout.write(String(memoryOf(process.pid).peakKib - before));
rmSync(folder, { recursive: true });
