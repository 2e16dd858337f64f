import type { BtfState } from '@bpfleet/api';

/** What is known of a kernel's types, in a few words for a table and a sentence for whoever asks. */
export function btfText({ state, receivedBytes, totalBytes, reason }: BtfState): { short: string; sentence: string } {
  switch (state) {
    case 'known':
      return { short: 'its own', sentence: 'The kernel shows its BTF, and the server has it.' };
    case 'added':
      return {
        short: 'added',
        sentence: 'The kernel shows none; an administrator gave that of its build, and probes are fitted to it.',
      };
    case 'missing':
      return {
        short: 'none',
        sentence: 'The kernel shows none, and nobody gave that of its build: CO-RE probes are refused until then.',
      };
    case 'fetching': {
      const percent = totalBytes ? ` ${Math.floor((100 * (receivedBytes ?? 0)) / totalBytes)} %` : '';
      return { short: `fetching${percent}`, sentence: 'The server is fetching it from a device.' };
    }
    case 'wanted':
      return {
        short: 'wanted',
        sentence: `The server fetches it when a device that has it is online${reason ? ` (${reason})` : ''}.`,
      };
    case 'refused':
      return { short: 'refused', sentence: `The server does not take it: ${reason ?? 'no reason given'}.` };
  }
}
