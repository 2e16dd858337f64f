import { describe, expect, it } from '@jest/globals';
import { encodeBlobChunk, getSchema, parseMessage, type Get } from '@bpfleet/wire';
import { Fetcher, type PartialStore } from './fetcher.js';

const DIGEST = 'a'.repeat(64);

class MemoryPartials implements PartialStore {
  private readonly parts = new Map<string, Buffer>();
  partialBytes(digest: string): number {
    return this.parts.get(digest)?.length ?? 0;
  }
  partial(digest: string): Buffer | undefined {
    return this.parts.get(digest);
  }
  appendPartial(digest: string, bytes: Uint8Array): void {
    this.parts.set(digest, Buffer.concat([this.parts.get(digest) ?? Buffer.alloc(0), bytes]));
  }
  removePartial(digest: string): void {
    this.parts.delete(digest);
  }
}

/** A fetcher whose server answers from a blob, until it is told to keep silent. */
function setUp(blob: Buffer) {
  const partials = new MemoryPartials();
  const asked: Get[] = [];
  let onWay = 0;
  let onWayMax = 0;
  let answers = Number.POSITIVE_INFINITY;
  let onSilence = (): void => undefined;
  const fetcher: Fetcher = new Fetcher(
    async (topic, payload) => {
      const get = parseMessage(getSchema, payload);
      asked.push(get);
      onWay += 1;
      onWayMax = Math.max(onWayMax, onWay);
      if (topic.kind !== 'get' || get.kind !== 'blob') return;
      if (answers-- <= 0) return onSilence();
      const bytes = blob.subarray(get.offset, get.offset + get.bytesMax);
      setImmediate(() => {
        onWay -= 1;
        fetcher.answer('blob', topic.rid, encodeBlobChunk({ offset: get.offset, totalBytes: blob.length, bytes }));
      });
    },
    partials,
    200,
  );
  const stopAfter = (count: number): void => {
    answers = count;
    onSilence = () => undefined;
  };
  const loseLinkAfter = (count: number): void => {
    answers = count;
    onSilence = () => setImmediate(() => fetcher.linkLost());
  };
  return { fetcher, partials, asked, onWayMax: () => onWayMax, stopAfter, loseLinkAfter };
}

const signal = new AbortController().signal;

describe('fetcher', () => {
  const blob = Buffer.alloc(150_000, 7);

  it('brings a blob in chunks, one on the way at a time', async () => {
    const { fetcher, asked, onWayMax } = setUp(blob);
    const both = Promise.all([
      fetcher.blob(DIGEST, blob.length, signal),
      fetcher.blob('b'.repeat(64), blob.length, signal),
    ]);
    const [first, second] = await both;
    expect(first.equals(blob) && second.equals(blob)).toBe(true);
    expect(asked).toHaveLength(6);
    expect(onWayMax()).toBe(1);
  });

  it('goes on after a lost link where it was', async () => {
    const { fetcher, asked, stopAfter, loseLinkAfter, partials } = setUp(blob);
    loseLinkAfter(2);
    await expect(fetcher.blob(DIGEST, blob.length, signal)).rejects.toMatchObject({ code: 'LINK_DOWN' });
    expect(partials.partialBytes(DIGEST)).toBe(131_072);
    stopAfter(9);
    asked.length = 0;
    expect((await fetcher.blob(DIGEST, blob.length, signal)).equals(blob)).toBe(true);
    expect(asked).toEqual([expect.objectContaining({ offset: 131_072, bytesMax: 150_000 - 131_072 })]);
  });

  it('asks three times and then gives up on a server that keeps silent', async () => {
    const { fetcher, asked, stopAfter } = setUp(blob);
    stopAfter(0);
    await expect(fetcher.blob(DIGEST, blob.length, signal)).rejects.toMatchObject({ code: 'LINK_TIMEOUT' });
    expect(asked).toHaveLength(3);
  });

  it('stops when it is not wanted any more', async () => {
    const { fetcher, stopAfter } = setUp(blob);
    stopAfter(0);
    const abort = new AbortController();
    const failing = fetcher.blob(DIGEST, blob.length, abort.signal);
    setImmediate(() => abort.abort());
    await expect(failing).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(fetcher.blob(DIGEST, blob.length, abort.signal)).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('refuses a chunk of another place or of a blob of another size', async () => {
    const { fetcher } = setUp(blob);
    await expect(fetcher.blob(DIGEST, blob.length - 1, signal)).rejects.toMatchObject({ code: 'FETCH_SIZE' });
  });

  it('ignores answers that nobody waits for', () => {
    expect(setUp(blob).fetcher.answer('doc', 'stray', Buffer.alloc(0))).toBe(false);
  });
});
