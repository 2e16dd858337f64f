import { describe, expect, it } from '@jest/globals';

interface Summary {
  counts(result: object): { passed: number; failed: number; skipped: number };
  skippedTests(result: object): { name: string; needs: string | undefined }[];
  summaryLine(numbers: object): string;
}

// The scripts are plain JavaScript that runs before anything is installed; what they promise is held here.
const script = new URL('../../../scripts/test-summary.mjs', import.meta.url).href;
const summary = (await import(script)) as Summary;

const result = {
  numPassedTests: 7,
  numFailedTests: 1,
  numPendingTests: 1,
  numTodoTests: 1,
  numRuntimeErrorTestSuites: 2,
  testResults: [
    {
      assertionResults: [
        { status: 'passed', fullName: 'adds' },
        { status: 'pending', fullName: 'trace_exec [needs bpf, tracefs] sees an exec' },
        { status: 'todo', fullName: 'later' },
      ],
    },
  ],
};

describe('the last line of npm test', () => {
  it('counts a file that could not be loaded as one failure', () => {
    expect(summary.summaryLine(summary.counts(result))).toBe('7 passed, 3 failed, 2 skipped');
  });

  it('knows for each skipped test which capability was missing', () => {
    expect(summary.skippedTests(result)).toEqual([
      { name: 'trace_exec sees an exec', needs: 'bpf, tracefs' },
      { name: 'later', needs: undefined },
    ]);
  });
});
