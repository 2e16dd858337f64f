import { appendFileSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { documentRules, readFileBounded } from '@bpfleet/trust';
import { directWriter, type StateWriter } from './state-port.js';

const DIGEST = /^[0-9a-f]{64}$/;
const kinds = ['releases', 'blobs', 'addenda'] as const;
type Kind = (typeof kinds)[number];

/**
 * Signed documents and blobs as they came, byte for byte. Nothing here is believed because it is here: whoever reads one
 * checks it again, since a disk can be written by others.
 */
export class DocumentStore {
  constructor(
    private readonly folder: string,
    private readonly writer: StateWriter = directWriter,
  ) {
    for (const kind of kinds) mkdirSync(join(folder, kind), { recursive: true, mode: 0o700 });
  }

  /** The copy before it where a bad sector keeps the newest from being read: the server brings the rest of the chain. */
  root(): Buffer | undefined {
    const path = join(this.folder, 'root.json');
    const [newest, before] = copiesOf(path, documentRules.root.bytesMax);
    return newest ?? before;
  }

  /** As soon as the disk takes it: what is held in memory was verified, and an older one on the disk is no less so. */
  saveRoot(bytes: Uint8Array): void {
    this.writer.writeSoon(join(this.folder, 'root.json'), bytes);
  }

  /** The newest that was accepted, and the one before it. */
  desired(): (Buffer | undefined)[] {
    return copiesOf(join(this.folder, 'desired.json'), documentRules.desired.bytesMax);
  }

  /** As soon as the disk takes it. A device that restarts before asks anew, and what it was told to stop is stopped again. */
  saveDesired(bytes: Uint8Array): void {
    this.writer.writeSoon(join(this.folder, 'desired.json'), bytes);
  }

  release(digest: string): Buffer | undefined {
    return readFileBounded(this.path('releases', digest), documentRules.release.bytesMax);
  }

  /** @throws AgentError STATE_UNWRITABLE: a run whose release is not on the disk could not be adopted */
  saveRelease(digest: string, bytes: Uint8Array): void {
    this.writer.write(this.path('releases', digest), bytes);
  }

  removeRelease(digest: string): void {
    this.writer.remove(this.path('releases', digest));
  }

  addendum(digest: string): Buffer | undefined {
    return readFileBounded(this.path('addenda', digest), documentRules.addendum.bytesMax);
  }

  /** @throws AgentError STATE_UNWRITABLE: after a reboot without a network the run could not be loaded again */
  saveAddendum(digest: string, bytes: Uint8Array): void {
    this.writer.write(this.path('addenda', digest), bytes);
  }

  removeAddendum(digest: string): void {
    this.writer.remove(this.path('addenda', digest));
  }

  /** Where libbpf finds a blob that was just checked. */
  blobPath(digest: string): string {
    return this.path('blobs', digest);
  }

  blob(digest: string, bytesMax: number): Buffer | undefined {
    return readFileBounded(this.path('blobs', digest), bytesMax);
  }

  /** @throws AgentError STATE_UNWRITABLE */
  saveBlob(digest: string, bytes: Uint8Array): void {
    this.writer.write(this.path('blobs', digest), bytes);
    this.removePartial(digest);
  }

  removeBlob(digest: string): void {
    this.writer.remove(this.path('blobs', digest));
  }

  /** What came of a blob before the link was lost. Not fsynced: the digest of the whole decides at the end. */
  partialBytes(digest: string): number {
    return statSync(this.partialPath(digest), { throwIfNoEntry: false })?.size ?? 0;
  }

  partial(digest: string, bytesMax: number): Buffer | undefined {
    return readFileBounded(this.partialPath(digest), bytesMax);
  }

  /** @throws AgentError STATE_UNWRITABLE */
  appendPartial(digest: string, bytes: Uint8Array): void {
    const path = this.partialPath(digest);
    this.writer.attempt(path, bytes.length, () => appendFileSync(path, bytes, { mode: 0o600 }));
  }

  removePartial(digest: string): void {
    this.writer.remove(this.partialPath(digest));
  }

  /** Removes what no desired state and no run names any more. Returns how many files went. */
  removeUnused(used: Readonly<Record<Kind, ReadonlySet<string>>>): number {
    return kinds.reduce((sum, kind) => sum + this.removeFrom(kind, used[kind]), 0);
  }

  private removeFrom(kind: Kind, used: ReadonlySet<string>): number {
    const unused = readdirSync(join(this.folder, kind)).filter((name) => !used.has(name.slice(0, 64)));
    for (const name of unused) this.writer.remove(join(this.folder, kind, name));
    return unused.length;
  }

  private path(kind: Kind, digest: string): string {
    if (!DIGEST.test(digest)) throw new Error('a digest is 64 hexadecimal digits');
    return join(this.folder, kind, digest);
  }

  private partialPath(digest: string): string {
    return `${this.path('blobs', digest)}.part`;
  }
}

function copiesOf(path: string, bytesMax: number): (Buffer | undefined)[] {
  return [path, `${path}.previous`].map((file) => {
    try {
      return readFileBounded(file, bytesMax);
    } catch {
      return undefined;
    }
  });
}
