// Reading this kernel's whole BTF, every type decoded, against bpftool writing the same as text: both as processes of their own,
// in turns, the median of the rounds.
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const KERNEL = '/sys/kernel/btf/vmlinux';
const ROUNDS = 7;

const CHILD = `
import { readFileSync } from 'node:fs';
import { parseBtf } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
const before = process.memoryUsage.rss();
const start = process.hrtime.bigint();
const btf = parseBtf(new Uint8Array(readFileSync('${KERNEL}')));
const parsed = process.hrtime.bigint();
let members = 0;
for (const type of btf.types()) if (type.kind === 'struct') members += type.members.length;
const decoded = process.hrtime.bigint();
btf.findByName('struct', 'task_struct');
const found = process.hrtime.bigint();
const ms = (from, to) => Number(to - from) / 1e6;
console.log(JSON.stringify({ types: btf.typeCount, members, parseMs: ms(start, parsed), decodeMs: ms(parsed, decoded),
  findMs: ms(decoded, found), peakMb: process.resourceUsage().maxRSS / 1024, beforeMb: before / 1048576 }));`;

export function run() {
  const ours = [];
  const baseline = [];
  let last;
  for (let round = 0; round < ROUNDS; round += 1) {
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', CHILD], { encoding: 'utf8' });
    last = JSON.parse(output);
    ours.push(last.parseMs + last.decodeMs);
    const start = process.hrtime.bigint();
    const { status } = spawnSync('bpftool', ['btf', 'dump', 'file', KERNEL, 'format', 'raw'], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { PATH: `${process.env.PATH}:/usr/sbin` },
    });
    if (status !== 0) throw new Error(`bpftool ended with ${status}, called from ${fileURLToPath(import.meta.url)}`);
    baseline.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  const median = (times) => times.sort((a, b) => a - b)[ROUNDS >> 1];
  const round = (value) => Math.round(value * 100) / 100;
  return {
    name: 'btf-parse',
    ratio: round(median(ours) / median(baseline)),
    ours: round(median(ours)),
    baseline: round(median(baseline)),
    unit: 'ms',
    lazyMs: round(last.parseMs),
    nameIndexMs: round(last.findMs),
    types: last.types,
    peakMb: Math.round(last.peakMb),
    beforeMb: Math.round(last.beforeMb),
    node: process.version,
  };
}
