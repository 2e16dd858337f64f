import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { limits } from '@bpfleet/wire';
import { MqttClient, type IClientOptions } from 'mqtt';
import { AgentError } from '../agent-error.js';
import { PacketLimit } from './packet-limit.js';

const CONNECT_TIMEOUT_MS = 20_000;
const KEEPALIVE_SECONDS = 30;
const END_TIMEOUT_MS = 3_000;

export interface ConnectionOptions {
  /** mqtts://host:port */
  readonly url: string;
  readonly clientId: string;
  /** PEM. */
  readonly ca: readonly string[];
  readonly certificate: string;
  readonly key: string;
  readonly will: { readonly topic: string; readonly payload: Buffer };
  readonly onMessage: (topic: string, payload: Buffer) => void;
  /** Once, for a connection that had been established. */
  readonly onClose: () => void;
}

/** One MQTT connection, from CONNACK to its end. It never comes back by itself. */
export interface Connection {
  subscribe(filter: string): Promise<void>;
  /** QoS 1: resolves when the broker has it. */
  publish(topic: string, payload: Buffer): Promise<void>;
  /** With a DISCONNECT, so that the will is not sent; resolves when the socket is closed. */
  end(): Promise<void>;
}

function openSocket(options: ConnectionOptions): TLSSocket {
  const { hostname, port } = new URL(options.url);
  const socket = connect({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 8883),
    ...(isIP(hostname) === 0 ? { servername: hostname } : {}),
    ca: [...options.ca],
    cert: options.certificate,
    key: options.key,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
  });
  // Small messages must not wait for the broker's delayed acknowledgement of the one before.
  socket.setNoDelay(true);
  const limit = new PacketLimit(limits.packetBytesMax);
  socket.on('data', (chunk: Buffer) => {
    if (!limit.accept(chunk))
      socket.destroy(new Error(`the broker announced a packet above ${limits.packetBytesMax} bytes`));
  });
  return socket;
}

/** @throws AgentError LINK_DOWN with the reason */
export function openConnection(options: ConnectionOptions): Promise<Connection> {
  const settings: IClientOptions = {
    clientId: options.clientId,
    clean: true,
    protocolVersion: 4,
    keepalive: KEEPALIVE_SECONDS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // Its own timer has no jitter: whoever called decides when to come back.
    reconnectPeriod: 0,
    queueQoSZero: false,
    // A table of all 65,536 packet numbers, each a Buffer of its own: 6.3 MB of heap to save writing two bytes.
    writeCache: false,
    resubscribe: false,
    will: { topic: options.will.topic, payload: options.will.payload, qos: 1, retain: false },
  };
  return new Promise((resolve, reject) => {
    let reason: Error | undefined;
    const client = new MqttClient(() => {
      const socket = openSocket(options);
      socket.on('error', (error) => (reason ??= error));
      return socket;
    }, settings);
    client.on('error', (error) => (reason ??= error));
    client.on('message', options.onMessage);
    const fail = (): void => {
      client.end(true);
      reject(new AgentError('LINK_DOWN', `no connection to ${options.url}: ${reason?.message ?? 'closed'}`));
    };
    client.once('close', fail);
    client.once('connect', () => {
      client.off('close', fail);
      client.once('close', () => {
        client.end(true);
        options.onClose();
      });
      resolve(wrap(client));
    });
  });
}

function wrap(client: MqttClient): Connection {
  return {
    subscribe: async (filter) => {
      const [grant] = await client.subscribeAsync(filter, { qos: 1 });
      if (!grant || grant.qos > 1)
        throw new AgentError('LINK_DOWN', `the broker refused the subscription to ${filter}`);
    },
    publish: async (topic, payload) => {
      await client.publishAsync(topic, payload, { qos: 1 });
    },
    end: () => endBounded(client),
  };
}

/** mqtt.js waits for every acknowledgement that is still out; a broker that does not answer must not hold a stop. */
function endBounded(client: MqttClient): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => client.end(true, {}, () => resolve()), END_TIMEOUT_MS);
    client.end(false, {}, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
