import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { readObject } from '@bpfleet/btf';
import { missingCapabilities } from '@bpfleet/testkit';
import { ProveJail } from '../prove/prove-jail.js';
import type { VerifierReport } from '../prove/verifier-report.js';
import { BUILT_IN_PROBES, compileBuiltIn, compileForTest, PREAMBLE } from '../testing/compile-for-test.js';
import { describeWithJail } from '../testing/describe-with-jail.js';
import { verifyUnder, WITHOUT } from '../testing/verify-under.js';
import { explainRefusal } from './explain-refusal.js';
import { explainReport } from './explain-report.js';
import type { RefusalClass } from './refusal-rules.js';
import { GPL, MAPS, raw, REFUSED_PROGRAMS, REFUSED_WITHOUT } from './testing/refused-programs.js';

const verifierMain = fileURLToPath(new URL('../../../../verifier/dist/main.js', import.meta.url));
describeWithJail('explanations of this kernel', missingCapabilities(['root', 'bpf', 'btf', 'clang']), () => {
  const jail = new ProveJail({ verifierMain });

  it('has a built verifier (npm run build)', () => {
    expect(existsSync(verifierMain)).toBe(true);
  });

  it.each(BUILT_IN_PROBES)('accepts %s', async (name) => {
    const report = await jail.prove(await compileBuiltIn(name));
    expect(report).toMatchObject({ verdict: 'accepted', kernel: { btf: true } });
    for (const program of report.programs) expect(program.verifiedInstructions).toBeGreaterThan(0);
    expect(explainReport(report, Buffer.alloc(0))).toEqual([]);
  });

  type Refused = readonly [RefusalClass, RegExp, string | undefined, string];

  async function expectExplained(refused: Refused, prove: (object: Buffer) => Promise<VerifierReport>): Promise<void> {
    const [refusalClass, sentence, line, body] = refused;
    const source = `#include <bpf/bpf_tracing.h>\n${MAPS}${body}${GPL}\n`;
    const object = await compileForTest(source);
    const [explained] = explainReport(await prove(object), object);
    expect(explained?.class).toBe(refusalClass);
    expect(explained?.sentence).toMatch(sentence);
    const lines = `${PREAMBLE}${source}`.split('\n').map((text) => text.trim());
    const at = line && { file: 'test.bpf.c', line: lines.indexOf(line) + 1, text: line };
    expect(explained?.source).toEqual(at);
  }

  it.each(REFUSED_PROGRAMS)('%s: %s at %s', async (...refused) => {
    await expectExplained(refused, (object) => jail.prove(object));
  });

  it.each(REFUSED_WITHOUT)('without %s, %s: %s at %s', async (lacking, ...refused) => {
    await expectExplained(refused, async (object) => verifyUnder(WITHOUT[lacking], verifierMain, object));
  });

  it('knows at least 25 kinds of mistake by programs that make them', () => {
    expect(new Set(REFUSED_PROGRAMS.map(([refusalClass]) => refusalClass)).size).toBeGreaterThanOrEqual(25);
  });

  it('licence_missing', async () => {
    const object = await compileForTest(
      `${raw('char b[8];\n  return bpf_probe_read_kernel(b, 8, ctx);')}char LICENSE[] SEC("license") = "Proprietary";\n`,
    );
    const [explained] = explainReport(await jail.prove(object), object);
    expect(explained).toMatchObject({ class: 'licence_missing', program: 'p' });
  });

  it('points at what a JIT cannot translate, though the verifier went on to the end', async () => {
    const add = '__sync_fetch_and_add(&counter, 1);';
    const source = `u64 counter = 0;\n${raw(`${add}\n  return 0;`)}${GPL}\n`;
    const object = await compileForTest(source);
    const code = readObject(object).code.partsOf('p')?.[0]?.bytes ?? new Uint8Array();
    const opcodes = Array.from({ length: code.length / 8 }, (_, at) =>
      (code[at * 8] ?? 0).toString(16).padStart(2, '0'),
    );
    // As a kernel logs it whose JIT is to come: every instruction, and no complaint.
    const log = `${opcodes.map((opcode, at) => `${at}: (${opcode}) …`).join('\n')}\nprocessed ${opcodes.length} insns`;
    const explained = explainRefusal({ program: 'p', log, errnoName: 'ENOTSUPP' }, object);
    const lines = `${PREAMBLE}${source}`.split('\n').map((text) => text.trim());
    const at = { file: 'test.bpf.c', line: lines.indexOf(add) + 1, text: add };
    expect(explained).toMatchObject({ class: 'atomic_unsupported', source: at });
  });

  it('proves with the globals that it is given', async () => {
    const body = `const volatile u32 limit = 1;\n${raw('u64 sum = 0;\n  for (u32 i = 0; i < limit; i++)\n    sum += bpf_ktime_get_ns();\n  return sum;')}${GPL}\n`;
    const object = await compileForTest(body);
    const limit = Buffer.alloc(4);
    await expect(jail.prove(object)).resolves.toMatchObject({ verdict: 'accepted' });
    limit.writeUInt32LE(10_000_000);
    await expect(jail.prove(object, { '.rodata': limit })).resolves.toMatchObject({ verdict: 'refused' });
  });

  it('says what is wrong with an object that cannot be opened', async () => {
    await expect(jail.prove(Buffer.from('no object'))).rejects.toMatchObject({
      code: 'PROVE_FAILED',
      reason: 'request',
    });
  });
});
