import { describe, expect, it } from '@jest/globals';
import { detailsText } from './details-text.js';

describe('details of an audit entry', () => {
  it('are pairs, with what is nested as JSON', () => {
    expect(detailsText({ reason: 'stolen', params: { limit: 3 }, uses: 1 })).toBe(
      'reason=stolen  params={"limit":3}  uses=1',
    );
    expect(detailsText({})).toBe('');
  });

  it('hold nothing that could forge what stands beside them', () => {
    expect(detailsText({ name: 'a\u202eb\u0000', nested: ['\u001b[31m'] })).not.toMatch(/[\u202e\u0000\u001b]/);
  });
});
