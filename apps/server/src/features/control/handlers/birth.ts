import { Injectable } from '@nestjs/common';
import { birthSchema, parseMessage } from '@bpfleet/wire';
import { cleanMessage, Presence } from '../../devices/index.js';
import { BtfUploads } from '../../kernels/index.js';
import type { Message, MessageHandler } from '../message-handler.js';

const NO_LINES: ReadonlySet<string> = new Set();

/** `up/birth`, and the will that the broker publishes on the same topic when the connection breaks. */
@Injectable()
export class BirthHandler implements MessageHandler<'birth'> {
  constructor(
    private readonly presence: Presence,
    private readonly uploads: BtfUploads,
  ) {}

  async handle({ device, payload }: Message<'birth'>): Promise<void> {
    // A cleared retained message is empty: it says nothing.
    if (payload.length === 0) return;
    const birth = cleanMessage(parseMessage(birthSchema, payload), NO_LINES);
    if (!birth.online) {
      await this.presence.died(device, birth.connection);
      return;
    }
    const newest = await this.presence.born(device, birth);
    if (newest && birth.facts?.btfDigest) await this.uploads.hear(device, birth.facts.btfDigest);
  }
}
