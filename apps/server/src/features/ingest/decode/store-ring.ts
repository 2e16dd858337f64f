import { CopyWriter } from '@bpfleet/btf';
import { ringRecords } from '@bpfleet/wire';
import { cleanJson } from './clean-text.js';
import { jsonb } from './copy-values.js';
import type { EventSink } from './release-decoders.js';
import type { CopyTarget } from './rows.js';
import { BatchRefused, type BatchContext, type Stored } from './batch-context.js';

const DEBUG_EVENTS: CopyTarget = {
  table: 'debug_event',
  columns: ['ts', 'device', 'run', 'probe', 'event', 'fields'],
};

/** Ring records become rows of their event's table, or of the debug table when the run is a debug run. */
export function storeRing(context: BatchContext, sections: readonly Uint8Array[], stored: Stored): void {
  const { batch, run, decoders } = context;
  const { map } = batch.header.source;
  const sinks = decoders.events(map);
  if (sinks === undefined) throw new BatchRefused('source_unknown', `the release has no events in ${map}`);
  const { bytes, offsets, lengths } = ringRecords(batch.header, sections);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const put = run.debug ? debugWriter(context, view) : rowWriter(context, view);
  for (let index = 0; index < offsets.length; index += 1) {
    const offset = offsets[index] as number;
    const length = lengths[index] as number;
    const sink = sinks.find(({ decoder }) => decoder.matches(view, offset, length));
    if (sink === undefined) {
      stored.recordsUnmatched += 1;
      continue;
    }
    put(sink, offset, length);
    stored.events += 1;
  }
}

type PutRecord = (sink: EventSink, offset: number, length: number) => void;

function rowWriter({ run, rows, time }: BatchContext, view: DataView): PutRecord {
  const owner = ownerFields(run.device, run.id, run.version);
  return ({ event, decoder, target }, offset, length) => {
    if (target === undefined) throw new BatchRefused('not_storable', `the event ${event} has no table`);
    const table = rows.table(target);
    const { writer } = table;
    writer.tuple(target.columns.length);
    writer.timestamptz(time.micros(decoder.clock, decoder.timeNs(view, offset)));
    append(writer, owner);
    decoder.encode(view, offset, length, writer);
    table.rows += 1;
  };
}

function debugWriter({ run, rows, time }: BatchContext, view: DataView): PutRecord {
  const table = rows.table(DEBUG_EVENTS);
  const { writer } = table;
  return ({ event, decoder }, offset, length) => {
    writer.tuple(DEBUG_EVENTS.columns.length);
    writer.timestamptz(time.micros(decoder.clock, decoder.timeNs(view, offset)));
    for (const text of [run.device, run.id, run.probe, event]) writer.text(text);
    jsonb(writer, cleanJson(decoder.toObject(view, offset, length)));
    table.rows += 1;
  };
}

/** device, run, release: the same for every row of a batch, so they are encoded once. */
function ownerFields(device: string, run: string, release: string): Uint8Array {
  const writer = new CopyWriter(256);
  for (const text of [device, run, release]) writer.text(text);
  return writer.take();
}

function append(writer: CopyWriter, fields: Uint8Array): void {
  writer.reserve(fields.length);
  writer.bytes.set(fields, writer.position);
  writer.position += fields.length;
}
