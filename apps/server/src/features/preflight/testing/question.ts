import type { Question } from '../decide/decide.js';
import type {
  FeatureFacts,
  KernelFacts,
  Known,
  MachineFacts,
  ObjectNeeds,
  OtherRuns,
  Proof,
  ReleaseFacts,
} from '../decide/facts.js';

export const MIB = 1024 ** 2;
const kernel: KernelFacts = {
  id: 'group',
  kernelRelease: '6.1.0-28-arm64',
  kernelArch: 'arm64',
  kernelBuildId: 'ab'.repeat(20),
  userBits: 64,
  jit: 'on',
  lsm: ['lockdown'],
  pageBytes: 4096,
  showsBtf: true,
};
const features: FeatureFacts = { features: ['btf', 'hash', 'raw_tracepoint', 'ringbuf'], lacks: ['tcx'] };
const machine: MachineFacts = { cpus: 2, possibleCpus: 2, memoryBytes: 512 * MIB, takesAddenda: true };
const object: ObjectNeeds = {
  digest: 'd',
  programs: [{ name: 'p', section: 'raw_tp/sys_enter' }],
  maps: [{ name: 'm', typeName: 'hash' }],
  relocations: 1,
  typeIdNeeds: [],
  tunables: [],
  mapBytes: ({ cpus }) => cpus * MIB,
};
const release: ReleaseFacts = {
  features: ['ringbuf'],
  budgetBytes: 4 * MIB,
  arches: ['any'],
  object,
  params: {},
  changedParams: [],
  globals: '',
};
export const proof: Proof = {
  by: 'lab',
  groupId: 'group',
  kernelRelease: kernel.kernelRelease,
  kernelArch: 'arm64',
  kernelBuildId: kernel.kernelBuildId,
  userBits: 64,
  jit: 'on',
  lsm: ['lockdown'],
  globals: '',
  verdict: 'accepted',
  reasons: [],
  at: new Date('2026-03-01T12:00:00Z'),
};
export const like: Proof = {
  ...proof,
  groupId: 'another',
  kernelRelease: '6.1.0-50-arm64',
  kernelBuildId: 'cd'.repeat(20),
};
const known: Known = {
  btf: { state: 'known', reason: null },
  resolution: { word: 'accepted', reasons: [] },
  unnamedHooks: [],
  addendum: false,
  proofs: [proof],
  unproven: null,
};

/** What is otherwise than in a question to which the answer is yes. */
export interface Change {
  kernel?: Partial<KernelFacts>;
  features?: Partial<FeatureFacts> | 'nobody';
  machine?: Partial<MachineFacts> | 'unknown';
  others?: OtherRuns;
  release?: Partial<ReleaseFacts>;
  object?: Partial<ObjectNeeds>;
  known?: Partial<Known>;
  proof?: Partial<Proof>;
}

export function ask(change: Change): Question {
  const changed = change.proof ? { proofs: [{ ...proof, ...change.proof }] } : {};
  return {
    kernel: { ...kernel, ...change.kernel },
    features: change.features === 'nobody' ? undefined : { ...features, ...change.features },
    machine: change.machine === 'unknown' ? undefined : { ...machine, ...change.machine },
    ...(change.others ? { others: change.others } : {}),
    release: { ...release, object: { ...object, ...change.object }, ...change.release },
    known: { ...known, ...changed, ...change.known },
  };
}
