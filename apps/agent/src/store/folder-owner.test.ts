import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { becomeOwnerOf, type Privileges } from './folder-owner.js';

const OWNER = 65_533;
const GROUP = 65_532;

function watched(uid: number): Privileges & { readonly calls: unknown[] } {
  const calls: unknown[] = [];
  return {
    calls,
    getuid: () => uid,
    setgroups: (groups) => calls.push(['groups', groups]),
    setgid: (id) => calls.push(['group', id]),
    setuid: (id) => calls.push(['user', id]),
  };
}

describeWithKernel('whose files an enrolment makes', ['root'], () => {
  it('are those of the folder’s owner, group first, since a user may not change it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'bpfleet-owner-'));
    try {
      const root = watched(0);
      becomeOwnerOf(folder, root);
      expect(root.calls).toEqual([]);
      chownSync(folder, OWNER, GROUP);
      becomeOwnerOf(folder, root);
      expect(root.calls).toEqual([
        ['groups', [GROUP]],
        ['group', GROUP],
        ['user', OWNER],
      ]);
      const user = watched(1000);
      becomeOwnerOf(folder, user);
      expect(user.calls).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('are root’s where there is no folder yet', () => {
    const root = watched(0);
    becomeOwnerOf('/nonexistent/folder', root);
    expect(root.calls).toEqual([]);
  });
});
