import { WireError } from './errors.js';

/** A device id is one topic level and can never hold `/`, `+`, `#` or `$`. */
export const deviceIdPattern = /^d[a-z0-9]{8,31}$/;
const SEGMENT = /^[A-Za-z0-9_-]{1,80}$/;

/** Telemetry streams. Each has its own ledger; ring events, map snapshots, and names that only the device can resolve. */
export const streams = ['events', 'maps', 'names'] as const;
export type Stream = (typeof streams)[number];

export type DownTopic =
  | { kind: 'desired' }
  | { kind: 'fresh' }
  | { kind: 'doc'; rid: string }
  | { kind: 'blob'; rid: string }
  | { kind: 'cmd'; cid: string }
  | { kind: 'ack'; stream: Stream };

export type UpTopic =
  | { kind: 'birth' }
  | { kind: 'sync' }
  | { kind: 'get'; rid: string }
  | { kind: 'blob'; digest: string }
  | { kind: 'reported' }
  | { kind: 'run'; run: string }
  | { kind: 'telemetry'; stream: Stream }
  | { kind: 'res'; cid: string };

export const serverFilters = {
  /** Everything but telemetry: for the control role. */
  control: ['birth', 'sync', 'get/+', 'blob/+', 'reported', 'run/+', 'res/+'].map((rest) => `bpfleet/1/+/up/${rest}`),
  telemetry: ['bpfleet/1/+/up/t/+'],
} as const;

export function deviceFilter(device: string): string {
  return `bpfleet/1/${checkedDevice(device)}/dn/#`;
}

export function downTopic(device: string, topic: DownTopic): string {
  return `bpfleet/1/${checkedDevice(device)}/dn/${downRest(topic)}`;
}

function downRest(topic: DownTopic): string {
  switch (topic.kind) {
    case 'desired':
    case 'fresh':
      return topic.kind;
    case 'doc':
    case 'blob':
      return `${topic.kind}/${checkedSegment(topic.rid)}`;
    case 'cmd':
      return `cmd/${checkedSegment(topic.cid)}`;
    case 'ack':
      return `ack/${topic.stream}`;
  }
}

export function upTopic(device: string, topic: UpTopic): string {
  return `bpfleet/1/${checkedDevice(device)}/up/${upRest(topic)}`;
}

function upRest(topic: UpTopic): string {
  switch (topic.kind) {
    case 'birth':
    case 'sync':
    case 'reported':
      return topic.kind;
    case 'get':
      return `get/${checkedSegment(topic.rid)}`;
    case 'blob':
      return `blob/${checkedSegment(topic.digest)}`;
    case 'run':
      return `run/${checkedSegment(topic.run)}`;
    case 'telemetry':
      return `t/${topic.stream}`;
    case 'res':
      return `res/${checkedSegment(topic.cid)}`;
  }
}

/** What came from a device, or undefined for a topic that is not one of ours: the caller drops and counts it. */
export function parseUpTopic(text: string): { device: string; topic: UpTopic } | undefined {
  const [root, version, device, direction, kind, argument, ...more] = text.split('/');
  if (root !== 'bpfleet' || version !== '1' || direction !== 'up' || more.length > 0) return undefined;
  if (!device || !deviceIdPattern.test(device) || !kind) return undefined;
  const topic = argument === undefined ? bareUp(kind) : namedUp(kind, argument);
  return topic && { device, topic };
}

function bareUp(kind: string): UpTopic | undefined {
  return kind === 'birth' || kind === 'sync' || kind === 'reported' ? { kind } : undefined;
}

function namedUp(kind: string, argument: string): UpTopic | undefined {
  if (!SEGMENT.test(argument)) return undefined;
  switch (kind) {
    case 'get':
      return { kind, rid: argument };
    case 'blob':
      return { kind, digest: argument };
    case 'run':
      return { kind, run: argument };
    case 'res':
      return { kind, cid: argument };
    case 't':
      return isStream(argument) ? { kind: 'telemetry', stream: argument } : undefined;
    default:
      return undefined;
  }
}

/** What came from the server to `device`, or undefined. */
export function parseDownTopic(device: string, text: string): DownTopic | undefined {
  const prefix = `bpfleet/1/${device}/dn/`;
  if (!text.startsWith(prefix)) return undefined;
  const [kind, argument, ...more] = text.slice(prefix.length).split('/');
  if (more.length > 0) return undefined;
  if (argument === undefined) return kind === 'desired' || kind === 'fresh' ? { kind } : undefined;
  if (!SEGMENT.test(argument)) return undefined;
  if (kind === 'doc' || kind === 'blob') return { kind, rid: argument };
  if (kind === 'cmd') return { kind, cid: argument };
  return kind === 'ack' && isStream(argument) ? { kind, stream: argument } : undefined;
}

export function isStream(text: string): text is Stream {
  return (streams as readonly string[]).includes(text);
}

function checkedDevice(device: string): string {
  if (!deviceIdPattern.test(device)) {
    throw new WireError('WIRE_DEVICE_ID', `${JSON.stringify(device)} is not a device id (d and 8 to 31 of a-z, 0-9)`);
  }
  return device;
}

function checkedSegment(segment: string): string {
  if (!SEGMENT.test(segment)) throw new WireError('WIRE_TOPIC', `${JSON.stringify(segment)} cannot be one topic level`);
  return segment;
}
