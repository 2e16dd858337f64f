import { describe, expect, it } from '@jest/globals';
import { refusedJail } from './error.js';

describe('refusedJail', () => {
  // The words of bubblewrap 0.8, of which those about the map and the loopback were seen in containers.
  it.each([
    'bwrap: setting up uid map: Operation not permitted',
    'bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged user namespaces.',
    'bwrap: loopback: Failed RTM_NEWADDR: No child processes',
    'bwrap: pivot_root: Operation not permitted',
  ])('says what a host or a container must allow: %s', (complaint) => {
    const error = refusedJail(complaint);
    expect(error.message).toBe(`the jail was refused: ${complaint}`);
    expect(error.needs).toMatch(/CAP_SYS_ADMIN and CAP_NET_ADMIN.*CAP_SETFCAP.*seccomp/);
  });

  it('names the program alone where more rights would not help', () => {
    expect(refusedJail("bwrap: Can't find source path /include: No such file or directory").needs).toBe('bwrap');
    expect(refusedJail('prlimit: failed to set the CPU resource limit: Invalid argument').needs).toBe('prlimit');
  });
});
