import { describe, expect, it } from '@jest/globals';
import { parseLabels } from './labels.js';

describe('parseLabels', () => {
  it('reads pairs apart by blanks or commas', () => {
    expect(parseLabels(' site=oslo, model=gw-200 note=a=b ')).toEqual({
      labels: { site: 'oslo', model: 'gw-200', note: 'a=b' },
    });
    expect(parseLabels('')).toEqual({ labels: {} });
  });

  it('says what is wrong', () => {
    expect(parseLabels('site').problem).toContain('“site” is not name=value');
    expect(parseLabels('Site=1').problem).toContain('unlike “Site”');
    expect(parseLabels(`a=${'x'.repeat(129)}`).problem).toContain('longer than 128');
  });
});
