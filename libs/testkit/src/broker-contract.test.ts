import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MqttClient } from 'mqtt';
import { connectTestMqtt, startMosquitto, startTestBroker, testCa } from './index.js';
import { missingCapabilities } from './kernel-gate.js';
import type { TestCa, TestCertificate } from './index.js';

const DEVICE = 'd00000001';
const OTHER = 'd00000002';

interface Broker {
  /** Where devices connect. */
  readonly port: number;
  /** Where the server's processes connect. */
  readonly serverPort: number;
  stop(): Promise<void>;
}

interface Message {
  readonly topic: string;
  readonly payload: string;
}

const brokers: { name: string; needs: 'mosquitto'[]; start: (ca: TestCa, crl: string) => Promise<Broker> }[] = [
  {
    name: 'the embedded broker',
    needs: [],
    start: async (ca, crl) => {
      const broker = await startTestBroker(ca, { crl });
      return { port: broker.port, serverPort: broker.port, stop: () => broker.stop() };
    },
  },
  {
    name: 'Mosquitto',
    needs: ['mosquitto'],
    start: async (ca, crl) => startMosquitto({ ca: ca.ca, ...(await ca.issueServer()), crl }),
  },
];

// The same promises on both: a fleet moves from one broker to the other by configuration alone.
describe.each(brokers)('MQTT contract on $name', ({ needs, start }) => {
  const missing = missingCapabilities(needs);
  const test = missing.length === 0 ? it : it.skip;
  const title = (text: string): string => (missing.length === 0 ? text : `${text} [needs ${missing.join(', ')}]`);

  let ca: TestCa;
  let broker: Broker;
  let serverCertificate: TestCertificate;
  let deviceCertificate: TestCertificate;
  let otherCertificate: TestCertificate;
  let revokedCertificate: TestCertificate;
  const open: MqttClient[] = [];

  beforeAll(async () => {
    if (missing.length > 0) return;
    ca = await testCa();
    serverCertificate = await ca.issueServer();
    deviceCertificate = await ca.issueDevice(DEVICE);
    otherCertificate = await ca.issueDevice(OTHER);
    revokedCertificate = await ca.issueDevice('d00000003');
    broker = await start(ca, await ca.revoke(revokedCertificate));
  });

  afterAll(async () => {
    for (const client of open) client.end(true);
    await broker?.stop();
  });

  const connect = async (
    port: number,
    certificate: TestCertificate,
    clientId: string,
    will?: Message,
  ): Promise<MqttClient> => {
    const client = await connectTestMqtt({
      port,
      ca: ca.ca,
      certificate,
      clientId,
      ...(will ? { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: false } } : {}),
    });
    open.push(client);
    return client;
  };
  const connectServer = (role: string): Promise<MqttClient> =>
    connect(broker.serverPort, serverCertificate, `server-${role}`);
  const connectDevice = (): Promise<MqttClient> => connect(broker.port, deviceCertificate, DEVICE);
  const connectOther = (will?: Message): Promise<MqttClient> => connect(broker.port, otherCertificate, OTHER, will);

  /** Collects what a client receives up to and including the message whose payload is `last`. */
  const receiveUntil = (client: MqttClient, last: string): Promise<Message[]> =>
    new Promise((resolve) => {
      const seen: Message[] = [];
      client.on('message', (topic, payload) => {
        seen.push({ topic, payload: payload.toString() });
        if (payload.toString() === last) resolve(seen);
      });
    });

  /** The end of a connection; how it ends (reset, end of stream) is the broker's choice. */
  const closing = (client: MqttClient): Promise<void> =>
    new Promise((resolve) => client.once('close', () => resolve()));

  test(title('carries telemetry up and desired state down'), async () => {
    const server = await connectServer('a');
    const device = await connectDevice();
    await server.subscribeAsync('bpfleet/1/+/up/#', { qos: 1 });
    await device.subscribeAsync(`bpfleet/1/${DEVICE}/dn/#`, { qos: 1 });
    const up = receiveUntil(server, 'hello');
    const down = receiveUntil(device, 'run this');
    await device.publishAsync(`bpfleet/1/${DEVICE}/up/birth`, 'hello', { qos: 1 });
    await server.publishAsync(`bpfleet/1/${DEVICE}/dn/desired`, 'run this', { qos: 1 });
    expect(await up).toEqual([{ topic: `bpfleet/1/${DEVICE}/up/birth`, payload: 'hello' }]);
    expect(await down).toEqual([{ topic: `bpfleet/1/${DEVICE}/dn/desired`, payload: 'run this' }]);
  });

  test(title('lets two processes of the server share one certificate'), async () => {
    const first = await connectServer('first');
    await connectServer('second');
    await first.publishAsync(`bpfleet/1/${DEVICE}/dn/fresh`, 'still here', { qos: 1 });
    expect(first.connected).toBe(true);
  });

  test.each([
    `bpfleet/1/${DEVICE}/dn/#`,
    'bpfleet/#',
    '#',
    'bpfleet/1/+/dn/#',
    `$share/group/bpfleet/1/${DEVICE}/dn/#`,
    'constructor',
    '__proto__',
  ])(title('gives a device nothing of another device through the filter %s'), async (filter) => {
    const server = await connectServer('b');
    const spy = await connectOther();
    const seen = receiveUntil(spy, 'marker');
    await spy.subscribeAsync(`bpfleet/1/${OTHER}/dn/#`, { qos: 1 });
    // A broker may refuse the filter in SUBACK, or grant it and deliver nothing: both are MQTT 3.1.1.
    await spy.subscribeAsync(filter, { qos: 1 }).catch(() => undefined);
    await server.publishAsync(`bpfleet/1/${DEVICE}/dn/desired`, 'secret', { qos: 1 });
    await server.publishAsync(`bpfleet/1/${OTHER}/dn/fresh`, 'marker', { qos: 1 });
    expect((await seen).filter(({ payload }) => payload !== 'marker')).toEqual([]);
  });

  test.each([`bpfleet/1/${DEVICE}/up/birth`, `bpfleet/1/${OTHER}/dn/desired`, 'constructor', '$SYS/broker'])(
    title('drops what a device publishes to %s'),
    async (topic) => {
      const server = await connectServer('c');
      await server.subscribeAsync('bpfleet/#', { qos: 1 });
      const liar = await connectOther();
      // The embedded broker hangs up on it, Mosquitto swallows it; either way nobody gets it.
      await Promise.race([liar.publishAsync(topic, 'forged', { qos: 0 }).catch(() => undefined), closing(liar)]);
      const seen = receiveUntil(server, 'marker');
      const device = await connectDevice();
      await device.publishAsync(`bpfleet/1/${DEVICE}/up/sync`, 'marker', { qos: 1 });
      expect((await seen).map(({ payload }) => payload)).toEqual(['marker']);
    },
  );

  test(title("never lets a certificate act under another device's client id"), async () => {
    const victim = await connectDevice();
    // Refused, or let in under its own name: in both cases the victim stays and the topics stay the certificate's.
    const thief = await connect(broker.port, otherCertificate, DEVICE).catch(() => undefined);
    const server = await connectServer('d');
    await victim.subscribeAsync(`bpfleet/1/${DEVICE}/dn/#`, { qos: 1 });
    const stolen: string[] = [];
    thief?.on('message', (topic) => stolen.push(topic));
    await thief?.subscribeAsync(`bpfleet/1/${DEVICE}/dn/#`).catch(() => undefined);
    const seen = receiveUntil(victim, 'for the victim');
    await server.publishAsync(`bpfleet/1/${DEVICE}/dn/desired`, 'for the victim', { qos: 1 });
    expect(await seen).toHaveLength(1);
    expect(stolen).toEqual([]);
    expect(victim.connected).toBe(true);
  });

  test(title('delivers the will of a device that vanishes'), async () => {
    const server = await connectServer('e');
    await server.subscribeAsync('bpfleet/1/+/up/birth', { qos: 1 });
    const device = await connectOther({ topic: `bpfleet/1/${OTHER}/up/birth`, payload: 'gone' });
    const will = receiveUntil(server, 'gone');
    device.stream.destroy();
    expect((await will).at(-1)?.topic).toBe(`bpfleet/1/${OTHER}/up/birth`);
  });

  test(title('refuses a packet over the limit and carries one just under it'), async () => {
    const server = await connectServer('f');
    await server.subscribeAsync('bpfleet/1/+/up/t/+', { qos: 1 });
    const device = await connectDevice();
    const large = 'x'.repeat(99 * 1024);
    const carried = receiveUntil(server, large);
    await device.publishAsync(`bpfleet/1/${DEVICE}/up/t/events`, large, { qos: 1 });
    expect(await carried).toHaveLength(1);
    const closed = closing(device);
    device.publish(`bpfleet/1/${DEVICE}/up/t/events`, 'x'.repeat(101 * 1024), { qos: 0 });
    await closed;
    expect(device.connected).toBe(false);
  });

  test(title('refuses a certificate of another authority, a revoked one, and none'), async () => {
    const stranger = await (await testCa()).issueDevice(DEVICE);
    await expect(connect(broker.port, stranger, DEVICE)).rejects.toThrow();
    await expect(connect(broker.port, revokedCertificate, 'd00000003')).rejects.toThrow();
    await expect(connect(broker.port, { cert: '', key: '', serialNumber: '' }, DEVICE)).rejects.toThrow();
  });
});
