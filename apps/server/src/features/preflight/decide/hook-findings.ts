import type { KernelHook } from '../../kernels/index.js';
import type { KernelFacts, Known, ObjectNeeds, Proof } from './facts.js';
import { doubt, NOTHING_FOUND, together, type Findings } from './findings.js';
import { nearest } from './proofs.js';

type Program = ObjectNeeds['programs'][number];

/** What of the kernel a section names to be attached to; undefined where that is nothing, or tried when it is loaded. */
export function hookOf(section: string): KernelHook | undefined {
  const [head = '', ...rest] = section.replace(/^\?/, '').split('/');
  const target = rest.join('/');
  switch (head) {
    case 'kprobe':
    case 'kretprobe': {
      const name = /^([A-Za-z0-9_.]+)(?:\+\w+)?$/.exec(target)?.[1];
      return name === undefined ? undefined : { kind: 'function', name };
    }
    case 'raw_tracepoint':
    case 'raw_tp':
    case 'raw_tracepoint.w':
    case 'raw_tp.w':
      return target === '' ? undefined : { kind: 'tracepoint', name: target };
    case 'tracepoint':
    case 'tp': {
      const [category, name] = rest;
      // Those of single system calls are no tracepoints of the kernel's.
      if (category === 'syscalls' || name === undefined || name === '') return undefined;
      return { kind: 'tracepoint', name };
    }
    default:
      return undefined;
  }
}

/**
 * Whether the hooks were looked for when it was loaded: by a kernel of the lab, with whatever parameters, which change no hook. The
 * server's own kernel loads in a jail, which may show no hooks; then nothing was missed, and nothing was found.
 */
export function hasLookedAtHooks({ by, verdict }: Proof): boolean {
  return by === 'lab' && verdict === 'accepted';
}

/**
 * Loading tells nothing of these hooks. A kernel of the same build was looked at when it loaded the object; one that is only of
 * the same series may have other functions, and then the types of this one say more.
 */
export function hookFindings(
  kernel: KernelFacts,
  { programs }: ObjectNeeds,
  { unnamedHooks, proofs }: Known,
): Findings {
  if (nearest(kernel, proofs.filter(hasLookedAtHooks)).exact !== undefined) return NOTHING_FOUND;
  return together(
    programs.map((program) => {
      const hook = hookOf(program.section);
      if (hook === undefined) return UNTOLD_BY_TYPES.test(program.section) ? notAsked(program) : NOTHING_FOUND;
      if (unnamedHooks === undefined) return hook.kind === 'function' ? notLooked(program, hook) : NOTHING_FOUND;
      return unnamedHooks.some(({ kind, name }) => kind === hook.kind && name === hook.name)
        ? notNamed(program, hook)
        : NOTHING_FOUND;
    }),
  );
}

/** Of single system calls, whose names types do not have, and of patterns. */
const UNTOLD_BY_TYPES = /^\??(?:(?:tp|tracepoint)\/syscalls\/|k(?:ret)?syscall\/|k(?:ret)?probe\.(?:multi|session)\/)/;

function notAsked({ name, section }: Program): Findings {
  return doubt(
    'hook_unknown',
    `Program ${name} (${section}) attaches to what types do not tell of, and no kernel of this build was asked whether it is there.`,
  );
}

function notLooked({ name, section }: Program, hook: KernelHook): Findings {
  return doubt(
    'hook_unknown',
    `Program ${name} (${section}) attaches to the function ${hook.name}, and nobody has looked whether this build has it.`,
  );
}

function notNamed({ name, section }: Program, hook: KernelHook): Findings {
  const why =
    hook.kind === 'function'
      ? 'it may be called otherwise, be part of its callers, or be in a module'
      : 'it may be of a module, or of another kernel';
  return doubt(
    'hook_unnamed',
    `Program ${name} (${section}) may load and still not attach: this kernel's types name no ${hook.kind} ${hook.name}; ${why}.`,
  );
}
