import { describe, expect, it } from '@jest/globals';
import type { BtfState } from '@bpfleet/api';
import { btfText } from './btf-text.js';

const state = (change: Partial<BtfState>): BtfState => ({
  state: 'known',
  digest: null,
  reason: null,
  receivedBytes: null,
  totalBytes: null,
  ...change,
});

describe('the state of a kernel’s types', () => {
  it('says how far fetching has come, and nothing before the size is known', () => {
    expect(btfText(state({ state: 'fetching', receivedBytes: 999, totalBytes: 4_000 })).short).toBe('fetching 24 %');
    expect(btfText(state({ state: 'fetching', receivedBytes: 0 })).short).toBe('fetching');
  });

  it('says why it is not there', () => {
    expect(btfText(state({ state: 'refused', reason: 'it is damaged' })).sentence).toContain('it is damaged');
    expect(btfText(state({ state: 'wanted', reason: 'the device went offline' })).sentence).toContain('went offline');
  });
});
