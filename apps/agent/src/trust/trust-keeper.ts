import {
  acceptAddendum,
  acceptBlob,
  acceptDesired,
  acceptFresh,
  acceptNextRoot,
  acceptRelease,
  digestOf,
  peekDocument,
  signersOf,
  TrustError,
  verifyDocument,
  type AddendumDocument,
  type AddendumUse,
  type DesiredDocument,
  type DesiredEntry,
  type FreshDocument,
  type ReleaseDocument,
  type RootDocument,
} from '@bpfleet/trust';
import type { RunError, Sync } from '@bpfleet/wire';
import { AgentError } from '../agent-error.js';
import { hearTime, type TrustedTime } from '../core/trusted-time.js';
import type { BootPoint } from '../core/lease.js';
import { errorFacts } from '../log.js';
import type { DocumentStore } from '../store/documents.js';
import type { JsonFile } from '../store/json-file.js';
import { OpenQuestions } from './open-questions.js';

export interface AcceptedFresh {
  readonly fresh: FreshDocument;
  /** The server knows a newer root, or another desired state, than this device holds. */
  readonly wantsRoot: boolean;
  readonly wantsDesired: boolean;
}

/**
 * The one place where bytes from outside become something to act on, always in this order: root, then fresh and desired by
 * root's director keys, then the release by root's release keys, then blobs by the release's digests.
 */
export class TrustKeeper {
  private currentRoot: RootDocument;
  private currentRootDigest: string;
  private held: { document: DesiredDocument; digest: string } | undefined;
  private readonly questions = new OpenQuestions();
  private refusal: RunError | undefined;
  private heardTime: TrustedTime | undefined;

  /** @throws AgentError STATE_MISSING, TrustError when the stored root is not what its own keys signed */
  constructor(
    private readonly device: string,
    private readonly documents: DocumentStore,
    private readonly timeFile: JsonFile<TrustedTime>,
  ) {
    const bytes = documents.root();
    if (!bytes)
      throw new AgentError('STATE_MISSING', 'the state folder holds no root document: enrol this device again');
    const root = peekDocument('root', bytes);
    this.currentRoot = verifyDocument('root', bytes, signersOf(root, root.roles.root));
    this.currentRootDigest = digestOf(bytes);
    this.held = this.heldDesired();
    this.heardTime = timeFile.read();
  }

  get root(): RootDocument {
    return this.currentRoot;
  }

  get desired(): DesiredDocument | undefined {
    return this.held?.document;
  }

  get desiredDigest(): string | null {
    return this.held?.digest ?? null;
  }

  /** Why the newest desired state was refused, until one is accepted. */
  get refused(): RunError | undefined {
    return this.refusal;
  }

  get time(): TrustedTime | undefined {
    return this.heardTime;
  }

  /** A new question. Those before it stay open for a while: a hint may come while an answer is on its way. */
  question(now: BootPoint): Pick<Sync, 'nonce' | 'held'> {
    const generation = this.held?.document.generation ?? 0;
    const held = { root: this.currentRootDigest, desired: this.desiredDigest, generation };
    return { nonce: this.questions.ask(now), held };
  }

  /**
   * The answer to an open question; undefined for one that the answer to a later question has overtaken.
   * @throws TrustError; then nothing has changed
   */
  takeFresh(bytes: Uint8Array, now: BootPoint): AcceptedFresh | undefined {
    const nonces = this.questions.nonces(now);
    if (nonces.length === 0) throw new TrustError('TRUST_FRESHNESS', 'a fresh document came that nobody asked for');
    const fresh = acceptFresh(this.currentRoot, this.device, nonces, bytes);
    if (!this.questions.answer(fresh.nonce)) return undefined;
    this.heardTime = hearTime(this.heardTime, Date.parse(fresh.time), now);
    this.timeFile.writeSoon(this.heardTime);
    return {
      fresh,
      wantsRoot: fresh.digests.root !== this.currentRootDigest,
      wantsDesired: fresh.digests.desired !== this.desiredDigest,
    };
  }

  /** Whether this device has all that the answer names. */
  holds({ digests }: FreshDocument): boolean {
    return digests.root === this.currentRootDigest && digests.desired === this.desiredDigest;
  }

  /** True when it is another one than was held. A refused one is remembered for the report, and nothing of it is acted on. */
  takeDesired(bytes: Uint8Array): boolean {
    const held = this.held && { generation: this.held.document.generation, digest: this.held.digest };
    try {
      const document = acceptDesired(this.currentRoot, this.device, held, bytes);
      this.refusal = undefined;
      const digest = digestOf(bytes);
      if (digest === held?.digest) return false;
      this.documents.saveDesired(bytes);
      this.held = { document, digest };
      return true;
    } catch (error) {
      this.refusal = errorFacts(error);
      throw error;
    }
  }

  /** The root that follows the current one. @throws TrustError */
  takeRoot(bytes: Uint8Array): void {
    this.currentRoot = acceptNextRoot(this.currentRoot, bytes);
    this.currentRootDigest = digestOf(bytes);
    this.documents.saveRoot(bytes);
  }

  /** A release from the disk: checked again, since the root may have changed and disks can be written to. */
  storedRelease(digest: string): ReleaseDocument | undefined {
    try {
      const bytes = this.documents.release(digest);
      return bytes && acceptRelease(this.currentRoot, digest, bytes);
    } catch {
      // Whatever is wrong with it, the server is asked again and its answer says what it is.
      this.documents.removeRelease(digest);
      return undefined;
    }
  }

  /** An addendum from the disk, checked again like a release. */
  storedAddendum(digest: string, use?: AddendumUse): AddendumDocument | undefined {
    try {
      const bytes = this.documents.addendum(digest);
      return bytes && acceptAddendum(this.currentRoot, digest, bytes, use);
    } catch {
      this.documents.removeAddendum(digest);
      return undefined;
    }
  }

  /** @throws TrustError; then it is not kept */
  takeAddendum(digest: string, bytes: Uint8Array, use: AddendumUse): AddendumDocument {
    const addendum = acceptAddendum(this.currentRoot, digest, bytes, use);
    this.documents.saveAddendum(digest, bytes);
    return addendum;
  }

  /** Removes from the disk what none of these entries names, nor the newest desired state. */
  removeUnused(used: readonly DesiredEntry[]): void {
    const entries = [...used, ...(this.desired?.entries ?? [])];
    const releases = new Set(entries.map(({ release }) => release));
    const addenda = new Set(entries.flatMap(({ addendum }) => addendum ?? []));
    const objects = [...releases].flatMap((digest) => this.storedRelease(digest)?.objects ?? []);
    const types = [...addenda].flatMap((digest) => this.storedAddendum(digest)?.btf ?? []);
    const blobs = new Set([...objects, ...types].map(({ digest }) => digest));
    this.documents.removeUnused({ releases, blobs, addenda });
  }

  /** Where libbpf reads a blob that `storedBlob` or `takeBlob` has just checked. */
  blobPath(digest: string): string {
    return this.documents.blobPath(digest);
  }

  /** @throws TrustError; then it is not kept */
  takeRelease(digest: string, bytes: Uint8Array): ReleaseDocument {
    const release = acceptRelease(this.currentRoot, digest, bytes);
    this.documents.saveRelease(digest, bytes);
    return release;
  }

  storedBlob(digest: string, bytesMax: number): Buffer | undefined {
    try {
      const bytes = this.documents.blob(digest, bytesMax);
      if (bytes) acceptBlob(digest, bytes);
      return bytes;
    } catch {
      this.documents.removeBlob(digest);
      return undefined;
    }
  }

  /** @throws TrustError; then neither it nor its parts are kept */
  takeBlob(digest: string, bytes: Buffer): Buffer {
    try {
      acceptBlob(digest, bytes);
    } catch (error) {
      this.documents.removePartial(digest);
      throw error;
    }
    this.documents.saveBlob(digest, bytes);
    return bytes;
  }

  /** After a torn write the copy before is as good; one that does not verify is as none. */
  private heldDesired(): { document: DesiredDocument; digest: string } | undefined {
    for (const bytes of this.documents.desired()) {
      if (!bytes) continue;
      try {
        return {
          document: acceptDesired(this.currentRoot, this.device, undefined, bytes),
          digest: digestOf(bytes),
        };
      } catch (error) {
        this.refusal = errorFacts(error);
      }
    }
    return undefined;
  }
}
