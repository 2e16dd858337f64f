import { Injectable } from '@nestjs/common';
import { commandResultSchema, parseMessage } from '@bpfleet/wire';
import { cleanMessage, Presence } from '../../devices/index.js';
import { BtfUploads } from '../../kernels/index.js';
import type { Message, MessageHandler } from '../message-handler.js';
import { Refusals } from '../refusals.js';

const LINES: ReadonlySet<string> = new Set();

/** `up/res/{cid}`: how a command went. What a command was for shows elsewhere: a sync arrives, a batch is sent again. */
@Injectable()
export class ResultHandler implements MessageHandler<'res'> {
  constructor(
    private readonly presence: Presence,
    private readonly uploads: BtfUploads,
    private readonly refusals: Refusals,
  ) {}

  async handle({ device, topic, payload }: Message<'res'>): Promise<void> {
    const result = cleanMessage(parseMessage(commandResultSchema, payload), LINES);
    await this.presence.seen(device);
    if (!result.ok && (await this.uploads.refusedBy(device, topic.cid, result.error))) return;
    if (result.ok) return;
    const said = `${topic.cid}: ${result.error?.code ?? 'no reason given'}`;
    this.refusals.commandFailed(device, said);
  }
}
