import { Injectable } from '@nestjs/common';
import { downTopic, parseMessage, reportedSchema } from '@bpfleet/wire';
import { Clock } from '../../../platform/clock.js';
import { MqttLink } from '../../../platform/mqtt/mqtt-link.js';
import { cleanMessage, Presence, ReportedState } from '../../devices/index.js';
import type { Message, MessageHandler } from '../message-handler.js';
import { RunIntake } from '../run-intake.js';

const LINES: ReadonlySet<string> = new Set(['log', 'message']);
const RESEND_AFTER_MS = 30_000;
const REMEMBERED_MAX = 20_000;

/** `up/reported`: everything a device has, whole, so that a lost `up/run` leaves nothing wrong. */
@Injectable()
export class ReportedHandler implements MessageHandler<'reported'> {
  private readonly behind = new Map<string, { generation: number; since: number }>();

  constructor(
    private readonly presence: Presence,
    private readonly state: ReportedState,
    private readonly intake: RunIntake,
    private readonly link: MqttLink,
    private readonly clock: Clock,
  ) {}

  async handle({ device, payload }: Message<'reported'>): Promise<void> {
    const reported = cleanMessage(parseMessage(reportedSchema, payload), LINES);
    await this.presence.seen(device);
    const current = await this.state.apply(device, reported);
    await this.intake.take(device, reported.runs);
    if (current?.envelope && this.isLeftBehind(device, reported, current.generation)) {
      await this.link.publish(downTopic(device, { kind: 'desired' }), current.envelope, 1);
    }
  }

  /**
   * A broker may drop a message for a slow client without telling anybody. A device that still reports an older generation
   * half a minute after it was first seen behind, and has not refused the newer one, is sent it again.
   */
  private isLeftBehind(
    device: string,
    reported: { generation: number; refused?: object },
    generation: number,
  ): boolean {
    const now = this.clock.now().getTime();
    if (reported.generation >= generation || reported.refused) {
      this.behind.delete(device);
      return false;
    }
    const known = this.behind.get(device);
    if (known?.generation === generation && now - known.since < RESEND_AFTER_MS) return false;
    if (this.behind.size >= REMEMBERED_MAX) this.behind.clear();
    this.behind.set(device, { generation, since: now });
    return known?.generation === generation;
  }
}
