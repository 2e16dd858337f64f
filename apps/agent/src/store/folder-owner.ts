import { lstatSync } from 'node:fs';

/** What becoming another user takes of a process. */
export interface Privileges {
  getuid?(): number;
  setgroups?(groups: readonly number[]): void;
  setgid?(id: number): void;
  setuid?(id: number): void;
}

/**
 * Root, at work on a folder that belongs to the agent's own user, becomes that user for good: files that root left there
 * could not be read by the agent that runs later. Everybody else stays who they are.
 */
export function becomeOwnerOf(folder: string, self: Privileges = process): void {
  if (self.getuid?.() !== 0) return;
  const found = lstatSync(folder, { throwIfNoEntry: false });
  if (!found?.isDirectory() || found.uid === 0) return;
  self.setgroups?.([found.gid]);
  self.setgid?.(found.gid);
  self.setuid?.(found.uid);
}
