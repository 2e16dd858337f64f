const ROUNDS_MAX = 50;

/**
 * The server looks at some kernels at each question, and says how many are left: they are asked about until none is, or nothing
 * more comes of it.
 */
export async function askUntilKnown<T extends { readonly pending: number }>(ask: () => Promise<T>): Promise<T> {
  let answer = await ask();
  for (let round = 1; answer.pending > 0 && round < ROUNDS_MAX; round++) {
    const next = await ask();
    const stuck = next.pending >= answer.pending;
    answer = next;
    if (stuck) break;
  }
  return answer;
}
