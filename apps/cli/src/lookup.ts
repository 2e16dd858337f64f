import { ApiError, type ApiClient, type Device, type Release } from '@bpfleet/api';
import { CliError } from './exit-code.js';
import { safeText } from './output/terminal-text.js';

const devicesPerPage = 500;
const namesShownMax = 20;

/** Every device that a selector holds, page by page. */
export async function listAllDevices(client: ApiClient, selector?: string): Promise<Device[]> {
  const devices: Device[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.call('listDevices', { query: { selector, cursor, limit: devicesPerPage } });
    devices.push(...page.items);
    cursor = page.nextCursor ?? undefined;
  } while (cursor);
  return devices;
}

/** A device by its id, else by its name. @throws CliError DEVICE_UNKNOWN, DEVICE_AMBIGUOUS */
export async function findDevice(client: ApiClient, wanted: string): Promise<Device> {
  if (/^d[a-z0-9]{8,31}$/.test(wanted)) {
    try {
      return await client.call('getDevice', { path: { id: wanted } });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
  }
  const named = (await listAllDevices(client)).filter((device) => device.name === wanted);
  const [device, ...others] = named;
  if (!device) throw new CliError('DEVICE_UNKNOWN', `no device has the id or name ${safeText(wanted)}`);
  if (others.length > 0) {
    const ids = named.map((one) => one.id).slice(0, namesShownMax);
    throw new CliError('DEVICE_AMBIGUOUS', `${named.length} devices are named so, give the id: ${ids.join(', ')}`);
  }
  return device;
}

/** `PROBE` (its latest release), `PROBE@VERSION`, or a release's id. @throws CliError RELEASE_UNKNOWN */
export async function findRelease(client: ApiClient, wanted: string): Promise<Release> {
  const [name = '', version] = wanted.split('@');
  if (version !== undefined) {
    const { items } = await client.call('listReleases', { query: { probe: name } });
    const release = items.find((one) => one.version === version);
    if (release) return release;
    throw new CliError(
      'RELEASE_UNKNOWN',
      `there is no ${safeText(wanted)}; ${existing(items.map((one) => one.version))}`,
    );
  }
  const { items: probes } = await client.call('listProbes', {});
  const id = probes.find((probe) => probe.name === name)?.latest.id ?? name;
  try {
    return await client.call('getRelease', { path: { id } });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status >= 500 || ![400, 404, 422].includes(error.status)) throw error;
    const names = existing(probes.map((probe) => probe.name));
    throw new CliError('RELEASE_UNKNOWN', `there is no probe or release ${safeText(wanted)}; ${names}`);
  }
}

function existing(names: readonly string[]): string {
  if (names.length === 0) return 'there are none';
  const more = names.length > namesShownMax ? ', …' : '';
  return `there are ${names.slice(0, namesShownMax).map(safeText).join(', ')}${more}`;
}
