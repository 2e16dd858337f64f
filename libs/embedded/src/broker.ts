import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer } from 'node:tls';
import type { Server, TLSSocket } from 'node:tls';
import { Aedes } from 'aedes';
import type { AuthenticateError, Client, ConnectPacket, PublishPacket, Subscription } from 'aedes';
import { mayPublish, maySubscribe } from './broker-acl.js';
import { identityOf, mayUseClientId } from './broker-identity.js';
import type { BrokerIdentity } from './broker-identity.js';
import { EmbeddedError } from './embedded-error.js';
import { PacketLimit } from './packet-limit.js';
import { RetainedLimit } from './retained-limit.js';

export interface EmbeddedBrokerOptions {
  /** 0 takes a free port. */
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** PEM. `ca` signs both devices and servers; `crl` refuses at the handshake. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string; readonly crl?: string };
  /** Whole MQTT packet, header included. Default 100 KiB, which is also the default maximum of large brokers. */
  readonly packetBytesMax?: number;
  /** Default 6,000: 5,000 devices and room for reconnects that overlap. */
  readonly connectionsMax?: number;
  /** Asked at each connection, after the certificate was verified. */
  readonly isRevoked?: (serialNumber: string, commonName: string) => boolean;
  readonly log?: (line: string) => void;
}

export interface EmbeddedBroker {
  readonly port: number;
  /** Ends every connection and stops listening. May be called again. */
  stop(): Promise<void>;
  /** Cuts one client off; without a new certificate check it may come back, so revoke first. */
  disconnect(clientId: string): void;
  connectedClients(): string[];
}

const RETAINED_TOPICS_PER_DEVICE_MAX = 8;
const RETAINED_MESSAGE_BYTES_MAX = 16 * 1024;
const HANDSHAKE_TIMEOUT_MS = 20_000;
// Deliveries wait for a client that does not read, a hundred at most at once for the whole broker: a stuck link must not
// hold up the others for aedes' default of a minute.
const DRAIN_TIMEOUT_MS = 15_000;
const NOT_AUTHORIZED = 5;

interface Limits {
  readonly packetBytesMax: number;
  readonly retained: RetainedLimit;
}

type Log = (line: string) => void;

/** Strings from the wire go into log lines quoted and cut, so that none can forge a line. */
function quote(text: string): string {
  return JSON.stringify(text.slice(0, 128));
}

function refusal(message: string): AuthenticateError {
  return Object.assign(new Error(message), { returnCode: NOT_AUTHORIZED });
}

function limitPackets(socket: TLSSocket, packetBytesMax: number): void {
  const limit = new PacketLimit(packetBytesMax);
  const read = socket.read.bind(socket) as (size?: number) => Buffer | null;
  // aedes pulls from its stream by read(): looking at the bytes there costs no copy and no second stream per connection.
  socket.read = (size?: number): Buffer | null => {
    const chunk = read(size);
    if (!chunk || limit.accept(chunk)) return chunk;
    socket.destroy(new Error(`packet larger than ${packetBytesMax} bytes`));
    return null;
  };
}

class Gate {
  private readonly identities = new WeakMap<object, BrokerIdentity>();

  constructor(
    private readonly limits: Limits,
    private readonly isRevoked: (serialNumber: string, commonName: string) => boolean,
  ) {}

  admitSocket(socket: TLSSocket): BrokerIdentity | string {
    if (!socket.authorized) return 'certificate not verified';
    const identity = identityOf(socket.getPeerCertificate());
    if (!identity) return 'certificate is neither a device nor a server';
    if (this.isRevoked(identity.serialNumber, identity.commonName))
      return `certificate of ${identity.commonName} is revoked`;
    this.identities.set(socket, identity);
    return identity;
  }

  /** Why this CONNECT is refused, or undefined. */
  refuseConnect(client: Client, packet: ConnectPacket): string | undefined {
    const identity = this.identities.get(client.conn);
    if (!identity) return 'no verified certificate';
    // Between handshake and CONNECT there may be seconds, in which a cut finds nothing to cut.
    if (this.isRevoked(identity.serialNumber, identity.commonName))
      return `certificate of ${identity.commonName} is revoked`;
    if (!mayUseClientId(identity, packet.clientId)) {
      return `client id ${quote(packet.clientId)} is not the certificate's ${identity.commonName}`;
    }
    // Stored sessions would be memory that outlives its connection; nothing in the wire format needs them.
    if (!packet.clean) return `${identity.commonName} asked for a stored session`;
    if (packet.will && !mayPublish(identity, packet.will.topic))
      return `will topic ${quote(packet.will.topic)} is not allowed`;
    return undefined;
  }

  refusePublish(client: Client, packet: PublishPacket): string | undefined {
    const identity = this.identities.get(client.conn);
    if (!identity || !mayPublish(identity, packet.topic)) return `may not publish to ${quote(packet.topic)}`;
    // QoS 2 keeps each message in the broker until a second handshake; the wire format stops at 1.
    if (packet.qos > 1) return 'may not publish with QoS 2';
    if (packet.retain && identity.kind === 'device') {
      packet.retain = this.limits.retained.admit(identity.commonName, packet.topic, packet.payload.length);
    }
    return undefined;
  }

  allowsSubscription(client: Client, filter: string): boolean {
    const identity = this.identities.get(client.conn);
    return identity !== undefined && maySubscribe(identity, filter);
  }
}

async function createAedes(gate: Gate, log: Log): Promise<Aedes> {
  const refusedConnects = new WeakMap<Client, string>();
  const broker = await Aedes.createBroker({
    drainTimeout: DRAIN_TIMEOUT_MS,
    connectTimeout: HANDSHAKE_TIMEOUT_MS,
    maxTopicLevels: 32,
    // The packet is seen here and the CONNACK that refuses it is sent from `authenticate`.
    preConnect: (client, packet, done) => {
      const reason = gate.refuseConnect(client, packet);
      if (reason) refusedConnects.set(client, reason);
      done(null, true);
    },
    authenticate: (client, _username, _password, done) => {
      const reason = refusedConnects.get(client);
      if (reason) done(refusal(reason), null);
      else done(null, true);
    },
    authorizePublish: (client, packet, done) => {
      if (!client) return done(new Error('publish without a client'));
      const reason = gate.refusePublish(client, packet);
      return reason ? done(new Error(reason)) : done(null);
    },
    authorizeSubscribe: (client, subscription: Subscription, done) => {
      const allowed = gate.allowsSubscription(client, subscription.topic);
      if (!allowed) log(`${client.id} may not subscribe to ${quote(subscription.topic)}`);
      done(null, allowed ? subscription : null);
    },
  });
  broker.on('clientError', (client, error) => log(`${quote(client.id)} dropped: ${quote(error.message)}`));
  broker.on('connectionError', (_client, error) => log(`connection dropped: ${quote(error.message)}`));
  (broker as NodeJS.EventEmitter).on('error', (error: Error) => log(`broker error: ${quote(error.message)}`));
  return broker;
}

function accept(socket: TLSSocket, gate: Gate, broker: Aedes, packetBytesMax: number, log: Log): void {
  const admitted = gate.admitSocket(socket);
  if (typeof admitted === 'string') {
    log(`refused: ${admitted}`);
    socket.destroy();
    return;
  }
  socket.setNoDelay(true);
  limitPackets(socket, packetBytesMax);
  broker.handle(socket);
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = error.code === 'EADDRINUSE';
      const sentence = `Port ${port} on ${host} is already in use, so the MQTT broker cannot start there.`;
      reject(inUse ? new EmbeddedError('PORT_IN_USE', sentence, { port, host }) : error);
    });
    server.listen({ port, host }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

/**
 * Starts an MQTT 3.1.1 broker behind mutual TLS. The certificate is the identity: its CN is the client id and the topic
 * level, its OU says device or server, and nothing a client sends can widen that.
 * @throws EmbeddedError PORT_IN_USE
 */
export async function startEmbeddedBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  const { host = '127.0.0.1', packetBytesMax = 100 * 1024, log = () => undefined } = options;
  const retained = new RetainedLimit({
    topicsPerClientMax: RETAINED_TOPICS_PER_DEVICE_MAX,
    messageBytesMax: RETAINED_MESSAGE_BYTES_MAX,
  });
  const gate = new Gate({ packetBytesMax, retained }, options.isRevoked ?? (() => false));
  const server = createServer({
    ...options.tls,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    // A resumed session is not verified again, so a revoked certificate could come back with its old ticket.
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
  // After the certificates were read: a broker object left behind by a bad one would keep its timers.
  const broker = await createAedes(gate, log);
  server.maxConnections = options.connectionsMax ?? 6_000;
  server.on('secureConnection', (socket) => accept(socket, gate, broker, packetBytesMax, log));
  server.on('tlsClientError', (error, socket) => {
    log(`TLS handshake failed: ${quote(error.message)}`);
    socket.destroy();
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const port = await listen(server, options.port, host);
  return handle({ broker, server, sockets, port });
}

function handle(parts: { broker: Aedes; server: Server; sockets: Set<Socket>; port: number }): EmbeddedBroker {
  const clients = (): Record<string, Client> =>
    (parts.broker as unknown as { clients: Record<string, Client> }).clients;
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => parts.server.close(() => resolve()));
    await new Promise<void>((resolve) => parts.broker.close(() => resolve()));
    for (const socket of parts.sockets) socket.destroy();
    await closed;
  };
  return {
    port: parts.port,
    stop: () => (stopped ??= stop()),
    disconnect: (clientId) => clients()[clientId]?.close(),
    connectedClients: () => Object.keys(clients()),
  };
}
