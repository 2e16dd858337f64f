// npm run bench -- leaks: 10,000 rounds of open, load, attach and close; descriptors and memory must stay as they were.
import { readdirSync, readFileSync } from 'node:fs';
import { openObject, RingReader } from '@bpfleet/node-libbpf';
import { Workbench } from './tools/workbench.mjs';

const rounds = 10_000;
const warmUpRounds = 500;
const growthBytesMax = 16 << 20;

/** Anonymous memory, not the resident set: pages of files come and go with the page cache. */
function anonymousBytes() {
  const line = /^RssAnon:\s*(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(line) * 1024;
}

const descriptors = () => readdirSync('/proc/self/fd').length;
const turn = () => new Promise((resolve) => setImmediate(resolve));

export async function run() {
  const bench = new Workbench();
  try {
    const bytes = bench.compileBpf('../fixtures/leaks');
    const round = () => {
      const object = openObject(bytes).load();
      const link = object.program('on_sys_enter').attach();
      const reader = new RingReader(object.map('records'));
      reader.close();
      link.close();
      object.close();
    };
    const repeat = async (count) => {
      for (let i = 0; i < count; i++) {
        round();
        // Finalizers run between turns.
        if (i % 50 === 0) await turn();
      }
    };
    await repeat(warmUpRounds);
    const before = { descriptors: descriptors(), bytes: anonymousBytes() };
    const begun = process.hrtime.bigint();
    await repeat(rounds);
    const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
    const result = {
      name: 'leaks',
      rounds,
      descriptorsGrown: descriptors() - before.descriptors,
      anonymousBytesGrown: anonymousBytes() - before.bytes,
      anonymousBytesGrownMax: growthBytesMax,
      msPerRound: Number(((seconds * 1000) / rounds).toFixed(3)),
    };
    if (result.descriptorsGrown !== 0 || result.anonymousBytesGrown > growthBytesMax) process.exitCode = 1;
    return result;
  } finally {
    bench.close();
  }
}
