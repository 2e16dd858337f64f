import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startEmbeddedBroker, type EmbeddedBroker } from '@bpfleet/embedded';
import { freePort } from '@bpfleet/testkit';
import { ServerKeys } from '../keys/server-keys.js';
import { BrokerLink, matches } from './mqtt-link.js';

describe('BrokerLink', () => {
  const dir = mkdtempSync(join(tmpdir(), 'bpfleet-link-'));
  let keys: ServerKeys;
  let port: number;
  let broker: EmbeddedBroker;
  const links: BrokerLink[] = [];

  async function startBroker(): Promise<EmbeddedBroker> {
    const own = await keys.issueServerCertificate(['127.0.0.1']);
    return startEmbeddedBroker({ port, tls: { ca: keys.caPem, cert: own.certPem, key: own.keyPem } });
  }

  async function newLink(name: string): Promise<BrokerLink> {
    const own = await keys.issueServerCertificate(['server']);
    const link = new BrokerLink({
      url: `mqtts://127.0.0.1:${port}`,
      clientId: `server-${name}`,
      tls: { ca: keys.caPem, cert: own.certPem, key: own.keyPem },
      random: () => 0,
    });
    links.push(link);
    return link;
  }

  beforeAll(async () => {
    keys = await ServerKeys.open(dir);
    port = await freePort();
    broker = await startBroker();
  });
  afterAll(async () => {
    for (const link of links) await link.close();
    await broker.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('delivers, and after the broker was away delivers again without being asked', async () => {
    const [sender, receiver] = [await newLink('a'), await newLink('b')];
    const arrivals: string[] = [];
    let wake = (): void => undefined;
    await receiver.subscribe(['bpfleet/1/+/up/birth'], (topic, payload) => {
      arrivals.push(`${topic} ${payload.toString()}`);
      wake();
    });
    const connected = (link: BrokerLink) => new Promise<void>((resolve) => link.onConnect(resolve));
    const bothUp = Promise.all([connected(sender), connected(receiver)]);
    sender.start();
    receiver.start();
    await bothUp;
    let arrived = new Promise<void>((resolve) => (wake = resolve));
    await sender.publish('bpfleet/1/dabcdefgh12/up/birth', Buffer.from('one'));
    await arrived;

    await broker.stop();
    await expect(sender.publish('bpfleet/1/dabcdefgh12/up/birth', Buffer.from('lost'))).rejects.toMatchObject({
      code: 'BROKER_OFFLINE',
    });
    while (sender.connected || receiver.connected) await new Promise((resolve) => setImmediate(resolve));
    const backUp = Promise.all([connected(sender), connected(receiver)]);
    broker = await startBroker();
    await backUp;
    arrived = new Promise<void>((resolve) => (wake = resolve));
    await sender.publish('bpfleet/1/dabcdefgh12/up/birth', Buffer.from('two'));
    await arrived;
    expect(arrivals).toEqual(['bpfleet/1/dabcdefgh12/up/birth one', 'bpfleet/1/dabcdefgh12/up/birth two']);
  });

  it('refuses a message that no packet could carry', async () => {
    const link = await newLink('c');
    await expect(link.publish('bpfleet/1/dabcdefgh12/dn/desired', Buffer.alloc(102_400))).rejects.toThrow(
      /does not fit/,
    );
  });
});

describe('matches', () => {
  it.each([
    ['a/+/c', 'a/b/c', true],
    ['a/+/c', 'a/b/d', false],
    ['a/+', 'a/b/c', false],
    ['a/#', 'a/b/c', true],
    ['a/b/c', 'a/b', false],
  ])('%s and %s: %s', (filter, topic, expected) => expect(matches(filter, topic)).toBe(expected));
});
