// One request on standard input, one line of JSON on standard output. The contract is in report.ts.
import { BadRequestError, parseRequest, readRequest } from './request.js';
import { verify } from './verify.js';

try {
  const report = verify(parseRequest(await readRequest(process.stdin)));
  process.stdout.write(`${JSON.stringify(report)}\n`);
} catch (error) {
  if (!(error instanceof BadRequestError)) throw error;
  process.stdout.write(`${JSON.stringify(error.report())}\n`);
  process.exitCode = 2;
  // What of a request that is too large is still unread is not wanted.
  process.stdin.destroy();
}
