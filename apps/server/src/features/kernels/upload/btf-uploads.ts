import { Injectable, Logger } from '@nestjs/common';
import { digestOf } from '@bpfleet/trust';
import { decodeUploadChunk, downTopic, encodeMessage, type RunError } from '@bpfleet/wire';
import { Clock } from '../../../platform/clock.js';
import { MqttLink } from '../../../platform/mqtt/mqtt-link.js';
import { KernelBtfError, readKernelBtf } from '../../../verify/index.js';
import { KernelBtfs } from '../btf/kernel-btfs.js';
import { UploadStore, type Asked, type WholeUpload } from './upload-store.js';

/** Of all devices together: a fleet that comes back at once must not fill the link of the server. */
export const UPLOADS_AT_ONCE_MAX = 2;
export const ANSWER_WITHIN_MS = 30_000;
/** Questions without an answer, of a device that is online. */
export const SILENCE_MAX = 3;

/** Nothing is asked for meanwhile; each round looks again, since a device that moves to another kernel makes room. */
const NO_ROOM = 'devices have given as many as are kept, and all are in use';

const TOO_SLOW = {
  crumbs: 'the device sends parts so small that others would wait for ever',
  late: 'the device did not get it here within two hours',
} as const;

const COMMAND = /^btf-([0-9a-f]{64})$/;

/**
 * Fetches each BTF that the fleet has and the server does not, once: chunk by chunk from one device, going on where it
 * stopped, and from another one when it falls silent. Nothing is kept before the digest holds and the bytes are read.
 */
@Injectable()
export class BtfUploads {
  private readonly log = new Logger('BtfUploads');
  private wake: () => void = () => undefined;

  constructor(
    private readonly store: UploadStore,
    private readonly btfs: KernelBtfs,
    private readonly link: MqttLink,
    private readonly clock: Clock,
  ) {}

  /** Called when there is something new to ask. */
  onWanted(wake: () => void): void {
    this.wake = wake;
  }

  /** A device was born with this BTF. */
  async hear(device: string, digest: string): Promise<void> {
    if (await this.store.want(digest, device, this.clock.now())) this.wake();
  }

  /** A chunk; false when nobody had asked for it. @throws WireError */
  async take(device: string, digest: string, payload: Uint8Array): Promise<boolean> {
    const appended = await this.store.append(device, digest, decodeUploadChunk(payload), this.clock.now());
    if (appended.kind === 'more') await this.ask(appended.asked);
    if (appended.kind === 'whole') await this.conclude(digest);
    if (appended.kind === 'crumbs' || appended.kind === 'late') {
      await this.store.giveUp(digest, device, 'tried', TOO_SLOW[appended.kind], this.clock.now());
      this.wake();
    }
    return appended.kind !== 'unasked';
  }

  /** The command under which a BTF is asked for failed: another device may do better. False for other commands. */
  async refusedBy(device: string, cid: string, error: RunError | undefined): Promise<boolean> {
    const digest = COMMAND.exec(cid)?.[1];
    if (digest === undefined) return false;
    // A late command says nothing about the device: the question is put again.
    if (error?.code === 'COMMAND_EXPIRED') return true;
    await this.store.giveUp(
      digest,
      device,
      'tried',
      `the device: ${error?.code ?? 'no reason given'}`,
      this.clock.now(),
    );
    this.wake();
    return true;
  }

  /** Everything that time alone brings about. False: there is nothing more to do at once. */
  async round(): Promise<boolean> {
    if (!this.link.connected) return false;
    const now = this.clock.now();
    const before = new Date(now.getTime() - ANSWER_WITHIN_MS);
    for (const digest of await this.store.leftWhole(before)) await this.conclude(digest);
    const asked = await this.store.inRound(async (client) => {
      await this.store.forgetUnowned(client);
      const again = await this.store.askAgain(client, before, now, SILENCE_MAX);
      const places = await this.btfs.roomForDevices(client);
      await this.store.tellRoom(client, places > 0, NO_ROOM);
      const room = Math.min(UPLOADS_AT_ONCE_MAX, places) - (await this.store.asking(client));
      const next: Asked[] = [];
      for (let slot = 0; slot < room; slot++) {
        const one = await this.store.askNext(client, now);
        if (one) next.push(one);
      }
      return [...again, ...next];
    });
    for (const one of asked ?? []) await this.ask(one);
    return false;
  }

  /** Not through the outbox: what is lost here is asked again. */
  private async ask({ digest, device, offset }: Asked): Promise<void> {
    const expiresAt = new Date(this.clock.now().getTime() + ANSWER_WITHIN_MS).toISOString();
    const command = encodeMessage({ v: 1, kind: 'btf', expiresAt, blob: { digest, offset } });
    await this.link
      .publish(downTopic(device, { kind: 'cmd', cid: `btf-${digest}` }), command, 1)
      .catch((error: Error) => this.log.warn(`${device} was not asked for its BTF: ${error.message}`));
  }

  private async conclude(digest: string): Promise<void> {
    const upload = await this.store.whole(digest);
    if (!upload) return;
    if (digestOf(upload.bytes) === digest) {
      await this.keep(digest, upload);
    } else {
      await this.store.giveUp(
        digest,
        upload.device,
        'lied',
        'what the device gave has another digest',
        this.clock.now(),
      );
      this.log.warn(`${upload.device} gave bytes that are not the BTF ${digest}`);
    }
    this.wake();
  }

  private async keep(digest: string, { bytes, device }: WholeUpload): Promise<void> {
    try {
      const { pointerBits } = readKernelBtf(bytes);
      const kept = await this.btfs.add({ digest, bytes, pointerBits, source: 'device', addedBy: device });
      if (!kept) return await this.store.putBack(digest, NO_ROOM);
      await this.store.remove(digest);
      this.log.log(`${device} gave the BTF ${digest} (${bytes.length} bytes)`);
    } catch (error) {
      if (!(error instanceof KernelBtfError)) throw error;
      await this.store.refuse(digest, error.message);
      this.log.warn(`the BTF ${digest} of ${device} is refused: ${error.message}`);
    }
  }
}
