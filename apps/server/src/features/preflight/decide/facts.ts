import type { BtfState, PreflightAnswer } from '@bpfleet/api';
import type { ParamValue } from '@bpfleet/probe';
import type { KernelHook, KernelVerdictWord, VerdictReason } from '../../kernels/index.js';

/** The kernel that is asked about: that of a kernel group, or one that devices might get. */
export interface KernelFacts {
  /** Of its group; null for a kernel that no device has told. */
  readonly id: string | null;
  readonly kernelRelease: string;
  readonly kernelArch: string;
  readonly kernelBuildId: string | null;
  readonly userBits: number;
  readonly jit: string | null;
  readonly lsm: readonly string[];
  readonly pageBytes: number;
  /** Undefined for a kernel of which only the types are known. */
  readonly showsBtf: boolean | undefined;
}

/** What a kernel can do, as an agent on it found out. `lacks` is absent where the agent is too old to tell. */
export interface FeatureFacts {
  readonly features: readonly string[];
  readonly lacks: readonly string[] | undefined;
}

export interface MachineFacts {
  /** There now, which `possibleCpus` may exceed. */
  readonly cpus: number;
  readonly possibleCpus: number | undefined;
  readonly memoryBytes: number;
  /** Whether its agent takes a tailored BTF. */
  readonly takesAddenda: boolean;
}

/** What else a device has or is to have, and what the maps of that take there. */
export interface OtherRuns {
  readonly runs: number;
  readonly bytes: number;
  /** Of those that are in its kernel now. */
  readonly attachedBytes: number;
}

/** What one object needs of a kernel and a machine. */
export interface ObjectNeeds {
  readonly digest: string;
  /** Those that an agent loads. */
  readonly programs: readonly { readonly name: string; readonly section: string }[];
  readonly maps: readonly { readonly name: string; readonly typeName: string }[];
  /** CO-RE relocations. */
  readonly relocations: number;
  /** What needs types that the kernel itself shows: a sentence each. */
  readonly typeIdNeeds: readonly string[];
  /** Names of the variables that parameters may be written into. */
  readonly tunables: readonly string[];
  mapBytes(machine: { readonly cpus: number; readonly pageBytes: number }): number;
}

export interface ReleaseFacts {
  readonly features: readonly string[];
  readonly budgetBytes: number;
  readonly arches: readonly string[];
  /** That for the kernel's architecture; undefined when there is none, `unreadable` when it cannot be read any more. */
  readonly object: ObjectNeeds | 'unreadable' | undefined;
  /** With what it is to run; defaults included. */
  readonly params: Readonly<Record<string, ParamValue>>;
  /** Parameters that the programs hold and that differ from their defaults. */
  readonly changedParams: readonly string[];
  /** What the parameters make of its data, as the lab names it; empty for what the defaults make of it. */
  readonly globals: string;
}

/** What one kernel made of the release when it was asked to load it. */
export interface Proof {
  readonly by: 'lab' | 'server';
  /** Of the kernel group that it is about; null where it is the server's own kernel, which is in none. */
  readonly groupId: string | null;
  readonly kernelRelease: string;
  readonly kernelArch: string;
  readonly kernelBuildId: string | null;
  readonly userBits: number;
  /** Undefined where it was not noted: the server's. */
  readonly jit: string | null | undefined;
  readonly lsm: readonly string[] | undefined;
  /** Of what it was asked with: ReleaseFacts. */
  readonly globals: string;
  readonly verdict: KernelVerdictWord;
  readonly reasons: readonly VerdictReason[];
  readonly at: Date;
}

/** What the release comes to against the kernel's types; `pending` while nobody has looked. */
export type Resolution =
  { readonly word: KernelVerdictWord; readonly reasons: readonly VerdictReason[] } | { readonly word: 'pending' };

export interface Known {
  /** Whether the server has the kernel's types. */
  readonly btf: Pick<BtfState, 'state' | 'reason'>;
  /** Undefined where there are no types to resolve against. */
  readonly resolution: Resolution | undefined;
  /** Of what the object attaches to by name, what the kernel's types do not name; undefined while nobody has looked, or cannot. */
  readonly unnamedHooks: readonly KernelHook[] | undefined;
  /** A tailored BTF for this object and build is made and signed. */
  readonly addendum: boolean;
  readonly proofs: readonly Proof[];
  /** Why not even the server's own kernel could be asked. */
  readonly unproven: string | null;
}

export interface Reason {
  readonly kind: string;
  readonly sentence: string;
}

export type Answer = PreflightAnswer;
