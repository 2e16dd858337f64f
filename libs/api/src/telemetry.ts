import { z } from 'zod';
import { deviceIdSchema } from './device.js';

export const metricInfoSchema = z.object({
  probe: z.string(),
  metric: z.string(),
  type: z.enum(['counter', 'gauge', 'histogram']),
  unit: z.string().nullable(),
  help: z.string().nullable(),
  labels: z.array(z.string()),
  series: z.number(),
  lastAt: z.iso.datetime().nullable(),
});
export type MetricInfo = z.infer<typeof metricInfoSchema>;

const window = {
  device: deviceIdSchema,
  /** ISO 8601; default: the last 15 minutes. */
  from: z.iso.datetime().optional(),
  to: z.iso.datetime().optional(),
};

/**
 * Counters come as rates (per second) unless `raw`; gauges as they are. Top `limit` series by last value. The answer's `unit`
 * is that of its values: `bytes/s` for a rate of bytes, `count/s` for a rate of a metric without a unit.
 */
export const seriesQuerySchema = z.strictObject({
  ...window,
  metric: z.string().max(128),
  raw: z.enum(['true', 'false']).default('false'),
  stepSeconds: z.coerce.number().int().min(1).max(86_400).optional(),
  limit: z.coerce.number().int().min(1).max(50).default(10),
});
export const seriesResponseSchema = z.object({
  metric: z.string(),
  unit: z.string().nullable(),
  /** Seconds since 1970 of each step; every series has one value (or null) per time. */
  times: z.array(z.number()),
  series: z.array(z.object({ labels: z.record(z.string(), z.string()), values: z.array(z.number().nullable()) })),
  truncated: z.boolean(),
});
export type SeriesResponse = z.infer<typeof seriesResponseSchema>;

export const heatmapQuerySchema = z.strictObject({
  ...window,
  metric: z.string().max(128),
  stepSeconds: z.coerce.number().int().min(1).max(86_400).optional(),
});
/** counts[time][bucket]: how many observations fell into the bucket during the step (all label sets of the device added up). */
export const heatmapResponseSchema = z.object({
  metric: z.string(),
  unit: z.string().nullable(),
  bounds: z.array(z.number()),
  times: z.array(z.number()),
  counts: z.array(z.array(z.number())),
  quantiles: z.object({
    p50: z.array(z.number().nullable()),
    p90: z.array(z.number().nullable()),
    p99: z.array(z.number().nullable()),
  }),
});
export type HeatmapResponse = z.infer<typeof heatmapResponseSchema>;

export const eventsQuerySchema = z.strictObject({
  device: deviceIdSchema.optional(),
  run: z.string().max(40).optional(),
  probe: z.string().max(64),
  event: z.string().max(64),
  from: z.iso.datetime().optional(),
  to: z.iso.datetime().optional(),
  /** Newest first; pass the last row's cursor to go on. */
  cursor: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});
export const eventRowSchema = z.object({
  at: z.iso.datetime(),
  device: z.string(),
  run: z.string(),
  fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});
export const eventsResponseSchema = z.object({
  columns: z.array(z.object({ name: z.string(), type: z.string() })),
  rows: z.array(eventRowSchema),
  nextCursor: z.string().nullable(),
});
export type EventsResponse = z.infer<typeof eventsResponseSchema>;

export const profileQuerySchema = z.strictObject({ ...window, profile: z.string().max(64), probe: z.string().max(64) });
export interface FlameNode {
  name: string;
  value: number;
  children: FlameNode[];
}
export const flameNodeSchema: z.ZodType<FlameNode> = z.lazy(() =>
  z.object({ name: z.string(), value: z.number(), children: z.array(flameNodeSchema) }),
);
export const profileResponseSchema = z.object({ profile: z.string(), samples: z.number(), root: flameNodeSchema });

/** Counts over everything stored: what `npm run up -- --check` waits for. */
export const overviewSchema = z.object({
  devices: z.number(),
  devicesOnline: z.number(),
  runsAttached: z.number(),
  samples: z.number(),
  events: z.number(),
  series: z.number(),
  firstTelemetryAt: z.iso.datetime().nullable(),
  lastTelemetryAt: z.iso.datetime().nullable(),
});
export type Overview = z.infer<typeof overviewSchema>;
