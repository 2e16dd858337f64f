import { describe, expect, it } from '@jest/globals';
import type { PeerCertificate } from 'node:tls';
import { mayPublish, maySubscribe } from './broker-acl.js';
import { identityOf, mayUseClientId } from './broker-identity.js';
import type { BrokerIdentity } from './broker-identity.js';
import { RetainedLimit } from './retained-limit.js';

const device: BrokerIdentity = { kind: 'device', commonName: 'd00000001', serialNumber: '01' };
const server: BrokerIdentity = { kind: 'server', commonName: 'server', serialNumber: '02' };

function certificate(subject: Record<string, unknown>): PeerCertificate {
  return { subject, serialNumber: 'AB' } as unknown as PeerCertificate;
}

describe('identityOf', () => {
  it('reads devices and servers', () => {
    expect(identityOf(certificate({ CN: 'd00000001', OU: 'device' }))).toMatchObject({
      kind: 'device',
      commonName: 'd00000001',
    });
    expect(identityOf(certificate({ CN: 'server-ingest', OU: 'server' }))).toMatchObject({ kind: 'server' });
  });

  it.each([
    { CN: 'd00000001' },
    { OU: 'device' },
    { CN: 'd00000001', OU: ['device', 'server'] },
    { CN: ['d00000001', 'server'], OU: 'server' },
    { CN: 'server', OU: 'device' },
    { CN: 'd00000001', OU: 'server' },
    { CN: 'd0000/0001', OU: 'device' },
    { CN: 'd0000+0001', OU: 'device' },
    { CN: 'constructor', OU: 'device' },
  ])('refuses the subject %j', (subject) => {
    expect(identityOf(certificate(subject))).toBeUndefined();
  });
});

describe('mayUseClientId', () => {
  it('holds a device to its own name and gives the server many', () => {
    expect(mayUseClientId(device, 'd00000001')).toBe(true);
    expect(mayUseClientId(device, 'd00000002')).toBe(false);
    expect(mayUseClientId(device, '')).toBe(false);
    expect(mayUseClientId(server, 'server-ingest-1')).toBe(true);
    expect(mayUseClientId(server, 'd00000001')).toBe(false);
    expect(mayUseClientId(server, '__proto__')).toBe(false);
  });
});

describe('mayPublish and maySubscribe', () => {
  it('keep a device under its own two branches', () => {
    expect(mayPublish(device, 'bpfleet/1/d00000001/up/t/events')).toBe(true);
    expect(mayPublish(device, 'bpfleet/1/d00000001/dn/desired')).toBe(false);
    expect(mayPublish(device, 'bpfleet/1/d00000001/up/')).toBe(false);
    expect(mayPublish(device, 'bpfleet/1/d00000001/up/#')).toBe(false);
    expect(maySubscribe(device, 'bpfleet/1/d00000001/dn/#')).toBe(true);
    expect(maySubscribe(device, 'bpfleet/1/d00000001/up/#')).toBe(false);
    expect(maySubscribe(device, 'bpfleet/1/+/dn/#')).toBe(false);
  });

  it('keep the server under bpfleet/ and out of shared subscriptions', () => {
    expect(mayPublish(server, 'bpfleet/1/d00000001/dn/desired')).toBe(true);
    expect(maySubscribe(server, 'bpfleet/1/+/up/#')).toBe(true);
    expect(maySubscribe(server, '$share/g/bpfleet/#')).toBe(false);
    expect(maySubscribe(server, '$SYS/#')).toBe(false);
  });

  it.each([`bpfleet/${'a/'.repeat(40)}`, `bpfleet/${'x'.repeat(300)}`, 'bpfleet/\u0000', 'bpfleet/\n'])(
    'refuse %j',
    (topic) => {
      expect(mayPublish(server, topic)).toBe(false);
      expect(maySubscribe(server, topic)).toBe(false);
    },
  );
});

describe('RetainedLimit', () => {
  it('counts topics for each client, frees them on deletion, and refuses large messages', () => {
    const limit = new RetainedLimit({ topicsPerClientMax: 2, messageBytesMax: 100 });
    expect(limit.admit('a', 't1', 10)).toBe(true);
    expect(limit.admit('a', 't2', 10)).toBe(true);
    expect(limit.admit('a', 't3', 10)).toBe(false);
    expect(limit.admit('a', 't1', 20)).toBe(true);
    expect(limit.admit('b', 't1', 10)).toBe(true);
    expect(limit.admit('a', 't2', 0)).toBe(true);
    expect(limit.admit('a', 't3', 10)).toBe(true);
    expect(limit.admit('a', 't1', 101)).toBe(false);
  });
});
