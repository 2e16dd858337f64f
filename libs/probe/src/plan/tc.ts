import type { AttachOptions, TcDirection } from '../types.js';

const TC_SECTION = /^(?:tc|tcx|classifier)(?:\/(ingress|egress))?$/;

/** Whether a section is that of a program on one direction of one network interface. */
export function isTcSection(section: string): boolean {
  return TC_SECTION.test(section);
}

/** Which direction: as the section says it (`tcx/ingress`), else the manifest; undefined where neither does. */
export function tcDirection(section: string, { direction }: Pick<AttachOptions, 'direction'>): TcDirection | undefined {
  return (TC_SECTION.exec(section)?.[1] as TcDirection | undefined) ?? direction;
}
