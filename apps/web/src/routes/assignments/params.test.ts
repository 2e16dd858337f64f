import { describe, expect, it } from '@jest/globals';
import { paramProblems, paramsText, paramsToSend, type ParamSpec } from './params.js';

const specs: ParamSpec[] = [
  { name: 'min_us', type: 'number', default: 0, unit: 'us', help: null },
  { name: 'by_comm', type: 'boolean', default: false, unit: null, help: null },
];

describe('parameters', () => {
  it('sends only what differs from the default', () => {
    expect(paramsToSend(specs, { min_us: 0, by_comm: true })).toEqual({ by_comm: true });
    expect(paramsToSend(specs, { gone: 1 })).toEqual({});
  });

  it('asks for a number where a field was emptied', () => {
    expect(paramProblems(specs, { min_us: '' })).toEqual({ min_us: 'a number is needed here' });
    expect(paramProblems(specs, { min_us: 5 })).toEqual({});
  });

  it('names the defaults', () => {
    expect(paramsText({})).toBe('defaults');
    expect(paramsText({ min_us: 5, by_comm: true })).toBe('min_us=5 by_comm=true');
  });
});
