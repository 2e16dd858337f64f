import { createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { readFileBounded, writeFileAtomic } from '@bpfleet/trust';
import { isDeviceId } from '@bpfleet/wire';
import * as z from 'zod';
import { AgentError } from '../agent-error.js';
import { JsonFile } from './json-file.js';

export interface Identity {
  readonly device: string;
  readonly mqttUrl: string;
  /** Digest of the root that the enrolment token named: by it a device knows its fleet. */
  readonly fleet?: string | undefined;
  /** PEM. */
  readonly key: string;
  readonly certificate: string;
}

const placeSchema = z.object({
  device: z.string().refine(isDeviceId),
  mqttUrl: z.string().regex(/^mqtts:\/\/[^\s/]+$/),
  /** Not said by agents before this one. deploy/agent/install.sh reads it too. */
  fleet: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
});

const PEM_BYTES_MAX = 64 * 1024;

function files(folder: string) {
  return {
    key: join(folder, 'identity', 'key.pem'),
    certificate: join(folder, 'identity', 'certificate.pem'),
    place: new JsonFile(join(folder, 'identity', 'device.json'), placeSchema, 4096),
  };
}

export function isEnrolled(folder: string): boolean {
  return files(folder).place.read() !== undefined;
}

/** Digest of the root that the token of this enrolment named, where the agent that enrolled kept it. */
export function enrolledFleet(folder: string): string | undefined {
  return files(folder).place.read()?.fleet;
}

/** `device.json` comes last: a folder without it is not enrolled, whatever else a power cut has left there. */
export function saveIdentity(folder: string, identity: Identity): void {
  const { key, certificate, place } = files(folder);
  writeFileAtomic(key, Buffer.from(identity.key), 0o600);
  writeFileAtomic(certificate, Buffer.from(identity.certificate), 0o600);
  const { device, mqttUrl, fleet } = identity;
  place.write({ device, mqttUrl, ...(fleet === undefined ? {} : { fleet }) });
}

/** @throws AgentError STATE_MISSING, STATE_CORRUPT */
export function loadIdentity(folder: string): Identity {
  const { key, certificate, place } = files(folder);
  const where = place.read();
  const keyPem = readFileBounded(key, PEM_BYTES_MAX)?.toString();
  const certificatePem = readFileBounded(certificate, PEM_BYTES_MAX)?.toString();
  if (!where || !keyPem || !certificatePem) {
    throw new AgentError('STATE_MISSING', `${folder} holds no identity: enrol this device first`);
  }
  assertBelongTogether(where.device, keyPem, certificatePem);
  return { ...where, key: keyPem, certificate: certificatePem };
}

/** The certificate is for this key and names this device, and nothing else. */
export function assertBelongTogether(device: string, keyPem: string, certificatePem: string): void {
  let certificate: X509Certificate;
  let fits: boolean;
  try {
    certificate = new X509Certificate(certificatePem);
    fits = certificate.checkPrivateKey(createPrivateKey(keyPem));
  } catch (cause) {
    throw new AgentError(
      'STATE_CORRUPT',
      `the device certificate or its key is unreadable: ${(cause as Error).message}`,
    );
  }
  if (!fits) throw new AgentError('STATE_CORRUPT', 'the device certificate belongs to another key');
  const names = certificate.subject.split('\n').filter((part) => part.startsWith('CN='));
  if (names.length !== 1 || names[0] !== `CN=${device}`) {
    throw new AgentError('STATE_CORRUPT', `the device certificate is for another name than ${device}`);
  }
}
