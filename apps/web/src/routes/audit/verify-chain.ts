import { api } from '../../api/client.js';

export interface ChainState {
  readonly checked: number;
  readonly broken: string | null;
}

/** Part by part: a log of years is more than one answer should wait for. */
export async function verifyChain(): Promise<ChainState> {
  let checked = 0;
  for (let after: string | undefined; ;) {
    const part = await api.call('verifyAudit', { query: { after } });
    checked += part.checked;
    if (part.broken !== null || !part.more || !part.last) return { checked, broken: part.broken };
    after = part.last.sequence;
  }
}
