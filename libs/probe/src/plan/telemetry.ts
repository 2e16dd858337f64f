import type { BpfObjectFile } from '@bpfleet/btf';
import { ManifestError } from '../manifest/error.js';
import { checkManifest } from '../manifest/check.js';
import type { ProbeManifest } from '../manifest/schema.js';
import type { TelemetryPlan } from '../types.js';

/** The map of bpfleet.bpf.h that counts what found no room in a ring. */
const DROPS_MAP = 'bpfleet_drops';

/**
 * What an agent drains for a release. Maps that several metrics read are read once.
 * @throws ManifestError when the manifest does not fit the object
 */
export function telemetryPlan(manifest: ProbeManifest, object: BpfObjectFile): TelemetryPlan {
  const issues = checkManifest(manifest, object);
  if (issues.length > 0) throw new ManifestError(issues);
  const rings = [...new Set(manifest.events.map((event) => event.map))];
  const snapshots = new Set([...manifest.metrics.map((metric) => metric.map), ...manifest.profiles.map((p) => p.map)]);
  const stacks = new Set(manifest.profiles.map((profile) => profile.stacks));
  const drops = object.maps.find((map) => map.name === DROPS_MAP && map.valueBytes === 8 && map.perCpu);
  return {
    rings: rings.map((map) => ({ map, events: manifest.events.filter((e) => e.map === map).map((e) => e.name) })),
    snapshots: object.maps
      .filter((map) => snapshots.has(map.name))
      .map(({ name, typeName, perCpu, keyBytes, valueBytes, maxEntries }) => ({
        map: name,
        typeName,
        perCpu,
        keyBytes,
        valueBytes,
        maxEntries,
      })),
    stacks: object.maps
      .filter((map) => stacks.has(map.name))
      .map(({ name, valueBytes, maxEntries }) => ({ map: name, valueBytes, maxEntries })),
    ...(drops === undefined ? {} : { drops: drops.name }),
  };
}
