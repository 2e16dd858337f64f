#!/usr/bin/env node
// Fuzzes the loader: malformed objects, BTF and programs, through this library and libbpf, under AddressSanitizer.
//
//   node libs/node-libbpf/fuzz/run.mjs --seed 1 --rounds 2000 [--seconds 30] [--jobs 1] [--real] [--unchecked]
//
// A round is made of its seed and number alone, so that the same two numbers give the same input on the same machine. Each
// finding is kept in .cache/fuzz/findings, made as small as it gets, with the command that runs it again. Exits with 1 if
// there is any. --real lets every tenth round load into this kernel (root; in a mount namespace of its own).
import { parseArgs } from 'node:util';
import { buildSanitized } from './build.mjs';
import { compileCorpus } from './corpus.mjs';
import { Campaign } from './campaign.mjs';

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
  },
});

const folders = await buildSanitized();
compileCorpus(folders.corpus);
const campaign = new Campaign(folders, values);
const summary = await campaign.run();
console.log(JSON.stringify(summary, null, 2));
process.exit(summary.findings.length === 0 ? 0 : 1);
