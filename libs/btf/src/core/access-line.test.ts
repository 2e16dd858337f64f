import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { readObject } from '../index.js';
import { accessLineAt } from './access-line.js';

const SOURCE = `#define SEC(name) __attribute__((section(name), used))
static long (*probe_read)(void *, unsigned, const void *) = (void *)113;
static long (*probe_read_str)(void *, unsigned, const void *) = (void *)115;
struct task { int direct; int read; char text[8]; } __attribute__((preserve_access_index));
SEC("raw_tp/x") int p(struct task *task) {
  int value = 0;
  char text[8];
  if (!task)
    return 1;
  probe_read(&value, sizeof(value), &task->read);
  value +=
    task->direct;
  probe_read_str(text, sizeof(text), &task->text);
  return value + text[0];
}`;

function compile(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'bpfleet-access-'));
  try {
    const flags = ['-target', 'bpf', '-O2', '-g', '-x', 'c', '-c', '-', '-o', 'p.o'];
    execFileSync('clang', flags, { cwd: folder, input: SOURCE });
    return readFileSync(join(folder, 'p.o'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describeWithKernel('the line of a CO-RE access', ['clang'], () => {
  it('is that of what uses the address, whatever stands before the instruction that holds the offset', () => {
    const object = readObject(compile());
    const program = object.programs[0];
    const lines = object.coreRelocations.map(({ offset }) => {
      const instruction = (offset - (program?.offset ?? 0)) / 8;
      return accessLineAt(object, 'p', instruction)?.line;
    });
    expect(lines.sort((a = 0, b = 0) => a - b)).toEqual([10, 12, 13]);
  });

  it('is none for an instruction or a program that is not there', () => {
    const object = readObject(compile());
    expect([accessLineAt(object, 'p', 10_000), accessLineAt(object, 'q', 0)]).toEqual([undefined, undefined]);
  });
});
