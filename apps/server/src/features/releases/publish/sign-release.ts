import { Injectable } from '@nestjs/common';
import { digestOf, signDocument, TrustError, type ReleaseDocument } from '@bpfleet/trust';
import { BlobStore } from '../../../platform/blobs/blob-store.js';
import { Clock } from '../../../platform/clock.js';
import { ServerKeys } from '../../../platform/keys/server-keys.js';
import type { BuiltObject } from './build-objects.js';
import { manifestRefusal } from './refusal.js';

export interface SignedRelease {
  /** Of the envelope, which is a blob. */
  readonly digest: string;
  readonly keyids: readonly string[];
  readonly objects: ReleaseDocument['objects'];
}

/** Makes the document that devices check, and stores it with its objects by digest. */
@Injectable()
export class ReleaseSigner {
  constructor(
    private readonly keys: ServerKeys,
    private readonly blobs: BlobStore,
    private readonly clock: Clock,
  ) {}

  /** Throws MANIFEST_INVALID when name, version or size are not what a release document may carry. */
  async sign(given: {
    probe: string;
    version: string;
    manifest: string;
    objects: readonly BuiltObject[];
  }): Promise<SignedRelease> {
    const objects = given.objects.map(({ arch, bytes }) => ({ arch, digest: digestOf(bytes), bytes: bytes.length }));
    const { probe, version, manifest } = given;
    const createdAt = this.clock.now().toISOString();
    const envelope = this.envelope({ type: 'release', probe, version, manifest, objects, createdAt });
    for (const { bytes } of given.objects) await this.blobs.put('object', bytes);
    const digest = await this.blobs.put('release', envelope);
    return { digest, objects, keyids: this.keys.release.map(({ keyid }) => keyid) };
  }

  private envelope(document: ReleaseDocument): Buffer {
    try {
      return signDocument('release', document, this.keys.release);
    } catch (error) {
      if (!(error instanceof TrustError)) throw error;
      const path = /\bversion\b/.test(error.message) ? 'version' : '';
      throw manifestRefusal([{ path, message: `This cannot be signed: ${error.message}.` }]);
    }
  }
}
