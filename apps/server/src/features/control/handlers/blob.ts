import { Injectable } from '@nestjs/common';
import { BtfUploads } from '../../kernels/index.js';
import type { Message, MessageHandler } from '../message-handler.js';
import { Refusals } from '../refusals.js';

/** `up/blob/{digest}`: a chunk of a kernel's BTF, as it was asked for. */
@Injectable()
export class BlobHandler implements MessageHandler<'blob'> {
  constructor(
    private readonly uploads: BtfUploads,
    private readonly refusals: Refusals,
  ) {}

  async handle({ device, topic, payload }: Message<'blob'>): Promise<void> {
    if (await this.uploads.take(device, topic.digest, payload)) return;
    this.refusals.count('BLOB_UNASKED', device, 'it gave a part of a blob that nobody had asked it for');
  }
}
