import {
  allMapBytesMax,
  attachOptions,
  blindSpots,
  globalImages,
  kernelTypeNeeds,
  ManifestError,
  mapBytesMax,
  mapMemoryBytes,
  ParamError,
  parseManifest,
  readObject,
  resolveParams,
  telemetryPlan,
  type AttachOptions,
  type BpfObjectFile,
  type KernelTypeNeeds,
  type ProbeManifest,
  type TelemetryPlan,
} from '@bpfleet/probe';
import type { DesiredEntry, ReleaseDocument } from '@bpfleet/trust';
import type { Facts } from '@bpfleet/wire';
import { AgentError } from '../agent-error.js';
import { errorFacts } from '../log.js';

/** Everything that a signed release and an entry of a signed desired state say about one run on this machine. */
export interface ReleasePlan {
  readonly name: string;
  readonly globals: ReadonlyMap<string, Uint8Array>;
  readonly telemetry: TelemetryPlan;
  readonly mapBytes: number;
  /** What the kernel has to have, beside what shows when it is loaded. */
  readonly features: readonly string[];
  readonly wantsInterfaces: boolean;
  readonly typeNeeds: KernelTypeNeeds;
  readonly attachOptionsOf: (program: string) => AttachOptions;
}

export type ReleaseObject = ReleaseDocument['objects'][number];

/** @throws AgentError RELEASE_ARCH */
export function objectFor(release: ReleaseDocument, arch: Facts['kernelArch']): ReleaseObject {
  const object = release.objects.find((one) => one.arch === arch) ?? release.objects.find((one) => one.arch === 'any');
  if (object) return object;
  const there = release.objects.map((one) => one.arch).join(', ');
  throw new AgentError('RELEASE_ARCH', `the release has objects for ${there}, this machine is ${arch}`, { arch });
}

export interface PlanMachine {
  /** Possible, not online. */
  readonly cpus: number;
  readonly pageBytes: number;
  readonly memoryBytes: number;
  readonly kernelArch: string;
  readonly userBits: number;
}

/** @throws AgentError MANIFEST_INVALID, OBJECT_INVALID, PARAM_INVALID, BUDGET_MAP_BYTES, DEVICE_MEMORY, BLIND_SPOT */
export function planRelease(
  release: ReleaseDocument,
  objectBytes: Buffer,
  entry: DesiredEntry,
  machine: PlanMachine,
): ReleasePlan {
  try {
    const manifest = parseManifest(release.manifest);
    const object = readObject(objectBytes);
    const params = resolveParams(manifest, entry.params);
    const mapBytes = mapMemoryBytes(object, machine).reduce((sum, { bytes }) => sum + bytes, 0);
    assertRoom(mapBytes, entry.budget.mapBytes, machine);
    assertSeeing(object, machine);
    return {
      name: manifest.name,
      globals: globalImages(object, manifest, params),
      telemetry: telemetryPlan(manifest, object),
      mapBytes,
      features: manifest.requires.features,
      wantsInterfaces: usesDecoder(manifest, 'ifname'),
      typeNeeds: kernelTypeNeeds(object),
      attachOptionsOf: (program) => attachOptions(manifest, program, params),
    };
  } catch (error) {
    throw planError(error);
  }
}

/** @throws AgentError BUDGET_MAP_BYTES, DEVICE_MEMORY */
function assertRoom(mapBytes: number, budgetBytes: number, { memoryBytes, pageBytes }: PlanMachine): void {
  // Rings and small maps are whole pages: what fits elsewhere may not fit here.
  const pages = pageBytes > 4096 ? `, whose pages are ${pageBytes} bytes` : '';
  if (mapBytes > budgetBytes) {
    throw new AgentError(
      'BUDGET_MAP_BYTES',
      `its maps take ${mapBytes} bytes on this machine${pages}; the budget is ${budgetBytes}`,
      { mapBytes, budgetBytes },
    );
  }
  const maxBytes = mapBytesMax(memoryBytes);
  if (mapBytes > maxBytes) {
    throw new AgentError(
      'DEVICE_MEMORY',
      `its maps take ${mapBytes} bytes${pages}; a machine with ${memoryBytes} bytes of memory lets one probe have ${maxBytes}`,
      { mapBytes, maxBytes, memoryBytes },
    );
  }
}

/**
 * Beside the runs that are in the kernel now. It may fit later, so that it is tried again.
 * @throws AgentError DEVICE_FULL
 */
export function requireRoomBeside(othersBytes: number, mapBytes: number, memoryBytes: number): void {
  const maxBytes = allMapBytesMax(memoryBytes);
  if (memoryBytes === 0 || othersBytes + mapBytes <= maxBytes) return;
  throw new AgentError(
    'DEVICE_FULL',
    `its maps take ${mapBytes} bytes beside the ${othersBytes} of what runs; a machine with ${memoryBytes} bytes of memory lets all probes together have ${maxBytes}`,
    { mapBytes, othersBytes, maxBytes, memoryBytes },
  );
}

/**
 * What would attach and see nothing is no run: its zeros would be believed.
 * @throws AgentError BLIND_SPOT
 */
function assertSeeing(object: BpfObjectFile, machine: PlanMachine): void {
  const spots = blindSpots(object, machine);
  if (spots.length === 0) return;
  const { kernelArch, userBits } = machine;
  throw new AgentError('BLIND_SPOT', spots.map(({ sentence }) => sentence).join(' '), { kernelArch, userBits });
}

function planError(error: unknown): unknown {
  if (error instanceof AgentError) return error;
  const { message } = errorFacts(error);
  if (error instanceof ManifestError) return new AgentError('MANIFEST_INVALID', message);
  if (error instanceof ParamError) return new AgentError('PARAM_INVALID', message, { param: error.param });
  return new AgentError('OBJECT_INVALID', message);
}

function usesDecoder(manifest: ProbeManifest, decoder: string): boolean {
  const named = (spec: string | { decode: string }): boolean =>
    (typeof spec === 'string' ? spec : spec.decode) === decoder;
  return (
    [...manifest.metrics, ...manifest.profiles].some(({ labels }) => Object.values(labels).some(named)) ||
    manifest.events.some(({ fields }) => Object.values(fields).some(named))
  );
}
