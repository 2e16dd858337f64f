import { describe, expect, it } from '@jest/globals';
import { labelsText, parseLabels } from './labels.js';

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

  it('reads back what it wrote', () => {
    const labels = { site: 'oslo', place: 'hall 3, "left"', empty: '', path: 'C:\\x' };
    expect(parseLabels(labelsText(labels))).toEqual({ labels });
    expect(parseLabels('place="hall').problem).toContain('do not close');
  });
});
