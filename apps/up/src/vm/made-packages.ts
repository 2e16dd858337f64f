import { readFileSync } from 'node:fs';

export type DeviceArch = 'arm64' | 'armv7';

/** What `npm run package` says of each package in its `index.json`; the server reads the rest of it. */
interface MadePackages {
  readonly packages?: readonly { readonly arch?: string; readonly version?: string }[];
}

/** Whether the folder's index names a package of just this version. What cannot be read names none, and is made anew. */
export function hasPackage(indexFile: string, wanted: { arch: DeviceArch; version: string }): boolean {
  let index: MadePackages | null;
  try {
    index = JSON.parse(readFileSync(indexFile, 'utf8')) as MadePackages | null;
  } catch {
    return false;
  }
  const packages = Array.isArray(index?.packages) ? index.packages : [];
  return packages.some((one) => one?.arch === wanted.arch && one.version === wanted.version);
}
