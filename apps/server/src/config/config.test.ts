import { describe, expect, it } from '@jest/globals';
import { ConfigError, parseConfig } from './config.js';

const least = { BPFLEET_DATABASE_URL: 'postgresql://localhost/x', BPFLEET_DATA_DIR: '/data' };
const parse = (environment: Record<string, string>) => parseConfig({ ...least, ...environment }, '/repository');

describe('how long the lab waits', () => {
  it('is five minutes for each unless it is said otherwise, in seconds', () => {
    expect(parse({})).toMatchObject({ labBootTimeoutMs: 300_000, labProveTimeoutMs: 300_000 });
    const said = parse({ BPFLEET_LAB_BOOT_TIMEOUT_S: '900', BPFLEET_LAB_PROVE_TIMEOUT_S: '60' });
    expect(said).toMatchObject({ labBootTimeoutMs: 900_000, labProveTimeoutMs: 60_000 });
  });

  it.each([
    ['BPFLEET_LAB_BOOT_TIMEOUT_S', '29'],
    ['BPFLEET_LAB_BOOT_TIMEOUT_S', '3601'],
    ['BPFLEET_LAB_PROVE_TIMEOUT_S', '0'],
    ['BPFLEET_LAB_PROVE_TIMEOUT_S', '45.5'],
    ['BPFLEET_LAB_PROVE_TIMEOUT_S', 'soon'],
  ])('is bounded, and named where it is not: %s=%s', (name, value) => {
    expect(() => parse({ [name]: value })).toThrow(ConfigError);
    expect(() => parse({ [name]: value })).toThrow(new RegExp(`^${name}: `));
  });
});

describe('the proxies in front', () => {
  it('are addresses and networks, and nobody unless it is said', () => {
    expect(parse({}).trustedProxies).toEqual([]);
    const given = { BPFLEET_TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8,2001:db8::/32' };
    expect(parse(given).trustedProxies).toEqual(['127.0.0.1', '10.0.0.0/8', '2001:db8::/32']);
    expect(() => parse({ BPFLEET_TRUSTED_PROXIES: 'proxy.example' })).toThrow(/^BPFLEET_TRUSTED_PROXIES/);
  });
});
