import type { BpfObjectFile } from '@bpfleet/btf';
import { bindEvent } from '../events/event.js';
import { bindMetric } from '../metrics/metric.js';
import { writeGlobal } from '../params/images.js';
import { referencesOf } from '../params/references.js';
import { checkedValue } from '../params/params.js';
import { isTcSection, tcDirection } from '../plan/tc.js';
import { bindProfile } from '../profiles/profile.js';
import type { ManifestIssue } from './error.js';
import { ParamError } from './error.js';
import { listing } from './listing.js';
import type { ParamManifest, ProbeManifest } from './schema.js';

/**
 * Everything that a manifest says about its object and that is not so: maps, members, structs, parameters and programs
 * that are not there (with those that are), decoders and buckets that do not fit. Empty when the two belong together.
 */
export function checkManifest(manifest: ProbeManifest, object: BpfObjectFile): ManifestIssue[] {
  const issues: ManifestIssue[] = [];
  checkParams(manifest, object, issues);
  checkAttach(manifest, object, issues);
  manifest.metrics.forEach((metric, i) => bindMetric(metric, object, `metrics[${i}]`, issues));
  manifest.events.forEach((event, i) => bindEvent(event, object, `events[${i}]`, issues));
  manifest.profiles.forEach((profile, i) => bindProfile(profile, object, `profiles[${i}]`, issues));
  checkSharedRings(manifest, issues);
  return issues;
}

function checkParams(manifest: ProbeManifest, object: BpfObjectFile, issues: ManifestIssue[]): void {
  const referenced = new Set(referencesOf(manifest).map(({ param }) => param));
  const tunable = object.globals.filter((global) => global.tunable);
  for (const [name, param] of Object.entries(manifest.params)) {
    const path = `params.${name}`;
    const global = tunable.find((g) => g.name === name);
    if (global === undefined && !referenced.has(name)) {
      const names = listing(tunable.map((g) => g.name));
      const message = `Nothing uses \`${name}\`: the object has no \`const volatile\` global of that name (it has ${names}), and no \`$${name}\` is in the manifest.`;
      issues.push({ path, message });
    }
    collectParamError(path, issues, () => checkedValue(name, param, param.default));
    if (global === undefined) continue;
    for (const value of extremes(param)) {
      collectParamError(path, issues, () => writeGlobal(object, global, value, new Uint8Array(global.bytes)));
    }
  }
}

/** The default and the bounds: what fits for these fits for everything between. */
function extremes(param: ParamManifest): (number | boolean | string)[] {
  if (typeof param.default !== 'number') return [param.default];
  return [param.default, param.min, param.max].filter((value) => value !== undefined);
}

function collectParamError(path: string, issues: ManifestIssue[], check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof ParamError)) throw error;
    if (!issues.some((issue) => issue.path === path)) issues.push({ path, message: error.message });
  }
}

function checkAttach(manifest: ProbeManifest, object: BpfObjectFile, issues: ManifestIssue[]): void {
  const programs = object.programs.map((program) => program.name);
  for (const name of Object.keys(manifest.attach)) {
    if (programs.includes(name)) continue;
    const message = `The object has no program \`${name}\`; it has ${listing(programs)}.`;
    issues.push({ path: `attach.${name}`, message });
  }
  for (const program of object.programs) checkTc(program, manifest.attach, issues);
  const params = Object.keys(manifest.params);
  for (const { path, param, type } of referencesOf(manifest)) {
    const found = Object.hasOwn(manifest.params, param) ? manifest.params[param] : undefined;
    if (found === undefined) {
      issues.push({ path, message: `There is no parameter \`${param}\`; the manifest has ${listing(params)}.` });
    } else if (typeof found.default !== type) {
      issues.push({ path, message: `Parameter \`${param}\` is a ${typeof found.default}; a ${type} is needed here.` });
    }
  }
}

/** A tc program is on one direction of one interface, and nothing but this says on which. */
function checkTc(
  { name, section }: BpfObjectFile['programs'][number],
  attach: ProbeManifest['attach'],
  issues: ManifestIssue[],
): void {
  const { interface: device, direction } = (Object.hasOwn(attach, name) ? attach[name] : undefined) ?? {};
  const add = (member: string, message: string): void =>
    void issues.push({ path: `attach.${name}.${member}`, message });
  if (!isTcSection(section)) {
    if (direction !== undefined)
      add('direction', `It is for tc programs, and \`${name}\` is in section \`${section}\`.`);
    return;
  }
  const told = tcDirection(section, {});
  if (device === undefined) add('interface', `Program \`${name}\` (\`${section}\`) needs the name of an interface.`);
  if (told === undefined && direction === undefined) {
    add(
      'direction',
      `Program \`${name}\` (\`${section}\`) needs \`ingress\` or \`egress\`, here or as \`SEC("tcx/ingress")\`.`,
    );
  }
  if (told !== undefined && direction !== undefined && told !== direction) {
    add('direction', `Program \`${name}\` is in section \`${section}\`, which says \`${told}\`.`);
  }
}

/** Records of one ring carry no type: events that share it must tell themselves apart, by one field. */
function checkSharedRings(manifest: ProbeManifest, issues: ManifestIssue[]): void {
  manifest.events.forEach((event, index) => {
    const others = manifest.events.filter((other) => other !== event && other.map === event.map);
    if (others.length === 0) return;
    const path = `events[${index}].when`;
    const names = listing(others.map((other) => other.name));
    if (event.when === undefined) {
      issues.push({
        path,
        message: `\`${event.name}\` shares map \`${event.map}\` with ${names}: each needs \`when: { field, equals }\`.`,
      });
    } else if (others.some((other) => other.when?.equals === event.when?.equals)) {
      issues.push({ path, message: `\`${event.name}\` has the same discriminator as ${names}.` });
    }
  });
}
