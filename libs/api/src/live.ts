import { z } from 'zod';
import { deviceIdSchema } from './device.js';
import { runStateSchema } from './run.js';

/**
 * `GET /api/live` (text/event-stream): each event's `data` is one of these. They say that something changed and what to
 * read again; nothing is lost when one is missed, since every view can be read whole.
 */
export const liveEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('device'), device: deviceIdSchema, online: z.boolean() }),
  z.object({ type: z.literal('run'), run: z.string(), device: deviceIdSchema, state: runStateSchema }),
  z.object({ type: z.literal('release'), release: z.string(), probe: z.string(), version: z.string() }),
  z.object({ type: z.literal('assignment'), assignment: z.string() }),
  z.object({
    type: z.literal('telemetry'),
    device: deviceIdSchema,
    run: z.string(),
    samples: z.number(),
    events: z.number(),
  }),
  /** What the lab knows or does. `release`: whose proof went on; null: a kernel came, went or came up, which may concern any. */
  z.object({ type: z.literal('lab'), release: z.string().nullable() }),
  /** This client was too slow: so many events were not sent to it. Read again what is on the screen. */
  z.object({ type: z.literal('dropped'), count: z.number() }),
]);
export type LiveEvent = z.infer<typeof liveEventSchema>;
