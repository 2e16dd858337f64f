import type { AttachTypeFacts } from './attach-types.js';
import type { CapabilityName, PrivilegedAction, PrivilegeFacts } from './capabilities.js';
import { neededCapabilities } from './capabilities.js';
import type { MapTypeFacts } from './map-types.js';

/** A process that is asked for everything: perf_event_paranoid 2, no unprivileged BPF, a tracefs that belongs to root. */
const strict: PrivilegeFacts = {
  effective: new Set(),
  kernel: [6, 12],
  machine: 'x86_64',
  unprivilegedBpfDisabled: 2,
  perfEventParanoid: 2,
  tracefsReadable: false,
};

/** What is done when a program is loaded and attached so, as far as capabilities are concerned. */
export function privilegedActions(type: AttachTypeFacts): PrivilegedAction[] {
  const load = { does: 'load', programType: type.programType } as const;
  return type.privileged === undefined ? [load] : [load, type.privileged];
}

/** Every capability that loading and attaching need: on a kernel from 5.8 on with strict settings, unless told. */
export function capabilitiesToAttach(type: AttachTypeFacts, facts: PrivilegeFacts = strict): CapabilityName[] {
  return [...new Set(privilegedActions(type).flatMap((action) => neededCapabilities(action, facts)))];
}

/** What making such a map needs: on a kernel from 5.8 on with strict settings, unless told. */
export function capabilitiesToCreate(type: MapTypeFacts, facts: PrivilegeFacts = strict): CapabilityName[] {
  return neededCapabilities({ does: 'create_map', mapType: type.name }, facts);
}
