import { Injectable } from '@nestjs/common';
import { downTopic, encodeBlobChunk, encodeMessage, getSchema, parseMessage, type Get } from '@bpfleet/wire';
import { BlobStore } from '../../../platform/blobs/blob-store.js';
import { ServerKeys } from '../../../platform/keys/server-keys.js';
import { MqttLink } from '../../../platform/mqtt/mqtt-link.js';
import { Addenda } from '../../kernels/index.js';
import { ReleaseCatalogue } from '../../releases/catalogue/index.js';
import type { Message, MessageHandler } from '../message-handler.js';

const OFFSET_MAX = 2 ** 31 - 2;

/**
 * `up/get/{rid}`: a document, or one chunk of a blob. A device may read releases and their objects, addenda and their BTF,
 * and nothing else by digest.
 */
@Injectable()
export class GetHandler implements MessageHandler<'get'> {
  constructor(
    private readonly blobs: BlobStore,
    private readonly releases: ReleaseCatalogue,
    private readonly addenda: Addenda,
    private readonly keys: ServerKeys,
    private readonly link: MqttLink,
  ) {}

  async handle({ device, topic, payload }: Message<'get'>): Promise<void> {
    const get = parseMessage(getSchema, payload);
    const { rid } = topic;
    if (get.kind === 'blob') {
      await this.link.publish(downTopic(device, { kind: 'blob', rid }), await this.chunk(get), 1);
      return;
    }
    const answer = (await this.document(get)) ?? unknownDocument(get);
    await this.link.publish(downTopic(device, { kind: 'doc', rid }), answer, 1);
  }

  /** Empty for "no such blob". */
  private async chunk(get: Extract<Get, { kind: 'blob' }>): Promise<Buffer> {
    const none = Buffer.alloc(0);
    if (get.offset > OFFSET_MAX || !(await this.mayRead(get.digest))) return none;
    const slice = await this.blobs.slice(get.digest, get.offset, get.bytesMax);
    if (!slice || get.offset > slice.totalBytes) return none;
    return encodeBlobChunk({ offset: get.offset, totalBytes: slice.totalBytes, bytes: slice.bytes });
  }

  private async mayRead(digest: string): Promise<boolean> {
    return (await this.releases.isObject(digest)) || (await this.addenda.isTailored(digest));
  }

  private async document(get: Exclude<Get, { kind: 'blob' }>): Promise<Buffer | undefined> {
    switch (get.kind) {
      case 'release':
        return this.release(get.digest);
      case 'addendum':
        return this.addenda.envelope(get.digest);
      case 'root':
        return this.root(get.version);
    }
  }

  private async release(digest: string): Promise<Buffer | undefined> {
    return (await this.releases.isRelease(digest)) ? this.blobs.get(digest) : undefined;
  }

  private root(version: number): Buffer | undefined {
    return version === this.keys.root.document.version ? this.keys.root.envelope : undefined;
  }
}

function unknownDocument(get: Exclude<Get, { kind: 'blob' }>): Buffer {
  const what = get.kind === 'root' ? `root of version ${get.version}` : `${get.kind} ${get.digest}`;
  return encodeMessage({ error: { code: 'DOCUMENT_UNKNOWN', message: `this server has no ${what}` } });
}
