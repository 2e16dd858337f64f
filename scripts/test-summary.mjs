/**
 * @typedef {{ status: string, fullName: string, failureMessages?: string[] }} Assertion
 * @typedef {{ name: string, message?: string, status: string, assertionResults: Assertion[] }} Suite
 * @typedef {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, numTodoTests: number,
 *   numRuntimeErrorTestSuites: number, testResults: Suite[] }} JestResult
 */

// A suite and the test inside of it may each name a need; the innermost is the one that was missing.
const REASON = /\[needs ([^\]]+)\]/g;

/** @param {JestResult} result */
export function skippedTests(result) {
  const skipped = result.testResults
    .flatMap((suite) => suite.assertionResults)
    .filter((test) => test.status === 'pending' || test.status === 'todo' || test.status === 'disabled');
  return skipped.map((test) => ({
    name: test.fullName.replace(REASON, '').replace(/\s+/g, ' ').trim(),
    needs: [...test.fullName.matchAll(REASON)].at(-1)?.[1],
  }));
}

/**
 * A suite that could not even be loaded has no tests to count, so it counts as one that failed.
 * @param {JestResult} result
 */
export function counts(result) {
  return {
    passed: result.numPassedTests,
    failed: result.numFailedTests + result.numRuntimeErrorTestSuites,
    skipped: result.numPendingTests + result.numTodoTests,
  };
}

/** @param {{ passed: number, failed: number, skipped: number }} numbers */
export function summaryLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
