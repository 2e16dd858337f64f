import { describe, expect, it } from '@jest/globals';
import { parseDeviceSearch, parseDevicesSearch, parseNewDebugSearch, parseSettingsSearch } from './search.js';
import { safeNext } from './session/next-path.js';

describe('URL state', () => {
  it('reads back what a page wrote', () => {
    const search = {
      tab: 'profiles',
      range: '1h',
      profile: 'profile_cpu/cpu',
      frame: '0.3.1',
      find: 'schedule',
      top: 25,
    };
    expect(parseDeviceSearch(search)).toEqual(search);
  });

  it('leaves out what it does not know, and never throws', () => {
    expect(parseDeviceSearch({ tab: 'nope', event: '../x', top: 7, frame: 'a', find: {}, x: 1 })).toEqual({});
    expect(parseDevicesSearch({ selector: 'x'.repeat(1001) })).toEqual({});
    expect(parseNewDebugSearch({ device: 'd/+#', minutes: 99 })).toEqual({});
  });

  it('takes a release series as text only, of which 6.10 is another than 6.1', () => {
    expect(parseSettingsSearch({ to: '6.10', selector: 'all' })).toEqual({ to: '6.10', selector: 'all' });
    expect(parseSettingsSearch({ to: 6.1 })).toEqual({});
    expect(parseSettingsSearch({ to: 'f'.repeat(64) })).toEqual({ to: 'f'.repeat(64) });
  });

  it('takes a number where text was typed, since a query string has no types', () => {
    expect(parseDevicesSearch({ selector: 5 })).toEqual({ selector: '5' });
  });
});

describe('safeNext', () => {
  it('stays on this site', () => {
    expect(safeNext('/devices?selector=a')).toBe('/devices?selector=a');
    for (const bad of ['//evil.example', '/\\evil.example', 'https://evil.example', 'javascript:1', '/login', 5]) {
      expect(safeNext(bad)).toBeUndefined();
    }
  });
});
