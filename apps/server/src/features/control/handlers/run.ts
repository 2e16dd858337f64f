import { Injectable } from '@nestjs/common';
import { parseMessage, runReportSchema, WireError } from '@bpfleet/wire';
import { cleanMessage, Presence } from '../../devices/index.js';
import type { Message, MessageHandler } from '../message-handler.js';
import { RunIntake } from '../run-intake.js';

const LINES: ReadonlySet<string> = new Set(['log', 'message']);

/** `up/run/{runId}`: one run changed. */
@Injectable()
export class RunHandler implements MessageHandler<'run'> {
  constructor(
    private readonly presence: Presence,
    private readonly intake: RunIntake,
  ) {}

  async handle({ device, topic, payload }: Message<'run'>): Promise<void> {
    const report = cleanMessage(parseMessage(runReportSchema, payload), LINES);
    if (report.run !== topic.run) {
      throw new WireError('WIRE_MESSAGE', `run: the topic says ${topic.run}, the message ${report.run}`);
    }
    await this.presence.seen(device);
    await this.intake.take(device, [report]);
  }
}
