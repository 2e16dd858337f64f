import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { inUrl, listenAddress, parseDeviceHost, rememberHost, strandedDevices } from './device-host.js';

describe('the host that devices are told', () => {
  it.each([
    ['192.168.1.5', '192.168.1.5', '192.168.1.5'],
    ['Fleet.local', 'fleet.local', 'fleet.local'],
    ['2001:db8::5', '2001:db8::5', '[2001:db8::5]'],
    ['[2001:db8::5]', '2001:db8::5', '[2001:db8::5]'],
  ])('may be %s', (text, host, url) => {
    expect(parseDeviceHost(text)).toBe(host);
    expect(inUrl(host)).toBe(url);
  });

  it.each([
    ['http://fleet.local', 'a name or an address alone'],
    ['fleet.local:8480', 'a name or an address alone'],
    ['fleet,mosquitto', 'a name or an address alone'],
    ['192.168.1', 'a name or an address alone'],
    ['192.168.1.500', 'a name or an address alone'],
    ['fe80::1%eth0', 'a name or an address alone'],
    ['', 'a name or an address alone'],
    ['0.0.0.0', 'none can connect to 0.0.0.0'],
    ['::', 'none can connect to ::'],
  ])('is refused as %j', (text, why) => {
    expect(() => parseDeviceHost(text)).toThrow(why);
  });

  it('is listened for on all addresses, but loopback on loopback alone', () => {
    expect(listenAddress('127.0.0.1', true)).toBe('127.0.0.1');
    expect(listenAddress('localhost', true)).toBe('127.0.0.1');
    expect(listenAddress('192.168.1.5', true)).toBe('::');
    expect(listenAddress('fleet.local', false)).toBe('0.0.0.0');
  });
});

describe('a data folder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'bpfleet-host-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const start = (host: string) => rememberHost(join(folder, 'host'), host);

  it('remembers what devices were told, also when it is started without', () => {
    expect(start('127.0.0.1')).toBeUndefined();
    expect(start('192.168.1.5')).toBeUndefined();
    expect(start('192.168.1.5')).toBeUndefined();
    expect(start('127.0.0.1')).toBe('192.168.1.5');
    expect(start('127.0.0.1')).toBe('192.168.1.5');
    expect(start('10.0.0.9')).toBe('192.168.1.5');
    expect(start('10.0.0.9')).toBeUndefined();
  });

  it('is about devices that look for it elsewhere, and about nothing where there are none', () => {
    expect(strandedDevices('192.168.1.5', 2)).toContain('Start it with --host 192.168.1.5, or enrol them again');
    expect(strandedDevices('192.168.1.5', 0)).toBeUndefined();
    expect(strandedDevices(undefined, 2)).toBeUndefined();
  });
});
