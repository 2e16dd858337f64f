import * as z from 'zod';
import { bytesSchema } from './bytes.js';

/** Names of probes, metrics, events, profiles and parameters: they become columns, tables, topics and file names. */
const NAME = /^[a-z][a-z0-9_]{1,39}$/;
const C_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const FIELD_PATH = /^[A-Za-z_][A-Za-z0-9_]{0,127}(\.[A-Za-z_][A-Za-z0-9_]{0,127}){0,7}$/;
const SEMVER = /^\d{1,9}\.\d{1,9}\.\d{1,9}(-[0-9A-Za-z.-]{1,64})?$/;

const nameSchema = z.string().regex(NAME, 'must be 2 to 40 lower-case letters, digits and _, beginning with a letter');
const metricNameSchema = z
  .string()
  .regex(/^[a-z][a-z0-9_]{1,62}$/, 'must be 2 to 63 lower-case letters, digits and _, beginning with a letter');
const cNameSchema = z.string().regex(C_NAME, 'must be a C identifier');
/** The name of a map as libbpf sees it; data sections begin with a dot. */
const fieldPathSchema = z.string().regex(FIELD_PATH, 'must be a path of C members such as `addr.port`');
const helpSchema = z.string().max(500);
/** `$name` stands for the value of a parameter. */
const parameterReference = z.string().regex(/^\$[a-z][a-z0-9_]{0,39}$/, 'must be `$` and the name of a parameter');

export const LABEL_DECODERS = [
  'string',
  'ipv4',
  'ipv6',
  'port',
  'errno',
  'majorminor',
  'syscall',
  'syscall_compat',
  'static',
  'signed',
  'unsigned',
  'hex',
  'ksym',
  'ifname',
  'cgroup',
] as const;

/** Decoders whose answer only the device knows; it sends (kind, id, name) as a dictionary. */
export const DEVICE_DECODERS = ['ksym', 'ifname', 'cgroup'] as const;

const decoderSchema = z.enum(LABEL_DECODERS);
const staticValuesSchema = z
  .record(z.string().regex(/^-?\d{1,20}$/, 'must be a whole number'), z.string().min(1).max(120))
  .refine((values) => Object.keys(values).length <= 512, 'must not have more than 512 entries');

function valuesBelongToStatic(spec: { decode?: string | undefined; values?: unknown }): boolean {
  return (spec.decode === 'static') === (spec.values !== undefined);
}
const VALUES_MESSAGE = 'must have `values` exactly when `decode` is `static`';

const labelSchema = z.union([
  decoderSchema,
  z
    .strictObject({
      field: fieldPathSchema.optional(),
      decode: decoderSchema,
      values: staticValuesSchema.optional(),
    })
    .refine(valuesBelongToStatic, VALUES_MESSAGE),
]);

const labelsSchema = z
  .record(z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'must be a lower-case label name'), labelSchema)
  .refine((labels) => Object.keys(labels).length <= 16, 'must not have more than 16 labels')
  .default({});

const fieldSchema = z.union([
  decoderSchema,
  z
    .strictObject({ decode: decoderSchema, values: staticValuesSchema.optional() })
    .refine(valuesBelongToStatic, VALUES_MESSAGE),
]);

const paramSchema = z
  .strictObject({
    default: z.union([z.number(), z.boolean(), z.string().max(256)]),
    type: z.enum(['number', 'boolean', 'string']).optional(),
    unit: z.string().max(32).optional(),
    help: helpSchema.optional(),
    min: z.number().optional(),
    max: z.number().optional(),
  })
  .refine((param) => param.type === undefined || typeof param.default === param.type, 'has a default of another type');

const attachSchema = z.strictObject({
  interface: z.string().min(1).max(64).optional(),
  /** Of XDP; without it the driver's own where it has one. */
  mode: z.enum(['native', 'generic']).optional(),
  /** Of a tc program whose section does not say it. */
  direction: z.enum(['ingress', 'egress']).optional(),
  frequency_hz: z.union([z.number().int().min(1).max(10_000), parameterReference]).optional(),
});

export const METRIC_UNITS = ['ns', 'us', 'ms', 's', 'bytes', 'kib', 'pages', 'count', 'percent'] as const;

const boundSchema = z.number().finite();
const bucketsSchema = z.union([
  z.enum(['exp2', 'exp2zero']),
  z.strictObject({
    linear: z.strictObject({ min: boundSchema, step: z.number().positive(), count: z.number().int().min(1).max(512) }),
  }),
  z.strictObject({
    fixed: z
      .array(boundSchema)
      .min(1)
      .max(512)
      .refine((bounds) => bounds.every((b, i) => i === 0 || b > (bounds[i - 1] as number)), 'must rise'),
  }),
]);

const metricSchema = z
  .strictObject({
    name: metricNameSchema,
    type: z.enum(['counter', 'gauge', 'histogram']),
    map: cNameSchema,
    value: fieldPathSchema.optional(),
    sum: fieldPathSchema.optional(),
    buckets: bucketsSchema.optional(),
    unit: z.enum(METRIC_UNITS).optional(),
    labels: labelsSchema,
    help: helpSchema.optional(),
  })
  .refine((m) => (m.type === 'histogram') === (m.buckets !== undefined), {
    path: ['buckets'],
    message: 'must be given for a histogram, and only for one',
  })
  .refine((m) => m.sum === undefined || m.type === 'histogram', { path: ['sum'], message: 'belongs to a histogram' })
  .refine((m) => !/_seconds(_total)?$/.test(m.name) || ['ns', 'us', 'ms', 's'].includes(m.unit ?? ''), {
    path: ['unit'],
    message: 'must be ns, us, ms or s, because the name says seconds',
  });

const eventSchema = z.strictObject({
  name: nameSchema,
  map: cNameSchema,
  struct: cNameSchema,
  time: z.strictObject({ field: fieldPathSchema, clock: z.enum(['boottime', 'monotonic', 'realtime']) }).optional(),
  fields: z.record(fieldPathSchema, fieldSchema).default({}),
  when: z.strictObject({ field: fieldPathSchema, equals: z.number().int().min(0).max(0xffff_ffff) }).optional(),
  help: helpSchema.optional(),
});

const profileSchema = z.strictObject({
  name: nameSchema,
  map: cNameSchema,
  stacks: cNameSchema,
  kernel_stack: fieldPathSchema.optional(),
  user_stack: fieldPathSchema.optional(),
  value: fieldPathSchema.optional(),
  labels: labelsSchema,
  frequency_hz: z.union([z.number().int().min(1).max(10_000), parameterReference]).optional(),
  help: helpSchema.optional(),
});

/** What a run may cost when the manifest does not say. */
export const BUDGET_DEFAULTS = { cpu_percent: 1, map_bytes: 4 * 1024 * 1024, events_per_second: 1000 } as const;

const budgetSchema = z
  .strictObject({
    cpu_percent: z.number().positive().max(100).default(BUDGET_DEFAULTS.cpu_percent),
    map_bytes: bytesSchema.default(BUDGET_DEFAULTS.map_bytes),
    events_per_second: z.number().int().min(0).max(1_000_000).default(BUDGET_DEFAULTS.events_per_second),
  })
  .default(BUDGET_DEFAULTS);

const unique = <T extends { name: string }>(items: readonly T[]) =>
  new Set(items.map((i) => i.name)).size === items.length;

/** The shape of `probe.yaml`; unknown keys are refused, because a misspelt one would silently mean nothing. */
export const manifestSchema = z.strictObject({
  name: nameSchema,
  version: z.string().regex(SEMVER, 'must be a semantic version such as 1.0.0'),
  summary: z.string().min(1).max(200),
  params: z
    .record(z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'must be a lower-case parameter name'), paramSchema)
    .refine((params) => Object.keys(params).length <= 64, 'must not have more than 64 parameters')
    .default({}),
  attach: z.record(cNameSchema, attachSchema).default({}),
  metrics: z.array(metricSchema).max(64).refine(unique, 'must have names that differ').default([]),
  events: z.array(eventSchema).max(32).refine(unique, 'must have names that differ').default([]),
  profiles: z.array(profileSchema).max(8).refine(unique, 'must have names that differ').default([]),
  requires: z
    .strictObject({
      features: z
        .array(z.string().regex(/^[a-z][a-z0-9_.]{1,39}$/))
        .max(32)
        .default([]),
    })
    .default({
      features: [],
    }),
  budget: budgetSchema,
});

/** A parsed manifest, defaults filled in. Plain JSON: it is what the signed release carries. */
export type ProbeManifest = z.infer<typeof manifestSchema>;
export type MetricManifest = ProbeManifest['metrics'][number];
export type EventManifest = ProbeManifest['events'][number];
export type ProfileManifest = ProbeManifest['profiles'][number];
export type ParamManifest = ProbeManifest['params'][string];
export type ProbeBudget = ProbeManifest['budget'];
export type Buckets = NonNullable<MetricManifest['buckets']>;
export type LabelDecoder = (typeof LABEL_DECODERS)[number];
export type DeviceDecoder = (typeof DEVICE_DECODERS)[number];
