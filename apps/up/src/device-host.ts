import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { Refusal } from './refusal.js';

/** Where a fleet that was told nothing is reached: from this machine, and from VMs on it. */
export const LOOPBACK = '127.0.0.1';

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;
const NAME_CHARS_MAX = 253;

/** The name or address by which devices reach this machine. @throws Refusal saying what is wrong with it */
export function parseDeviceHost(text: string): string {
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  if (/^(0\.0\.0\.0|[0:]+)$/.test(bare))
    throw new Refusal(`--host takes the name or address that devices connect to, and none can connect to ${text}.`);
  // Without a zone: fe80::1%eth0 means something else on each device.
  if (isIP(bare) !== 0 && !bare.includes('%')) return bare;
  const labels = text.split('.');
  // Four numbers that are no address are a slip of the pen, and no name.
  const isName =
    text.length <= NAME_CHARS_MAX && labels.every((one) => LABEL.test(one)) && !/^\d+$/.test(labels.at(-1) ?? '');
  if (isName) return text.toLowerCase();
  throw new Refusal(
    `--host takes a name or an address alone, such as 192.168.1.5 or fleet.local, not ${JSON.stringify(text)}; ports have options of their own.`,
  );
}

/** As it stands in a URL (RFC 3986, 3.2.2). */
export function inUrl(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}

/**
 * What HTTP server and broker listen on. All addresses, where devices come from outside: the supervisor and VMs of this machine
 * still come by loopback, and the name may be that of a router before it.
 */
export function listenAddress(host: string, hasIpv6: boolean): string {
  if (host === LOOPBACK || host === 'localhost') return LOOPBACK;
  return hasIpv6 ? '::' : '0.0.0.0';
}

/**
 * Keeps the host that a person chose, and gives the one that was chosen before, if it was another. Certificates follow by
 * themselves (the broker's is made at each start), but a device keeps the address that it was told at enrolment.
 */
export function rememberHost(file: string, host: string): string | undefined {
  const before = existsSync(file) ? readFileSync(file, 'utf8').trim() : LOOPBACK;
  // A start without --host may be a slip: what devices were told stays known.
  if (host !== LOOPBACK) writeFileSync(file, `${host}\n`, { mode: 0o600 });
  return before === host || before === LOOPBACK ? undefined : before;
}

/** What becomes of the devices that were told another host; undefined where there are none but this machine. */
export function strandedDevices(before: string | undefined, otherDevices: number): string | undefined {
  if (before === undefined || otherDevices <= 0) return undefined;
  return (
    `This fleet was last started with --host ${before}: devices that enrolled then look for it there. ` +
    `Start it with --host ${before}, or enrol them again (bpfleet-agent enrol … --replace).`
  );
}
