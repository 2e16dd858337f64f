// One request on standard input, one line of JSON on standard output; with `--serve` one line for each line. The contract is in
// report.ts.
import { answerTo } from './answer.js';
import { readRequest } from './request.js';
import { serve } from './serve.js';

if (process.argv.includes('--serve')) await serve(process.stdin, process.stdout);
else {
  const answer = answerTo(await readRequest(process.stdin));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
  if ('error' in answer) process.exitCode = 2;
  // What of a request that is too large is still unread is not wanted.
  process.stdin.destroy();
}
