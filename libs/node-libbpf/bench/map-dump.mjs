// A hash of 100,000 entries into JavaScript Buffers by readAll, beside a C loop of get_next_key and lookup over the same map.
import { openObject } from '@bpfleet/node-libbpf';
import { median, Workbench } from './tools/workbench.mjs';

const runs = 15;
const entries = 100_000;

export async function run() {
  const bench = new Workbench();
  try {
    const object = openObject(bench.compileBpf('map-dump')).load();
    const map = object.map('entries');
    const [key, value] = [Buffer.alloc(8), Buffer.alloc(8)];
    for (let i = 0; i < entries; i++) {
      key.writeBigUInt64LE(BigInt(i));
      value.writeBigUInt64LE(BigInt(i) * 3n);
      map.update(key, value);
    }
    map.pin(bench.pinPath('entries'));
    const baseline = bench.startBaseline('map-dump', bench.pinPath('entries'));
    const samples = { ours: [], baseline: [] };
    const keep = (list, { count, ns }) => {
      if (count !== entries) throw new Error(`read ${count} of ${entries} entries`);
      list.push(ns / count);
    };
    for (let run = 0; run < runs + 2; run++) {
      const begun = process.hrtime.bigint();
      const { count } = map.readAll();
      keep(samples.ours, { count, ns: Number(process.hrtime.bigint() - begun) });
      keep(samples.baseline, await baseline());
    }
    // The first two warm up.
    const oursNs = median(samples.ours.slice(2));
    const baselineNs = median(samples.baseline.slice(2));
    object.close();
    return {
      name: 'map-dump',
      ratio: Number((baselineNs / oursNs).toFixed(3)),
      ours: Math.round(1e9 / oursNs),
      baseline: Math.round(1e9 / baselineNs),
      unit: 'entries/s',
      oursNsPerEntry: Number(oursNs.toFixed(2)),
      baselineNsPerEntry: Number(baselineNs.toFixed(2)),
      runs,
    };
  } finally {
    bench.close();
  }
}
