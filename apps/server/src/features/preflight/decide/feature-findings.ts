import { blindSpots, isBeforeOldestTested, OLDEST_TESTED_KERNEL, untestedBefore } from '@bpfleet/probe';
import { programTypeOf } from '../../../verify/index.js';
import {
  ACTIVE_BPF_LSM,
  attachNeeds,
  BPF_LSM,
  isAttachedByAgents,
  mayLackTcx,
  mayLackTrampolines,
  WHY_NEEDED,
} from './attach-needs.js';
import type { FeatureFacts, KernelFacts, ObjectNeeds, ReleaseFacts } from './facts.js';
import { doubt, NOTHING_FOUND, refusal, together, type Findings } from './findings.js';

type Presence = 'yes' | 'no' | 'unknown';

/** Kernels that run in no test are refused whatever they could do; what only another architecture's tests see is doubted. */
export function gateFindings({ kernelRelease, kernelArch }: KernelFacts): Findings {
  const there = untestedBefore(kernelArch, kernelRelease);
  if (there !== undefined) {
    const arch = kernelArch === 'arm' ? 'armv7' : kernelArch;
    const sentence = `Its kernel is ${kernelRelease}, and probes are not tested on ${arch} before ${there.major}.${there.minor}.`;
    return doubt('kernel_untested', sentence);
  }
  if (!isBeforeOldestTested(kernelRelease)) return NOTHING_FOUND;
  const { major, minor } = OLDEST_TESTED_KERNEL;
  const sentence = `Its kernel is ${kernelRelease}; nothing before ${major}.${minor} is tested, so nothing is let onto it.`;
  return refusal('kernel_too_old', sentence);
}

/** `found`: what an agent on that kernel said; undefined where none has. */
export function featureFindings(
  kernel: KernelFacts,
  found: FeatureFacts | undefined,
  release: ReleaseFacts,
  object: ObjectNeeds,
): Findings {
  return together([
    agentFindings(found),
    ...release.features.map((name) => requiredFindings(name, kernel, found, object)),
    ...mapTypesOf(object).map((type) => mapFindings(type, found)),
    ...object.programs.map((program) => programFindings(program, kernel, found)),
    ...object.programs.map((program) => userCodeFindings(program, kernel)),
    // The agent refuses by the same rule: the kernel would not say a word.
    ...blindSpots(object, kernel).map(({ sentence }) => refusal('blind_spot', sentence)),
  ]);
}

/** Every kernel that can load anything has hash maps. */
function agentFindings(found: FeatureFacts | undefined): Findings {
  if (found?.lacks === undefined || found.features.length > 0) return NOTHING_FOUND;
  return doubt('agent_idle', 'Its agent found nothing that it may load there, or was told to leave the kernel alone.');
}

function requiredFindings(
  name: string,
  kernel: KernelFacts,
  found: FeatureFacts | undefined,
  object: ObjectNeeds,
): Findings {
  const has = name === 'btf' ? (kernel.showsBtf ? 'yes' : 'no') : required(name, kernel, found);
  if (has === 'yes') return NOTHING_FOUND;
  if (has === 'no') return refusal('feature', `It lacks ${name}, which the probe requires.`);
  // What the object itself uses is tried when a kernel loads it.
  if (found === undefined && usedFeatures(object).includes(name)) return NOTHING_FOUND;
  return doubt('feature', `Nobody has told whether it has ${name}, which the probe requires.`);
}

/** An agent that is too old to say what is missing named all that was there. */
function required(name: string, kernel: KernelFacts, found: FeatureFacts | undefined): Presence {
  const has = presenceOn(kernel, name, found);
  return has === 'unknown' && found !== undefined && found.lacks === undefined ? 'no' : has;
}

function mapFindings(type: string, found: FeatureFacts | undefined): Findings {
  if (presence(type, found) !== 'no') return NOTHING_FOUND;
  return refusal('map_type', `It uses a map of type ${type}, which this kernel does not have.`);
}

function programFindings(
  { name, section }: ObjectNeeds['programs'][number],
  kernel: KernelFacts,
  found: FeatureFacts | undefined,
): Findings {
  if (!isAttachedByAgents(section))
    return refusal('attach_type', `Program ${name} (${section}) is of a type that agents do not attach.`);
  const { features, trampoline } = attachNeeds(section);
  const missing = features.find((feature) => presenceOn(kernel, feature, found) === 'no');
  if (missing !== undefined) {
    const why = Object.hasOwn(WHY_NEEDED, missing) ? WHY_NEEDED[missing] : '';
    const lack = `needs ${missing}, which this kernel does not have`;
    return refusal('attach_type', `Program ${name} (${section}) ${lack}${why}.`);
  }
  if (features.includes('tcx') && presence('tcx', found) === 'unknown' && mayLackTcx(kernel.kernelRelease)) {
    return doubt('attach_type', `Program ${name} (${section}) needs tcx${WHY_NEEDED['tcx']}; nobody has told.`);
  }
  // LSM programs are attached in the same way, whose own feature does not say whether it works.
  const works = presence('fentry', found);
  if (!trampoline || works === 'yes') return NOTHING_FOUND;
  const mayLack = mayLackTrampolines(kernel.kernelArch, kernel.kernelRelease);
  if (works === 'unknown' && !mayLack) return NOTHING_FOUND;
  if (works === 'no' && mayLack) {
    const sentence = `Program ${name} (${section}) loads and is attached as fentry is, which was tried on this kernel and fails.`;
    return refusal('trampoline', sentence);
  }
  return doubt('trampoline', `Program ${name} (${section}) may load and still not attach on this kernel.`);
}

/**
 * Whether that file is there, and that function in it, the device's own files alone tell: its agent reads them, and refuses in words.
 * Kernels of 32-bit ARM know uprobes in ARM code only besides (arch/arm/probes/uprobes/core.c).
 */
function userCodeFindings({ name, section }: ObjectNeeds['programs'][number], { kernelArch }: KernelFacts): Findings {
  if (programTypeOf(section) !== 'uprobe') return NOTHING_FOUND;
  if (kernelArch !== 'arm') {
    return doubt(
      'user_code',
      `Program ${name} (${section}) attaches only where the device has that file, and in it what it names.`,
    );
  }
  return doubt(
    'thumb_code',
    `Program ${name} (${section}) attaches only where that is ARM code on the device: kernels of 32-bit ARM set no uprobes in Thumb code, which most of a Debian or Yocto system is.`,
  );
}

function usedFeatures(object: ObjectNeeds): string[] {
  return [...mapTypesOf(object), ...object.programs.flatMap(({ section }) => attachNeeds(section).features)];
}

function mapTypesOf({ maps }: ObjectNeeds): string[] {
  return [...new Set(maps.map(({ typeName }) => typeName))];
}

/** Which security modules are active a kernel says itself, and it is another than its group's where a device starts it otherwise. */
function presenceOn({ lsm }: KernelFacts, name: string, found: FeatureFacts | undefined): Presence {
  if (name !== ACTIVE_BPF_LSM || lsm.length === 0) return presence(name, found);
  return lsm.includes(BPF_LSM) ? 'yes' : 'no';
}

function presence(name: string, found: FeatureFacts | undefined): Presence {
  if (found?.features.includes(name)) return 'yes';
  return found?.lacks?.includes(name) ? 'no' : 'unknown';
}
