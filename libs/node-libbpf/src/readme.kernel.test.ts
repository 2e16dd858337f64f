import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { transformSync } from '@swc/core';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FixtureCompiler, makePinFolder, mountTracefs } from '../fixtures/compile.js';
import * as library from './index.js';

const readme = readFileSync(fileURLToPath(new URL('../README.md', import.meta.url)), 'utf8');
const examples = [...readme.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1] ?? '');
const importLine = /^import \{ (.*) \} from '@bpfleet\/node-libbpf';$/m;

type Run = (library: object) => Promise<void>;
const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor as new (
  name: string,
  body: string,
) => Run;

describeWithKernel('README', ['root', 'bpf', 'btf', 'tracefs', 'netns', 'clang'], () => {
  const interfaceName = `nlr${process.pid % 100000}a`;
  const objectFile = join(tmpdir(), `node-libbpf-readme-${process.pid}.bpf.o`);
  let pins: string;
  let ifindex: string;

  beforeAll(() => {
    mountTracefs();
    const compiler = new FixtureCompiler();
    writeFileSync(objectFile, compiler.compile('readme'));
    compiler.close();
    pins = makePinFolder();
    execFileSync('ip', [
      'link',
      'add',
      interfaceName,
      'type',
      'veth',
      'peer',
      'name',
      interfaceName.replace(/a$/, 'b'),
    ]);
    ifindex = readFileSync(`/sys/class/net/${interfaceName}/ifindex`, 'utf8').trim();
  });
  afterAll(() => {
    execFileSync('ip', ['link', 'del', interfaceName]);
    rmSync(pins, { recursive: true, force: true });
    rmSync(objectFile, { force: true });
  });

  it('has examples', () => expect(examples.length).toBeGreaterThan(2));

  it.each(examples.map((text, index) => [index + 1, text] as const))('example %i runs', async (_number, text) => {
    const source = text
      .replace(importLine, 'const { $1 } = library;')
      .replaceAll("'example.bpf.o'", JSON.stringify(objectFile))
      .replaceAll("'/sys/fs/bpf/example'", JSON.stringify(join(pins, 'example')))
      .replace('const ifindex = 1;', `const ifindex = ${ifindex};`);
    expect(source).toContain('library');
    // Types are for the reader; what runs is the rest.
    const { code } = transformSync(`async () => {${source}}`, {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      isModule: false,
    });
    const dropped = library.droppedHandles();
    await new AsyncFunction('library', `await (${code.trim().replace(/;$/, '')})()`)(library);
    expect(library.droppedHandles()).toBe(dropped);
  });
});
