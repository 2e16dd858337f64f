import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { answerTo } from './answer.js';
import { readRequests } from './request.js';

/**
 * Programs and maps are gone for user land when their descriptors are closed. The kernel frees them after RCU grace periods and
 * from a work queue (kernel/bpf/syscall.c, __bpf_prog_put_noref and bpf_prog_free), and nothing tells when: a kernel that the
 * verifier or the JIT has hurt may go down only then. So an answer waits until that is over: a kernel that was not there to
 * say it has not said it, and what goes down meanwhile does so by this request and not by the next.
 */
const SETTLE_MS = 200;

/** Answers each line with a line, in turn, until the input ends. */
export async function serve(input: Readable, output: Writable, settleMs = SETTLE_MS): Promise<void> {
  for await (const request of readRequests(input)) {
    const answer = answerTo(request);
    if (!('error' in answer)) await wait(settleMs);
    if (!output.write(`${JSON.stringify(answer)}\n`)) await once(output, 'drain');
  }
}
