import type { Answer, KernelFacts, Known, MachineFacts, ObjectNeeds, Resolution } from './facts.js';
import { doubt, NOTHING_FOUND, refusal, together, type Findings } from './findings.js';

export type Loaded = 'so' | 'by_default' | 'no';

export interface TypeFindings extends Findings {
  readonly resolution: Answer['resolution'];
  readonly types: Answer['types'];
}

/**
 * Whether the object finds its way in this kernel's types. `loaded`: this very kernel has taken the object with its own types,
 * which says more about what is missing than the types do: with these parameters, or only with the default ones.
 */
export function typeFindings(
  kernel: KernelFacts,
  machine: MachineFacts | undefined,
  object: ObjectNeeds,
  known: Known,
  loaded: Loaded,
): TypeFindings {
  const byId = typeIdFindings(kernel, object);
  if (object.relocations === 0) return { ...together(byId), resolution: 'not_needed', types: 'not_needed' };
  const source = kernel.showsBtf === false ? tailoredFindings(kernel, machine, known) : shownFindings(known);
  const { resolution } = known;
  const resolved = resolution === undefined ? NOTHING_FOUND : resolutionFindings(resolution, kernel, loaded);
  return {
    ...together([...byId, source, resolved]),
    resolution: resolution?.word ?? 'impossible',
    types: typesOf(kernel, known),
  };
}

/** Attaching by the id of a type in the running kernel, which nothing replaces. */
function typeIdFindings({ showsBtf }: KernelFacts, { typeIdNeeds }: ObjectNeeds): Findings[] {
  if (showsBtf === true) return [];
  if (showsBtf === false)
    return typeIdNeeds.map((sentence) => refusal('type_id', `${sentence} This kernel shows none.`));
  return typeIdNeeds.map((sentence) => doubt('type_id', `${sentence} Nobody has told whether this kernel shows it.`));
}

function typesOf({ showsBtf }: KernelFacts, { btf, addendum }: Known): Answer['types'] {
  if (showsBtf !== false) return 'own';
  if (btf.state === 'missing') return 'missing';
  return addendum ? 'tailored' : 'awaiting_signature';
}

function shownFindings({ btf, resolution }: Known): Findings {
  if (resolution !== undefined) return NOTHING_FOUND;
  const why = btf.reason === null ? '' : ` (${btf.reason})`;
  return btf.state === 'refused'
    ? doubt(
        'btf_refused',
        `The server could not take this kernel's types${why}, so nothing is known of the fields it reads.`,
      )
    : doubt(
        'btf_wanted',
        `The server does not have this kernel's types yet${why}; a device that runs it is asked for them.`,
      );
}

/** The agent refuses what cannot be relocated before it loads anything. */
function tailoredFindings(kernel: KernelFacts, machine: MachineFacts | undefined, { btf }: Known): Findings {
  if (kernel.kernelBuildId === null) {
    const sentence = 'Its kernel shows neither BTF nor a build id, so no BTF can be made for it.';
    return refusal('btf_unmatched', sentence);
  }
  if (machine?.takesAddenda === false) {
    return refusal(
      'agent_too_old',
      'Its kernel shows no BTF, and its agent is too old to be given one: update the agent.',
    );
  }
  if (btf.state !== 'missing') return NOTHING_FOUND;
  const sentence = `Its kernel shows no BTF, and the server has none for build ${kernel.kernelBuildId}: give it with bpfleet btf add.`;
  return refusal('btf_missing', sentence);
}

function resolutionFindings(resolution: Resolution, { showsBtf }: KernelFacts, loaded: Loaded): Findings {
  if (resolution.word === 'pending') {
    return doubt(
      'pending',
      'Nobody has looked yet what it comes to against this kernel’s types; it is being looked at.',
    );
  }
  if (resolution.word === 'accepted') return NOTHING_FOUND;
  const certain = resolution.word === 'refused';
  return together(
    resolution.reasons.map(({ kind, sentence }) => {
      switch (kind) {
        case 'type_id':
          // Said by the object itself, whether its types are known or not.
          return NOTHING_FOUND;
        case 'read_size':
          return refusal(kind, `The server refuses it, since the kernel would not: ${sentence}`);
        case 'poison':
          // What keeps the program from what is missing may be more than constants; the kernel that loaded it knows.
          if (certain ? loaded !== 'no' && showsBtf !== false : loaded === 'so') return NOTHING_FOUND;
          return certain
            ? refusal(kind, sentence)
            : doubt(kind, `${sentence} A parameter may keep it from getting there.`);
        case 'type_elsewhere':
          // A kernel of the lab that has loaded it had a module with it, which a device may not have.
          return doubt(kind, `${sentence} Only where a module has it and is loaded can it be loaded.`);
        default:
          return certain ? refusal(kind, sentence) : doubt(kind, sentence);
      }
    }),
  );
}
