// The agent knows BTF only through this library.
export { BtfError, CopyWriter, gnuBuildId, kernelTypeNeeds, readObject } from '@bpfleet/btf';
export type { BpfObjectFile, KernelTypeNeeds, MapDefinition, ProgramDefinition } from '@bpfleet/btf';
export { checkManifest } from './manifest/check.js';
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
export { attachOptions, resolveParams } from './params/params.js';
export { constantData, globalImages } from './params/images.js';
export { FIXED_COLUMNS, eventColumns } from './events/event.js';
export { eventDecoder } from './events/decoder.js';
export { slotFor } from './metrics/buckets.js';
export { bucketBounds, metricReader } from './metrics/reader.js';
export { profileReader } from './profiles/profile.js';
export { blindSpots } from './plan/blind-spots.js';
export type { BlindSpot, KernelAndUserLand } from './plan/blind-spots.js';
export {
  allMapBytesMax,
  compareSeries,
  isBeforeOldestTested,
  kernelSeries,
  mapBytesMax,
  OLDEST_TESTED_BY_ARCH,
  OLDEST_TESTED_KERNEL,
  untestedBefore,
} from './plan/device-limits.js';
export type { KernelSeries } from './plan/device-limits.js';
export { mapMemoryBytes } from './plan/memory.js';
export type { Machine, MapMemory } from './plan/memory.js';
export { pageBytesOf } from './plan/page-bytes.js';
export type { AuxiliaryVectorOf } from './plan/page-bytes.js';
export { isTcSection, tcDirection } from './plan/tc.js';
export { telemetryPlan } from './plan/telemetry.js';
export { addressText } from './names/address.js';
export { ERRNO_NAMES } from './names/errno.js';
export { compatSyscallName, syscallName } from './names/syscalls.js';
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
  TcDirection,
  TelemetryPlan,
} from './types.js';
export { kernelFeatures } from './plan/kernel-features.js';
export type { KernelAnswers, KernelFeatures } from './plan/kernel-features.js';
