import type { Fetcher } from '../link/fetcher.js';
import { errorFacts, type Log } from '../log.js';
import type { TrustKeeper } from './trust-keeper.js';

const ROOTS_AT_ONCE_MAX = 16;

/** Roots are followed one by one: each is signed by the one before. True when there was a next one. */
export async function followRoots(
  trust: TrustKeeper,
  fetcher: Fetcher,
  signal: AbortSignal,
  log: Log,
): Promise<boolean> {
  const before = trust.root.version;
  try {
    for (let step = 0; step < ROOTS_AT_ONCE_MAX; step++) {
      const version = trust.root.version + 1;
      trust.takeRoot(await fetcher.document({ v: 1, kind: 'root', version }, signal));
      log('info', 'root.accepted', { version });
    }
  } catch (error) {
    log('info', 'root.end', errorFacts(error));
  }
  return trust.root.version > before;
}
