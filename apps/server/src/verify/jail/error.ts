/** A jail could not be built or did not start; nothing is known about what should have run in it. */
export class JailError extends Error {
  readonly code: 'JAIL_UNAVAILABLE' | 'JAIL_BUSY' = 'JAIL_UNAVAILABLE';
  constructor(
    message: string,
    readonly needs: string,
  ) {
    super(message);
    this.name = 'JailError';
  }
}

const NAMESPACES =
  'root with CAP_SYS_ADMIN and CAP_NET_ADMIN, or with CAP_SETFCAP, or another user, on a host that lets users make namespaces; ' +
  'a container also a seccomp profile that lets it mount and pivot_root';

/** What bubblewrap or prlimit said before the command could start, with what the host or the container lacks for it. */
export function refusedJail(complaint: string): JailError {
  // Root without capabilities, the default seccomp profile, root without CAP_NET_ADMIN: each has words of its own.
  const lacksNamespaces = /^bwrap: .*(permi|namespace|loopback|pivot_root)/i.test(complaint);
  const program = complaint.split(':', 1)[0] ?? '';
  return new JailError(`the jail was refused: ${complaint}`, lacksNamespaces ? NAMESPACES : program);
}
