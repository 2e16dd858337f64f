#!/usr/bin/env node
// Fuzzes the loader: malformed objects, BTF and programs, through this library and libbpf, under AddressSanitizer.
//
//   node libs/node-libbpf/fuzz/run.mjs --seed 1 --rounds 2000 [--seconds 30] [--jobs 1] [--real] [--unchecked]
//
// A round is made of its seed and number alone, so that the same two numbers give the same input on the same machine. Each
// finding is kept in .cache/fuzz/findings, made as small as it gets, with the command that runs it again. Exits with 1 if
// there is any. --target calls fuzzes the methods instead. --unchecked leaves out the check before libbpf, to see what it is for.
// --digest prints the SHA-256 of all inputs and runs nothing. --real lets every tenth round, or every call, go to this kernel (root; in
// namespaces of its own).
import { parseArgs } from 'node:util';
import { buildSanitized } from './build.mjs';
import { compileCorpus, Corpus } from './corpus.mjs';
import { Campaign } from './campaign.mjs';
import { digestOf } from './round.mjs';

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: 'objects' },
    seed: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '2000' },
    first: { type: 'string', default: '0' },
    seconds: { type: 'string', default: '3600' },
    jobs: { type: 'string', default: '1' },
    real: { type: 'boolean', default: false },
    unchecked: { type: 'boolean', default: false },
    digest: { type: 'boolean', default: false },
  },
});

const folders = await buildSanitized();
compileCorpus(folders.corpus);
if (values.digest) {
  console.log(digestOf(new Corpus(folders.corpus), Number(values.seed), Number(values.rounds)));
  process.exit(0);
}
const campaign = new Campaign(folders, values);
const summary = await campaign.run();
console.log(JSON.stringify(summary, null, 2));
process.exit(summary.findings.length === 0 ? 0 : 1);
