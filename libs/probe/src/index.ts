export { CopyWriter } from '@bpfleet/btf';
export { ManifestError, ParamError } from './manifest/error.js';
export type { ManifestIssue } from './manifest/error.js';
export { parseBytes } from './manifest/bytes.js';
export { parseManifest } from './manifest/parse.js';
export { BUDGET_DEFAULTS, DEVICE_DECODERS, LABEL_DECODERS, METRIC_UNITS, manifestSchema } from './manifest/schema.js';
export type {
  Buckets,
  DeviceDecoder,
  EventManifest,
  LabelDecoder,
  MetricManifest,
  ParamManifest,
  ProbeBudget,
  ProbeManifest,
  ProfileManifest,
} from './manifest/schema.js';
export type {
  AttachOptions,
  EventColumn,
  EventDecoder,
  HistogramPoint,
  MetricReader,
  ParamValue,
  PgType,
  ProfileReader,
  ProfileSample,
  ReaderContext,
  ScalarPoint,
  SeriesPoint,
  TelemetryPlan,
} from './types.js';
