// Records of a prefilled ring into JavaScript Buffers, beside libbpf's C consumer of an identically prefilled ring that
// copies every record too. Both in the same run, in turns; each side opens its ring once.
import { openObject, RingReader } from '@bpfleet/node-libbpf';
import { median, Workbench } from './tools/workbench.mjs';

const runs = 15;
// The baseline's buffer has the same size.
const targetBytes = 256 * 1024;
// 64 records each, 72 bytes a record in the ring: 9,000 fill 41 of 64 MiB.
const fillRuns = 9_000;

function drainAll(reader, target) {
  let count = 0;
  const begun = process.hrtime.bigint();
  for (;;) {
    const drained = reader.drain(target);
    if (drained.records === 0) break;
    count += drained.records;
    reader.commit(drained.position);
  }
  return { count, ns: Number(process.hrtime.bigint() - begun) };
}

export async function run() {
  const bench = new Workbench();
  try {
    const bytes = bench.compileBpf('ringbuf');
    const [ours, theirs] = [openObject(bytes).load(), openObject(bytes).load()];
    theirs.map('records').pin(bench.pinPath('records'));
    const baseline = bench.startBaseline('ringbuf', bench.pinPath('records'));
    const reader = new RingReader(ours.map('records'));
    const target = Buffer.alloc(targetBytes);
    const data = Buffer.alloc(64);
    const samples = { ours: [], baseline: [] };
    const expected = fillRuns * 64;
    const keep = (list, { count, ns }) => {
      if (count !== expected) throw new Error(`read ${count} of ${expected} records`);
      list.push(ns / count);
    };
    for (let run = 0; run < runs + 2; run++) {
      ours.program('fill').testRun({ data, repeat: fillRuns });
      keep(samples.ours, drainAll(reader, target));
      theirs.program('fill').testRun({ data, repeat: fillRuns });
      keep(samples.baseline, await baseline());
    }
    // The first two warm up: page faults, and the compiler of JavaScript.
    const oursNs = median(samples.ours.slice(2));
    const baselineNs = median(samples.baseline.slice(2));
    reader.close();
    ours.close();
    theirs.close();
    return {
      name: 'ringbuf',
      ratio: Number((baselineNs / oursNs).toFixed(3)),
      ours: Math.round(1e9 / oursNs),
      baseline: Math.round(1e9 / baselineNs),
      unit: 'records/s',
      oursNsPerRecord: Number(oursNs.toFixed(2)),
      baselineNsPerRecord: Number(baselineNs.toFixed(2)),
      runs,
    };
  } finally {
    bench.close();
  }
}
