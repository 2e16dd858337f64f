import type { DetailedPeerCertificate, PeerCertificate } from 'node:tls';

/** Who is behind a connection, as the certificate says and nothing else. */
export interface BrokerIdentity {
  readonly kind: 'device' | 'server';
  readonly commonName: string;
  readonly serialNumber: string;
}

// One topic level without MQTT's special characters. A device's is the id the server mints; a server's names its role.
const DEVICE_NAME = /^d[a-z0-9]{8,31}$/;
const SERVER_NAME = /^server(-[a-z0-9-]{1,48})?$/;
const SERVER_CLIENT_ID = /^server-[A-Za-z0-9_-]{1,57}$/;

/**
 * Reads the identity from a verified client certificate: OU says device or server, CN says which. A subject with a
 * field twice arrives as an array and is refused: two readers of it could disagree on who it is.
 */
export function identityOf(
  certificate: PeerCertificate | DetailedPeerCertificate | undefined,
): BrokerIdentity | undefined {
  const subject: Record<string, unknown> = { ...certificate?.subject };
  const { CN: commonName, OU: unit } = subject;
  const serialNumber = certificate?.serialNumber;
  if (typeof commonName !== 'string' || typeof serialNumber !== 'string') return undefined;
  if (unit === 'device' && DEVICE_NAME.test(commonName)) return { kind: 'device', commonName, serialNumber };
  if (unit === 'server' && SERVER_NAME.test(commonName)) return { kind: 'server', commonName, serialNumber };
  return undefined;
}

/** A device's client id is its common name; each process of the server brings a `server-…` id of its own. */
export function mayUseClientId(identity: BrokerIdentity, clientId: string): boolean {
  if (identity.kind === 'device') return clientId === identity.commonName;
  return clientId === identity.commonName || SERVER_CLIENT_ID.test(clientId);
}
