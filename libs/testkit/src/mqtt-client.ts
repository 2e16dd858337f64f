import type { Socket } from 'node:net';
import { connectAsync } from 'mqtt';
import type { IClientOptions, MqttClient } from 'mqtt';
import type { TestCertificate } from './certificates.js';

export interface TestMqttOptions {
  readonly port: number;
  /** PEM of the authority that signed the broker's certificate. */
  readonly ca: string;
  readonly certificate: TestCertificate;
  readonly clientId: string;
  readonly will?: IClientOptions['will'];
  readonly clean?: boolean;
}

/** A client with a certificate, no reconnecting, TCP_NODELAY. Rejects when the broker refuses the connection. */
export async function connectTestMqtt(options: TestMqttOptions): Promise<MqttClient> {
  const client = await connectAsync(
    `mqtts://127.0.0.1:${options.port}`,
    {
      ca: options.ca,
      cert: options.certificate.cert,
      key: options.certificate.key,
      clientId: options.clientId,
      clean: options.clean ?? true,
      protocolVersion: 4,
      reconnectPeriod: 0,
      connectTimeout: 10_000,
      ...(options.will ? { will: options.will } : {}),
    },
    false,
  );
  (client.stream as unknown as Socket).setNoDelay?.(true);
  // A connection that is cut later shows as `close`; without a listener an ECONNRESET would end the test process.
  client.on('error', () => undefined);
  return client;
}
