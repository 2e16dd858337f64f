import { BatchRefused, type BatchContext } from './batch-context.js';

/**
 * A kernel walks kernel.perf_event_max_stack frames, 127 unless its administrator raised it, and never more than the release's
 * map has room for.
 */
const FRAMES_MAX = 1024;
const ENTRY_BYTES = 8;

/** Stacks of a stack trace map: entries of u32 id and u32 depth, then the addresses of all of them. */
export function storeStacks({ batch, run, boot, decoders, rows }: BatchContext, sections: readonly Uint8Array[]): void {
  const { header } = batch;
  const { map } = header.source;
  const mapFramesMax = decoders.stackFramesMax(map);
  if (mapFramesMax === undefined) throw new BatchRefused('source_unknown', `the release has no stacks in ${map}`);
  const [entries, addresses] = sections;
  if (!entries || !addresses || header.sections[0]?.stride !== ENTRY_BYTES || header.sections[1]?.stride !== 8) {
    throw new BatchRefused('body_malformed', 'stacks are entries of 8 bytes and addresses of 8 bytes');
  }
  const entryView = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  const addressView = new DataView(addresses.buffer, addresses.byteOffset, addresses.byteLength);
  const addressCount = addresses.length / 8;
  const framesMax = Math.min(FRAMES_MAX, mapFramesMax);
  let next = 0;
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    const id = entryView.getUint32(at, true);
    const depth = entryView.getUint32(at + 4, true);
    if (depth > framesMax || next + depth > addressCount) {
      throw new BatchRefused(
        'body_malformed',
        `a stack of ${depth} frames where the map has room for ${framesMax} and ${addressCount - next} addresses are left`,
      );
    }
    const first = next;
    const frames = Array.from({ length: depth }, (_, index) => addressView.getBigInt64((first + index) * 8, true));
    next += depth;
    rows.stacks.push({ run: run.id, boot, map, id, device: run.device, frames });
  }
}
