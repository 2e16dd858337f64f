/** An ordinary user: `nobody` of Debian. */
const USER = 65_534;

/** What runs a command as an ordinary user with these capabilities (as setpriv of util-linux names them) and no others. */
export function asUser(capabilities: readonly string[]): string[] {
  const set = ['-all', ...capabilities.map((name) => `+${name}`)].join(',');
  const sets = ['inh-caps', 'ambient-caps', 'bounding-set'].map((kind) => `--${kind}=${set}`);
  return ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups', ...sets];
}
