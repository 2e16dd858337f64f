import type { BrokerIdentity } from './broker-identity.js';

/** Longest topic or filter the broker looks at; the wire format needs fewer than 100. */
const TOPIC_BYTES_MAX = 256;
const TOPIC_LEVELS_MAX = 16;
const ROOT = 'bpfleet/';

function isPlain(topic: string): boolean {
  if (topic.length === 0 || Buffer.byteLength(topic) > TOPIC_BYTES_MAX) return false;
  // Control characters are legal in MQTT and useful to nobody but a forger of log lines.
  return !/\p{Cc}/u.test(topic) && topic.split('/').length <= TOPIC_LEVELS_MAX;
}

function isUnder(topic: string, prefix: string): boolean {
  return topic.startsWith(prefix) && topic.length > prefix.length;
}

/** A device publishes under its own `up/` only; the server anywhere under `bpfleet/`. The will counts as a publish. */
export function mayPublish(identity: BrokerIdentity, topic: string): boolean {
  if (!isPlain(topic) || /[+#]/.test(topic)) return false;
  return isUnder(topic, identity.kind === 'server' ? ROOT : `bpfleet/1/${identity.commonName}/up/`);
}

/**
 * A device subscribes under its own `dn/` only; the server anywhere under `bpfleet/`. Shared subscriptions (`$share/…`) fall
 * outside both, and must: aedes grants them and then delivers nothing.
 */
export function maySubscribe(identity: BrokerIdentity, filter: string): boolean {
  if (!isPlain(filter)) return false;
  return isUnder(filter, identity.kind === 'server' ? ROOT : `bpfleet/1/${identity.commonName}/dn/`);
}
