import { allMapBytesMax, mapBytesMax } from '@bpfleet/probe';
import type { PreflightProof } from '@bpfleet/api';
import { featureFindings, gateFindings } from './feature-findings.js';
import type {
  Answer,
  FeatureFacts,
  KernelFacts,
  Known,
  MachineFacts,
  OtherRuns,
  ObjectNeeds,
  Proof,
  Reason,
  ReleaseFacts,
} from './facts.js';
import { doubt, NOTHING_FOUND, refusal, together, type Findings } from './findings.js';
import { hookFindings } from './hook-findings.js';
import { nearest, type Closeness, type Nearest } from './proofs.js';
import { typeFindings, type Loaded } from './type-findings.js';

/** What is asked: a release, on a kernel, in a machine. Undefined is what nobody has told. */
export interface Question {
  readonly kernel: KernelFacts;
  readonly features: FeatureFacts | undefined;
  readonly machine: MachineFacts | undefined;
  /** Absent where it is asked about one run by itself. */
  readonly others?: OtherRuns;
  readonly release: ReleaseFacts;
  readonly known: Known;
}

const REASONS_MAX = 10;

/**
 * Whether a kernel will take a release. Pure; the one place that decides.
 *
 * `refuses` is only what is certain: what kernel, agent or server will say no to, by what is known of this very kernel and
 * machine. `takes` needs that nothing speaks against it, that its types fit, and that this kernel or one like it has loaded it.
 */
export function decide({ kernel, features, machine, others, release, known }: Question): Answer {
  const gate = gateFindings(kernel);
  const { object } = release;
  if (object === undefined || object === 'unreadable') {
    const found = together([gate, object === undefined ? noObject(kernel, release) : unreadable()]);
    return answer(found, undefined, { resolution: 'impossible', types: kernel.showsBtf === false ? 'missing' : 'own' });
  }
  const asked = askedOf(kernel, release, known);
  const types = typeFindings(kernel, machine, object, known, asked.loaded);
  const found = together([
    gate,
    featureFindings(kernel, features, release, object),
    machine === undefined ? NOTHING_FOUND : memoryFindings(kernel, machine, others, release, object),
    types,
    hookFindings(kernel, object, known),
    proofFindings(asked, kernel, known, release),
  ]);
  return answer(found, proofOf(asked), types);
}

function noObject({ kernelArch }: KernelFacts, { arches }: ReleaseFacts): Findings {
  return refusal('arch', `The release has objects for ${arches.join(', ')}, and none for ${kernelArch}.`);
}

function unreadable(): Findings {
  return doubt('unread', 'The object of the release cannot be read any more.');
}

/** What its maps take there; 0 where that cannot be told. */
export function mapBytesOf({ kernel, machine, release: { object } }: Question): number {
  return machine === undefined || typeof object !== 'object' ? 0 : mapBytesOn(kernel, machine, object);
}

/** The agent counts in the same way. Without the number of possible CPUs it is at least that much. */
function mapBytesOn({ pageBytes }: KernelFacts, { cpus, possibleCpus }: MachineFacts, object: ObjectNeeds): number {
  return object.mapBytes({ cpus: Math.max(cpus, possibleCpus ?? 0, 1), pageBytes: Math.max(pageBytes, 1) });
}

/** As the agent decides before it loads anything. */
function memoryFindings(
  kernel: KernelFacts,
  machine: MachineFacts,
  others: OtherRuns | undefined,
  { budgetBytes }: ReleaseFacts,
  object: ObjectNeeds,
): Findings {
  const bytes = mapBytesOn(kernel, machine, object);
  const { memoryBytes } = machine;
  const over = bytes > budgetBytes;
  const large = memoryBytes > 0 && bytes > mapBytesMax(memoryBytes);
  const maps = `Its maps take ${kibibytes(bytes)} on this machine${largePages(kernel.pageBytes)}`;
  return together([
    over ? refusal('budget', `${maps}, and the probe's budget is ${kibibytes(budgetBytes)}.`) : NOTHING_FOUND,
    large
      ? refusal(
          'memory',
          `${maps}, which has ${kibibytes(memoryBytes)} of memory and lets one probe have ${kibibytes(mapBytesMax(memoryBytes))}.`,
        )
      : NOTHING_FOUND,
    others && !large ? besideFindings(bytes, memoryBytes, others) : NOTHING_FOUND,
  ]);
}

/** What is not in the kernel yet may never get there; then there is room. */
function besideFindings(
  bytes: number,
  memoryBytes: number,
  { runs, bytes: theirs, attachedBytes }: OtherRuns,
): Findings {
  const max = allMapBytesMax(memoryBytes);
  if (memoryBytes === 0 || theirs + bytes <= max) return NOTHING_FOUND;
  const beside = `the ${kibibytes(theirs)} of ${runs} other ${runs === 1 ? 'run' : 'runs'}`;
  const sums = `Its maps take ${kibibytes(bytes)} beside ${beside}, together ${kibibytes(theirs + bytes)}`;
  const room = `a machine with ${kibibytes(memoryBytes)} of memory lets all probes together have ${kibibytes(max)}`;
  if (attachedBytes + bytes > max) return refusal('memory_together', `${sums}; ${room}.`);
  return doubt('memory_together', `${sums}; ${room}, so that it fits only if not all of those attach.`);
}

/** What kernels like this one were asked: with these parameters, or where none was, with the default ones. */
interface Asked extends Nearest {
  readonly loaded: Loaded;
  /** With these parameters. */
  readonly isSame: boolean;
  /** Them, where they are not the default: ` with depth = 64`. */
  readonly withParams: string;
}

const PARAMS_CHARS_MAX = 200;

/** A verifier takes parameters for constants: with others it sees another program, and its word is about the one it saw. */
function askedOf(kernel: KernelFacts, { globals, changedParams, params }: ReleaseFacts, { proofs }: Known): Asked {
  const with_ = (wanted: string): Nearest =>
    nearest(
      kernel,
      proofs.filter((proof) => proof.globals === wanted),
    );
  const byDefault = with_('');
  const isLoaded = ({ exact }: Nearest): boolean => exact?.proof.verdict === 'accepted';
  if (globals === '') return { ...byDefault, loaded: isLoaded(byDefault) ? 'so' : 'no', isSame: true, withParams: '' };
  const same = with_(globals);
  // What this very kernel says of the defaults counts for more than what one like it says of these.
  const isLike =
    same.series.some(({ verdict }) => verdict !== 'unknown') && byDefault.exact?.proof.verdict !== 'refused';
  const isSame = same.exact !== undefined || isLike;
  const named = changedParams.map((name) => `${name} = ${JSON.stringify(params[name])}`).join(', ');
  return {
    ...(isSame ? same : byDefault),
    loaded: isLoaded(same) ? 'so' : isLoaded(byDefault) ? 'by_default' : 'no',
    isSame,
    withParams: isSame ? ` with ${named.slice(0, PARAMS_CHARS_MAX)}` : '',
  };
}

function proofFindings(
  asked: Asked,
  kernel: KernelFacts,
  { unproven }: Known,
  { changedParams }: ReleaseFacts,
): Findings {
  const { exact, series, isSame, withParams } = asked;
  const word = exact?.proof.verdict;
  const others = `${changedParams.join(', ')} ${changedParams.length === 1 ? 'differs' : 'differ'} from the default`;
  const loaded = isSame
    ? NOTHING_FOUND
    : doubt('other_params', `It was loaded with the default parameters, and ${others}.`);
  if (word === 'accepted') return loaded;
  if (exact !== undefined && word === 'refused') {
    if (!isSame) {
      const [why = ''] = whyOf(exact.proof);
      return doubt('other_params', `This kernel refused it with the default parameters, and ${others}: ${why}`);
    }
    return together(
      whyOf(exact.proof).map((sentence) =>
        refusal('proven_refused', `This kernel refused it${withParams}: ${sentence}`),
      ),
    );
  }
  const refused = series.find(({ verdict }) => verdict === 'refused');
  if (refused) {
    const [why = ''] = whyOf(refused);
    return doubt('series_refused', `${nameOf(refused)}, of the same series, refused it${withParams}: ${why}`);
  }
  const silent = exact ? together(whyOf(exact.proof).map((sentence) => doubt('unproven', sentence))) : NOTHING_FOUND;
  if (silent.doubts.length > 0) return silent;
  if (series.some(({ verdict }) => verdict === 'accepted')) return loaded;
  const why = unproven === null ? '' : ` (the server's own kernel: ${unproven})`;
  const sentence = `No kernel like it has been asked to load it; only resolution is claimed${why}.`;
  return doubt('unproven', [sentence, ...unlike(kernel)].join(' '));
}

/**
 * What keeps the kernels of a lab from being like this one, and what to do about it. That a JIT hardens its code is a sysctl,
 * which kernels take from their command line since 5.8 (`sysctl.…=`, Documentation/admin-guide/kernel-parameters.txt).
 */
function unlike({ jit }: KernelFacts): string[] {
  if (jit === 'hardened') {
    const add = 'bpfleet lab add … --cmdline "sysctl.net.core.bpf_jit_harden=1"';
    return [
      `It hardens what its JIT makes (net.core.bpf_jit_harden), and so must a kernel of the lab to be like it: ${add}.`,
    ];
  }
  if (jit !== null) return [];
  return [
    'Its agent could not read whether the JIT is on (net.core.bpf_jit_enable), which only the network of the host shows, so no kernel of the lab passes for one like it: run the agent in the network of its host and not in one of a container.',
  ];
}

/** What a kernel gave as its reasons, made to end like sentences. */
function whyOf({ reasons, verdict }: Proof): string[] {
  if (reasons.length === 0) return [verdict === 'refused' ? 'it gave no reason.' : 'A kernel like it could not say.'];
  return reasons.map(({ program, sentence }) => {
    const ended = /[.!?…]$/.test(sentence) ? sentence : `${sentence}.`;
    return program === undefined ? ended : `${program}: ${ended}`;
  });
}

/** The proof, and what is said of it. */
interface Shown {
  readonly proof: PreflightProof;
  readonly withParams: string;
}

function proofOf({ exact, series, withParams }: Asked): Shown | undefined {
  if (exact?.proof.verdict === 'accepted') return { proof: shown(exact.closeness, exact.proof), withParams };
  const like = series.find(({ verdict }) => verdict === 'accepted');
  return like && exact?.proof.verdict !== 'refused' ? { proof: shown('same_series', like), withParams } : undefined;
}

function shown(closeness: Closeness, { by, kernelRelease, kernelArch, at }: Proof): PreflightProof {
  return { closeness, by, kernelRelease, kernelArch, at: at.toISOString() };
}

function answer(
  { refusals, doubts }: Findings,
  proof: Shown | undefined,
  { resolution, types }: Pick<Answer, 'resolution' | 'types'>,
): Answer {
  const verdict = refusals.length > 0 ? 'refuses' : doubts.length > 0 || !proof ? 'unknown' : 'takes';
  const reasons = verdict === 'refuses' ? refusals : [...doubts, ...(proof ? [proven(proof)] : [])];
  const signing = types === 'awaiting_signature' && verdict !== 'refuses' ? [AWAITING] : [];
  return {
    verdict,
    reasons: unique([...reasons.slice(0, REASONS_MAX), ...signing]),
    proof: proof?.proof ?? null,
    resolution,
    types,
  };
}

const AWAITING: Reason = {
  kind: 'awaiting_signature',
  sentence: 'Its kernel shows no BTF: the one made for it awaits its signature, which it gets when it is offered.',
};

function proven({ proof: { closeness, by, kernelRelease, kernelArch }, withParams }: Shown): Reason {
  const who = `${kernelRelease} (${kernelArch}, ${by === 'lab' ? 'in the lab' : "the server's own"})`;
  const sentence = {
    same_group: `This very kernel has loaded it${withParams}.`,
    same_build: `A kernel of the same build has loaded it${withParams}: ${who}.`,
    same_series: `A kernel of the same series has loaded it${withParams}: ${who}; this build was not asked.`,
  }[closeness];
  return { kind: 'proven', sentence };
}

function unique(reasons: readonly Reason[]): Reason[] {
  return [...new Map(reasons.map((reason) => [reason.sentence, reason])).values()];
}

function nameOf({ kernelRelease, kernelArch }: Proof): string {
  return `${kernelRelease} (${kernelArch})`;
}

/** Rings and small maps are whole pages: what fits elsewhere may not fit here. */
function largePages(pageBytes: number): string {
  return pageBytes > 4096 ? ` with pages of ${kibibytes(pageBytes)}` : '';
}

function kibibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024)} KiB`;
}
