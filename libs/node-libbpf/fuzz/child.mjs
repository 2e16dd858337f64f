// Runs a range of rounds in one process, which is the one that may crash. The number of the round it is in stands in a file.
//
//   node child.mjs --addon FOLDER --corpus FOLDER --work FOLDER --seed N --from N --to N [--unchecked] [--edits FILE]
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Corpus } from './corpus.mjs';
import { exerciseObject, exerciseProgram } from './exercise.mjs';
import { drawRound, inputOf } from './round.mjs';

const { values } = parseArgs({
  options: {
    addon: { type: 'string' },
    corpus: { type: 'string' },
    work: { type: 'string' },
    seed: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
    unchecked: { type: 'boolean', default: false },
    real: { type: 'boolean', default: false },
    edits: { type: 'string' },
  },
});

const load = (file) => import(pathToFileURL(join(values.addon, 'dist', file)).href);
const api = await load('index.js');
const { native } = await load('native.js');
const corpus = new Corpus(values.corpus);
process.env.BPFLEET_FUZZ_KALLSYMS = join(values.corpus, 'kallsyms');

const unchecked = (bytes, options) => {
  const made = native.openObject(bytes, 'object', options.btfCustomPath);
  if (typeof made === 'number') throw new api.LibbpfError('BPF_OPEN', 'open object', -made, native.takeLog());
  const open = (btfCustomPath) => native.openObject(bytes, 'object', btfCustomPath);
  return new api.ObjectSpec(made, { options, open });
};
const open = values.unchecked ? unchecked : api.openObject;
const typeOf = (spec, program) => spec.programs.find(({ name }) => name === program.name)?.type;

const scratch = join(values.work, 'input');
let attachable;

/** An object whose programs can be put on `program`; made once, since the input is the program. */
function attachableObject() {
  if (attachable === undefined) {
    process.env.BPFLEET_FUZZ_KERNEL = 'simulated';
    process.env.BPFLEET_FUZZ_VMLINUX = join(values.corpus, 'kernel.btf');
    process.env.BPFLEET_FUZZ_FAIL = '0';
    attachable = open(corpus.named('everything.bpf.o').bytes, {}).load();
  }
  return attachable;
}

function run(round) {
  const { random, what, kernel } = round;
  process.env.BPFLEET_FUZZ_KERNEL = values.real && kernel === 'real' ? 'real' : 'simulated';
  process.env.BPFLEET_FUZZ_VMLINUX = random.chance(0.02) ? '' : join(values.corpus, 'kernel.btf');
  process.env.BPFLEET_FUZZ_FAIL = random.chance(0.3) ? String(1 + random.below(40)) : '0';
  const bytes = inputOf(corpus, round);
  if (what === 'object') return exerciseObject(api, bytes, random, { open, typeOf, with: {} });
  writeFileSync(scratch, bytes);
  if (what === 'program') {
    process.env.BPFLEET_FUZZ_FAIL = '0';
    return exerciseProgram(api, scratch, random, attachableObject());
  }
  const object = corpus.pick(random, 'object').bytes;
  return exerciseObject(api, object, random, { open, typeOf, with: { btfCustomPath: scratch } });
}

// The round it is in and what became of those before stand in a file, since nothing else survives a crash.
// Before any call is made to fail: libbpf remembers for good what a kernel seemed unable to do.
attachableObject();

const progress = openSync(join(values.work, 'progress'), 'w');
const counts = {};
const note = (round) => writeSync(progress, `${JSON.stringify({ round, counts })}\n`, 0);
const only = values.edits === undefined ? undefined : JSON.parse(readFileSync(values.edits, 'utf8'));
const end = Number(values.to);
for (let index = Number(values.from); index < end; index += 1) {
  note(index);
  const round = drawRound(corpus, Number(values.seed), index, only);
  const outcome = `${round.what} ${run(round)}`;
  counts[outcome] = (counts[outcome] ?? 0) + 1;
  // Finalizers run between turns.
  if (index % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
}
note(end);
closeSync(progress);
