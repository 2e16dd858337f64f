export { LibbpfError, VerifierError } from './errors.js';
export type { LibbpfErrorCode } from './errors.js';
export { parseVerifierLog } from './verifier-log.js';
export type { SourceLine, VerifierRefusal } from './verifier-log.js';
export { parseVerifierStats } from './verifier-stats.js';
export type { VerifierStats } from './verifier-stats.js';
export { errnoName } from './errno.js';
export { ObjectSpec, openObject } from './object-spec.js';
export type { OpenOptions } from './object-spec.js';
export { ProgramSpec } from './program-spec.js';
export type { AttachTarget } from './program-spec.js';
export { MapSpec } from './map-spec.js';
export { Global } from './global.js';
export { BpfObject } from './bpf-object.js';
export { Program } from './program.js';
export type { NetfilterOptions } from './program.js';
export type { PerfEventOptions } from './perf-event.js';
export type { TestRunOptions, TestRunResult } from './test-run.js';
export type {
  KprobeMultiOptions,
  KprobeOptions,
  UprobeMultiOptions,
  UprobeOptions,
  UsdtOptions,
} from './probe-target.js';
export { Link } from './link.js';
export {
  CgroupLink,
  IterLink,
  KprobeMultiLink,
  linkTypes,
  NetfilterLink,
  NetkitLink,
  NetnsLink,
  PerfEventLink,
  RawTracepointLink,
  SockmapLink,
  StructOpsLink,
  TcxLink,
  TracingLink,
  UpdatableLink,
  UprobeMultiLink,
  UsdtLink,
  XdpLink,
} from './link-kinds.js';
export type { LinkTypeFacts } from './link-kinds.js';
export { attachTypes } from './attach-types.js';
export type { AttachTypeFacts, AttachTypeName } from './attach-types.js';
export { capabilitiesToAttach, capabilitiesToCreate, privilegedActions } from './attach-capabilities.js';
export { mapTypes } from './map-types.js';
export type { MapTypeFacts } from './map-types.js';
export { lacksOfKernel } from './kernel-lacks.js';
export type { LinkInfo, PerfEventTarget } from './link-info.js';
export { ClsactFilter } from './clsact-filter.js';
export type { ClsactOptions, ClsactRecord } from './clsact-filter.js';
export { BpfMap } from './map.js';
export type { MapChunk, MapCreation, MapEntries } from './map.js';
export { perCpuCodec, u32Codec, u64Codec } from './codec.js';
export type { Codec } from './codec.js';
export type { TypeCodec } from './btf-types.js';
export type { BtfValue } from '@bpfleet/btf';
export { TypedMap } from './typed-map.js';
export { MapOfMaps } from './map-of-maps.js';
export { ProgramArray } from './program-array.js';
export { BloomFilter, MapQueue } from './keyless-maps.js';
export { lpmKey, parseLpmKey } from './lpm-key.js';
export { StorageMap } from './storage-map.js';
export type { StorageOwner } from './storage-map.js';
export { UserRingWriter } from './user-ring.js';
export { PerfReader } from './perf-reader.js';
export { RingReader } from './ring-reader.js';
export type { Drained, ReaderOptions, RecordReader } from './ring-reader.js';
export type { WaitOptions } from './wake-up.js';
export {
  droppedHandles,
  enableStats,
  libbpfVersion,
  possibleCpus,
  probeFeatures,
  returnFreedMemory,
} from './system.js';
export type { Features, StatsHandle } from './system.js';
export {
  listBtfs,
  listLinks,
  listMaps,
  listPrograms,
  walkBtfs,
  walkLinks,
  walkMaps,
  walkPrograms,
} from './enumerate.js';
export type { ListedBtf, ListedMap, ListedProgram, ListOptions } from './enumerate.js';
export { probeKernel } from './kernel-report.js';
export type { KernelReport, ProbeKernelOptions } from './kernel-report.js';
export { activeLsms } from './kernel-features.js';
export type { Answer, FeatureName } from './kernel-features.js';
export { hasConfig, readKernelConfig } from './kernel-config.js';
export type { ConfigAnswer, KernelConfig } from './kernel-config.js';
export { kernelMachine } from './kernel-machine.js';
export { KernelSymbols } from './kernel-symbols.js';
export { TraceableFunctions } from './traceable-functions.js';
export type { KernelSymbol, KernelSymbolOptions, ResolvedAddress } from './kernel-symbols.js';
export { kernelBuildId, listKernelBtf, readBtf, readKernelBtf } from './kernel-btf.js';
export type { KernelBtfFile } from './kernel-btf.js';
export { findOwners, Owners } from './owners.js';
export type { Owner, OwnerOptions } from './owners.js';
export { bpffsMounts, listPins } from './pins.js';
export type { PinnedObject, PinOptions, Pins } from './pins.js';
export { effectiveCapabilities, missingCapabilities, neededCapabilities, readPrivilegeFacts } from './capabilities.js';
export type { CapabilityName, PrivilegedAction, PrivilegeFacts } from './capabilities.js';
export type { MapInfo, ProgramInfo } from './native.js';
