import { Injectable } from '@nestjs/common';
import type { Kernel, Preflight as PreflightView, PreflightAnswer } from '@bpfleet/api';
import type { ParamValue } from '@bpfleet/probe';
import type { Facts } from '@bpfleet/wire';
import type { BodyOf } from '../../http/route.js';
import { Devices, readSelector, type SelectedDevice } from '../devices/index.js';
import { KernelList } from '../kernels/index.js';
import { DEFAULT_GLOBALS, LabParams } from '../lab/params/index.js';
import { checkParams, ReleaseCatalogue, type CatalogueRelease } from '../releases/catalogue/index.js';
import { RunMemory } from '../runs/index.js';
import { decide } from './decide/decide.js';
import type { KernelFacts, Known, OtherRuns, ReleaseFacts } from './decide/facts.js';
import { featureFactsOf, kernelFactsOf, machineFactsOf } from './kernel-facts.js';
import { ReleaseReader, UNFIT } from './release-reader.js';
import { summary, type AnsweredDevice } from './summary.js';
import { resolveBudget, VerdictReader } from './verdict-reader.js';

type Params = Readonly<Record<string, ParamValue>>;

/** Nothing is known before the first birth. */
const NOT_TOLD: PreflightAnswer = {
  verdict: 'unknown',
  reasons: [{ kind: 'not_told', sentence: 'It has not reported its kernel yet.' }],
  proof: null,
  resolution: 'impossible',
  types: 'missing',
};

const ASKED_LAB = {
  kind: 'asked_lab',
  sentence: 'The lab has been asked to load it with these parameters: ask again when it has.',
};

/** Says before anything is sent which devices will take a release, which will not, and why: for assignments and rollouts. */
@Injectable()
export class Preflight {
  constructor(
    private readonly devices: Devices,
    private readonly kernels: KernelList,
    private readonly releases: ReleaseCatalogue,
    private readonly reader: ReleaseReader,
    private readonly verdicts: VerdictReader,
    private readonly memory: RunMemory,
    private readonly lab: LabParams,
  ) {}

  /** Throws SELECTOR_INVALID, RELEASE_UNKNOWN, PARAM_INVALID. */
  async check({ selector, releaseId, params }: BodyOf<'preflight'>): Promise<PreflightView> {
    const wanted = readSelector(selector);
    const release = await this.releases.get(releaseId);
    checkParams(release.manifest, params);
    const answered = await this.answers(await this.devices.select(wanted), release, params);
    const asked = await this.askLab(answered, release, params);
    return summary(answered.map((one) => (isForLab(one) && asked.has(one.kernel?.kernelArch ?? '') ? told(one) : one)));
  }

  /**
   * What nobody knows for want of a kernel that was asked with these parameters, the lab is to find out. Returns for which
   * architectures it will.
   */
  private async askLab(
    answered: readonly AnsweredDevice[],
    release: CatalogueRelease,
    params: Params,
  ): Promise<ReadonlySet<string>> {
    const arches = new Set(answered.filter(isForLab).flatMap(({ kernel }) => kernel?.kernelArch ?? []));
    const facts = await this.reader.factsFor(release, params, arches);
    const asked = new Set<string>();
    for (const arch of arches) {
      const { globals } = facts(arch);
      if (globals === DEFAULT_GLOBALS || globals === UNFIT) continue;
      if (await this.lab.ask(release.id, arch, globals, params)) asked.add(arch);
    }
    return asked;
  }

  /** One answer for each device, in their order. `params` were checked before. */
  async answers(
    devices: readonly SelectedDevice[],
    release: CatalogueRelease,
    params: Params,
  ): Promise<AnsweredDevice[]> {
    const told = devices.map((device) => ({ device, kernel: device.facts && kernelFactsOf(device.facts) }));
    const ids = [...new Set(told.flatMap(({ kernel }) => kernel?.id ?? []))];
    const kernels = new Map((await this.kernels.groups(ids)).map((kernel) => [kernel.id, kernel]));
    const arches = told.flatMap(({ kernel }) => kernel?.kernelArch ?? []);
    const facts = await this.reader.factsFor(release, params, arches);
    const knownOf = await this.verdicts.knownOf(release, facts, [...kernels.values()], resolveBudget());
    const ofOthers = await this.memory.beside(
      release.probe,
      told.flatMap(({ device, kernel }) => (kernel ? [device.id] : [])),
    );
    const answer = remembered(facts, (kernel) => knownOf(kernelOf(kernels, kernel)));
    return told.map(({ device, kernel }) => ({
      device,
      kernel: kernel ?? null,
      answer: device.facts && kernel ? answer(device.facts, kernel, ofOthers.get(device.id)) : NOT_TOLD,
    }));
  }
}

function isForLab({ answer: { verdict, reasons } }: AnsweredDevice): boolean {
  return verdict === 'unknown' && reasons.some(({ kind }) => kind === 'other_params' || kind === 'unproven');
}

function told({ answer, ...one }: AnsweredDevice): AnsweredDevice {
  return { ...one, answer: { ...answer, reasons: [...answer.reasons, ASKED_LAB] } };
}

function kernelOf(kernels: ReadonlyMap<string, Kernel>, { id }: KernelFacts): Kernel | undefined {
  return id === null ? undefined : kernels.get(id);
}

/** Thousands of devices are alike in all that decides. */
function remembered(
  facts: (arch: string) => ReleaseFacts,
  knownOf: (kernel: KernelFacts) => Known,
): (device: Facts, kernel: KernelFacts, others: OtherRuns | undefined) => PreflightAnswer {
  const answers = new Map<string, PreflightAnswer>();
  return (device, kernel, others) => {
    const { features, lacks, cpus, possibleCpus, memoryBytes, understands } = device;
    const key = JSON.stringify([kernel.id, cpus, possibleCpus, memoryBytes, understands, features, lacks, others]);
    const known = answers.get(key);
    if (known) return known;
    const answer = decide({
      kernel,
      features: featureFactsOf(device),
      machine: machineFactsOf(device),
      ...(others ? { others } : {}),
      release: facts(kernel.kernelArch),
      known: knownOf(kernel),
    });
    answers.set(key, answer);
    return answer;
  };
}
