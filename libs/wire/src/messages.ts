import * as z from 'zod';
import { WireError } from './errors.js';
import { limits } from './limits.js';
import { deviceIdPattern, streams } from './topics.js';

/**
 * JSON messages. Objects are read leniently where a newer agent may say more (`z.object` drops unknown keys): the server
 * supports agents two minor versions back and must not refuse those that are ahead of it.
 */
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const text = z.string().max(limits.factStringBytesMax);
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
export const runIdPattern = /^r[a-z0-9]{8,31}$/;
const runId = z.string().regex(runIdPattern);

/** What an agent found out about its machine; the kernel group is made of build id, arch, user bits, JIT and LSMs. */
export const factsSchema = z.object({
  hostname: text,
  machine: text.nullable(),
  distribution: text.nullable(),
  kernelRelease: text,
  kernelArch: z.enum(['x86_64', 'arm64', 'arm']),
  kernelBuildId: z
    .string()
    .regex(/^[0-9a-f]{0,64}$/)
    .nullable(),
  userBits: z.union([z.literal(32), z.literal(64)]),
  btfDigest: digest.nullable(),
  jit: z.enum(['on', 'off', 'hardened']).nullable(),
  lsm: z.array(text).max(32),
  cpus: count,
  pageBytes: count,
  memoryBytes: count,
  features: z.array(text).max(256),
  /**
   * What was asked about and is not there. What stands in neither list is not known: a capability was missing, or the agent is
   * older than this field.
   */
  lacks: z.array(text).max(256).optional(),
  /** What a per-CPU map is made for: CPUs that may ever come, while `cpus` are there now. */
  possibleCpus: count.optional(),
  agentVersion: text,
  /** What this agent reads beyond the first version of the protocol: `addendum` in an entry of a desired state. */
  understands: z.array(text).max(64).optional(),
});
export type Facts = z.infer<typeof factsSchema>;

/** `up/birth`, and with `online: false` the will: a late will whose connection number is lower than the last birth's is ignored. */
export const birthSchema = z.object({
  v: z.literal(1),
  online: z.boolean(),
  connection: count,
  bootId: text,
  facts: factsSchema.optional(),
});
export type Birth = z.infer<typeof birthSchema>;

export const syncSchema = z.object({
  v: z.literal(1),
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  held: z.object({ root: digest, desired: digest.nullable(), generation: count }),
  /** Per stream: the agent's epoch and the lowest number it still holds (null when it holds nothing). */
  streams: z.array(z.object({ stream: z.enum(streams), epoch: count, floor: count.nullable() })).max(streams.length),
});
export type Sync = z.infer<typeof syncSchema>;

/** `up/get/{rid}`: one document or one chunk of a blob, named by digest. One in flight. */
export const getSchema = z.discriminatedUnion('kind', [
  z.object({ v: z.literal(1), kind: z.literal('release'), digest }),
  z.object({ v: z.literal(1), kind: z.literal('addendum'), digest }),
  z.object({ v: z.literal(1), kind: z.literal('root'), version: count }),
  z.object({
    v: z.literal(1),
    kind: z.literal('blob'),
    digest,
    offset: count,
    bytesMax: z.number().int().min(1).max(limits.blobChunkBytesMax),
  }),
]);
export type Get = z.infer<typeof getSchema>;

/** States of a run that a device reports (DESIGN §8); the server adds PENDING, OFFERED, TIMED_OUT, SUPERSEDED and so on. */
export const reportedRunStates = [
  'ACCEPTED',
  'FETCHING',
  'VERIFYING',
  'LOADED',
  'ATTACHED',
  'REJECTED',
  'FAILED',
  'SUSPECT_CRASH',
  'ENDED',
  'REMOVED',
] as const;
export type ReportedRunState = (typeof reportedRunStates)[number];

export const runErrorSchema = z.object({
  code: z.string().max(64),
  message: z.string().max(2048),
  /** The kernel verifier's log, its end kept when it is longer. */
  log: z.string().max(limits.logBytesMax).optional(),
});
export type RunError = z.infer<typeof runErrorSchema>;

/** Counters since the run's first attach, absolute, so that a lost report leaves nothing wrong. */
export const runStatsSchema = z.object({
  runCount: count,
  runTimeNs: count,
  /** False when the kernel's BPF statistics cannot be had: run count and time are then unknown, not zero. */
  measured: z.boolean(),
  mapBytes: count,
  drops: z.object({ kernel: count.nullable(), rate: count, spool: count }),
  eventsSeen: count,
});
export type RunStats = z.infer<typeof runStatsSchema>;

export const programReportSchema = z.object({
  name: text,
  id: count,
  tag: text,
  runCount: count,
  runTimeNs: count,
});

/** One run as the device sees it: sent on every change (`up/run/{runId}`) and listed in `up/reported`. */
export const runReportSchema = z.object({
  v: z.literal(1),
  run: runId,
  release: digest,
  state: z.enum(reportedRunStates),
  /** Rises by one with each change of this run on this device, across restarts of the agent. */
  revision: count,
  error: runErrorSchema.optional(),
  stats: runStatsSchema.optional(),
  programs: z.array(programReportSchema).max(64).optional(),
  /** How the links are held: `pinned` survive the agent, `process` end with it and a restart leaves a gap. */
  hold: z.enum(['pinned', 'process', 'mixed']).optional(),
  adopted: z.boolean().optional(),
});
export type RunReport = z.infer<typeof runReportSchema>;

export const reportedSchema = z.object({
  v: z.literal(1),
  generation: count,
  desired: digest.nullable(),
  /** Set when the newest desired state was refused: nothing of it was acted on. */
  refused: runErrorSchema.optional(),
  runs: z.array(runReportSchema).max(limits.runsPerReportMax),
  agent: z.object({ rssBytes: count, spoolBytes: count, spoolBatches: count, uptimeSeconds: count }),
});
export type Reported = z.infer<typeof reportedSchema>;

const range = z.tuple([count, count]);

/** `dn/ack/{stream}`, only after COMMIT: both ends of a range are inclusive. A window of 0 stops the device. */
export const ackSchema = z.object({
  v: z.literal(1),
  epoch: count,
  ranges: z.array(range).max(limits.ackRangesMax),
  /** How many unacknowledged batches the device may have on the way. */
  window: count,
});
export type Ack = z.infer<typeof ackSchema>;

/**
 * `dn/cmd/{cid}`: `sync` asks for a sync now; `resend` asks for what is unacknowledged; `btf` asks for one chunk of the
 * kernel's BTF, answered by `up/blob/{digest}`, or by a result that says why not.
 */
export const commandSchema = z.object({
  v: z.literal(1),
  kind: z.enum(['sync', 'resend', 'btf']),
  expiresAt: z.iso.datetime(),
  /** Of `btf`: which, and from where on. */
  blob: z.object({ digest, offset: count }).optional(),
});
export type Command = z.infer<typeof commandSchema>;

export const commandResultSchema = z.object({
  v: z.literal(1),
  ok: z.boolean(),
  error: runErrorSchema.optional(),
});
export type CommandResult = z.infer<typeof commandResultSchema>;

/** `dn/doc/{rid}`: either the envelope's bytes (a document) or this. Envelopes never have the field `error`. */
export const docErrorSchema = z.strictObject({ error: runErrorSchema });

/** Reads one JSON message; throws WIRE_SIZE or WIRE_MESSAGE with the first thing that is wrong and where. */
export function parseMessage<T>(schema: z.ZodType<T>, bytes: Uint8Array): T {
  if (bytes.length > limits.messageBytesMax) {
    throw new WireError(
      'WIRE_SIZE',
      `the message is ${bytes.length} bytes; at most ${limits.messageBytesMax} are read`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new WireError('WIRE_MESSAGE', 'the message is not JSON');
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new WireError('WIRE_MESSAGE', `${issue?.path.join('.') || 'message'}: ${issue?.message ?? 'malformed'}`);
}

export function encodeMessage(message: object): Buffer {
  return Buffer.from(JSON.stringify(message), 'utf8');
}

export function isDeviceId(id: string): boolean {
  return deviceIdPattern.test(id);
}
