import { appendFileSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { documentRules, readFileBounded, writeFileAtomic } from '@bpfleet/trust';

const DIGEST = /^[0-9a-f]{64}$/;

/**
 * Signed documents and blobs as they came, byte for byte. Nothing here is believed because it is here: whoever reads one
 * checks it again, since a disk can be written by others.
 */
export class DocumentStore {
  constructor(private readonly folder: string) {
    mkdirSync(join(folder, 'releases'), { recursive: true, mode: 0o700 });
    mkdirSync(join(folder, 'blobs'), { recursive: true, mode: 0o700 });
  }

  root(): Buffer | undefined {
    return readFileBounded(join(this.folder, 'root.json'), documentRules.root.bytesMax);
  }

  saveRoot(bytes: Uint8Array): void {
    writeFileAtomic(join(this.folder, 'root.json'), bytes);
  }

  /** The newest that was accepted, and the one before it. */
  desired(): (Buffer | undefined)[] {
    const path = join(this.folder, 'desired.json');
    return [path, `${path}.previous`].map((file) => readFileBounded(file, documentRules.desired.bytesMax));
  }

  saveDesired(bytes: Uint8Array): void {
    writeFileAtomic(join(this.folder, 'desired.json'), bytes);
  }

  release(digest: string): Buffer | undefined {
    return readFileBounded(this.path('releases', digest), documentRules.release.bytesMax);
  }

  saveRelease(digest: string, bytes: Uint8Array): void {
    writeFileAtomic(this.path('releases', digest), bytes);
  }

  removeRelease(digest: string): void {
    rmSync(this.path('releases', digest), { force: true });
  }

  blob(digest: string, bytesMax: number): Buffer | undefined {
    return readFileBounded(this.path('blobs', digest), bytesMax);
  }

  saveBlob(digest: string, bytes: Uint8Array): void {
    writeFileAtomic(this.path('blobs', digest), bytes);
    this.removePartial(digest);
  }

  removeBlob(digest: string): void {
    rmSync(this.path('blobs', digest), { force: true });
  }

  /** What came of a blob before the link was lost. Not fsynced: the digest of the whole decides at the end. */
  partialBytes(digest: string): number {
    return statSync(this.partialPath(digest), { throwIfNoEntry: false })?.size ?? 0;
  }

  partial(digest: string, bytesMax: number): Buffer | undefined {
    return readFileBounded(this.partialPath(digest), bytesMax);
  }

  appendPartial(digest: string, bytes: Uint8Array): void {
    appendFileSync(this.partialPath(digest), bytes, { mode: 0o600 });
  }

  removePartial(digest: string): void {
    rmSync(this.partialPath(digest), { force: true });
  }

  /** Removes what no desired state and no run names any more. Returns how many files went. */
  removeUnused(releases: ReadonlySet<string>, blobs: ReadonlySet<string>): number {
    return this.removeFrom('releases', releases) + this.removeFrom('blobs', blobs);
  }

  private removeFrom(kind: 'releases' | 'blobs', used: ReadonlySet<string>): number {
    const unused = readdirSync(join(this.folder, kind)).filter((name) => !used.has(name.slice(0, 64)));
    for (const name of unused) rmSync(join(this.folder, kind, name), { force: true });
    return unused.length;
  }

  private path(kind: 'releases' | 'blobs', digest: string): string {
    if (!DIGEST.test(digest)) throw new Error('a digest is 64 hexadecimal digits');
    return join(this.folder, kind, digest);
  }

  private partialPath(digest: string): string {
    return `${this.path('blobs', digest)}.part`;
  }
}
