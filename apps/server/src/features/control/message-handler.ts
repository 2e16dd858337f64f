import type { UpTopic } from '@bpfleet/wire';

/** One message of one device, its topic already parsed and its sender known to be active. */
export interface Message<K extends UpTopic['kind'] = UpTopic['kind']> {
  readonly device: string;
  readonly topic: Extract<UpTopic, { kind: K }>;
  readonly payload: Buffer;
}

/**
 * One file per message kind. `handle` throws WireError for a payload that is not what the protocol says: the dispatcher
 * drops and counts it. Handlers are idempotent: every replica hears every message.
 */
export interface MessageHandler<K extends UpTopic['kind']> {
  handle(message: Message<K>): Promise<void>;
}
