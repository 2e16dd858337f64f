import { Injectable } from '@nestjs/common';
import type { KernelUpgrade as KernelUpgradeView, PreflightAnswer } from '@bpfleet/api';
import type { Facts } from '@bpfleet/wire';
import type { BodyOf } from '../../../http/route.js';
import { notFound } from '../../../platform/errors.js';
import { Devices, readSelector } from '../../devices/index.js';
import { KernelList } from '../../kernels/index.js';
import { LabFeatures } from '../../lab/features/index.js';
import { ReleaseCatalogue } from '../../releases/catalogue/index.js';
import { Runs, type WantedRun } from '../../runs/index.js';
import { decide, mapBytesOf, type Question } from '../decide/decide.js';
import type { FeatureFacts, OtherRuns } from '../decide/facts.js';
import { featureFactsOf, machineFactsOf } from '../kernel-facts.js';
import { ReleaseReader } from '../release-reader.js';
import { resolveBudget, VerdictReader, type AskedKernel, type ResolveBudget } from '../verdict-reader.js';
import { memoryTogether, type JudgedRun, type JudgedTarget } from './memory-together.js';
import { addedKernels, isOfSeries, targetsFor, type Target } from './targets.js';
import { upgradeReport } from './upgrade-report.js';

type Request = BodyOf<'kernelUpgrade'>;

interface RunOnDevice extends WantedRun {
  readonly facts: Facts;
}

/** Says which of what runs now would break if its devices moved to another kernel. */
@Injectable()
export class KernelUpgrade {
  constructor(
    private readonly devices: Devices,
    private readonly runs: Runs,
    private readonly kernels: KernelList,
    private readonly releases: ReleaseCatalogue,
    private readonly reader: ReleaseReader,
    private readonly verdicts: VerdictReader,
    private readonly lab: LabFeatures,
  ) {}

  /** Throws SELECTOR_INVALID, KERNEL_UNKNOWN (404). */
  async check(request: Request): Promise<KernelUpgradeView> {
    const selected = await this.devices.select(readSelector(request.selector));
    const told = new Map(selected.flatMap(({ id, facts }) => (facts ? [[id, facts] as const] : [])));
    const kernels = await this.wanted(request);
    const features = await this.featuresOf(kernels.flatMap(({ id }) => id ?? []));
    const byRelease = new Map<string, RunOnDevice[]>();
    for (const run of await this.runs.wantedNow()) {
      const facts = told.get(run.deviceId);
      if (!facts || (request.arch !== undefined && facts.kernelArch !== request.arch)) continue;
      addTo(byRelease, run.releaseId, { ...run, facts });
    }
    const budget = resolveBudget();
    const judged: JudgedRun[] = [];
    for (const [releaseId, runs] of byRelease) {
      judged.push(...(await this.judged(releaseId, runs, kernels, features, budget)));
    }
    const targets = [...told.values()].flatMap((facts) => targetsFor(facts, kernels));
    return upgradeReport(
      selected.length,
      memoryTogether(judged),
      targets.map(({ facts }) => facts),
    );
  }

  /** Each by itself. */
  private async judged(
    releaseId: string,
    runs: readonly RunOnDevice[],
    kernels: readonly AskedKernel[],
    features: ReadonlyMap<string, FeatureFacts>,
    budget: ResolveBudget,
  ): Promise<JudgedRun[]> {
    const release = await this.releases.get(releaseId);
    const arches = runs.map(({ facts }) => facts.kernelArch);
    const used = kernels.filter(({ kernelArch }) => arches.some((arch) => arch === kernelArch));
    const judged: JudgedRun[] = [];
    for (const [, alike] of byParams(runs)) {
      const facts = await this.reader.factsFor(release, alike[0]?.params ?? {}, arches);
      const knownOf = await this.verdicts.knownOf(release, facts, used, budget);
      const judge = (device: Facts, { asked, facts: kernel, featuresOf }: Target): JudgedTarget => {
        const question: Question = {
          kernel,
          features: featuresOf === null ? undefined : features.get(featuresOf),
          machine: machineFactsOf(device),
          release: facts(kernel.kernelArch),
          known: knownOf(asked),
        };
        const beside = (others: OtherRuns): PreflightAnswer => decide({ ...question, others });
        return { kernel, answer: decide(question), mapBytes: mapBytesOf(question), beside };
      };
      const targetsOf = (device: Facts): readonly JudgedTarget[] => {
        const targets = targetsFor(device, kernels);
        if (targets.length === 0) return [noKernel(device.kernelArch)];
        return targets.map((target) => judge(device, target));
      };
      const known = new Map<string, readonly JudgedTarget[]>();
      for (const { deviceId, facts: device } of alike) {
        const kind = kindOf(device);
        const targets = known.get(kind) ?? targetsOf(device);
        known.set(kind, targets);
        const { kernelArch: arch, memoryBytes } = device;
        judged.push({ deviceId, memoryBytes, release, arch, targets });
      }
    }
    return judged;
  }

  /** As an agent on such a kernel has told; where no device runs it, as the lab was told in a VM. */
  private async featuresOf(groups: readonly string[]): Promise<Map<string, FeatureFacts>> {
    const [lab, devices] = await Promise.all([this.lab.ofGroups(groups), this.devices.factsOfGroups(groups)]);
    const told = [...devices].map(([group, facts]): [string, FeatureFacts] => [group, featureFactsOf(facts)]);
    return new Map<string, FeatureFacts>([...lab, ...told]);
  }

  private async wanted({ kernelGroupId, series = '', arch }: Request): Promise<AskedKernel[]> {
    if (kernelGroupId !== undefined) {
      const groups = await this.kernels.groups([kernelGroupId]);
      if (groups.length === 0) throw notFound('kernel', kernelGroupId);
      return groups;
    }
    const groups = (await this.kernels.ofRelease(`${series}`)).filter((one) => isOfSeries(one.kernelRelease, series));
    const added = addedKernels(await this.kernels.btfs(), series, groups);
    return [...groups, ...added].filter(({ kernelArch }) => arch === undefined || kernelArch === arch);
  }
}

function addTo<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}

function byParams(runs: readonly RunOnDevice[]): Map<string, RunOnDevice[]> {
  const alike = new Map<string, RunOnDevice[]>();
  for (const run of runs) addTo(alike, JSON.stringify(run.params), run);
  return alike;
}

/** All of a device that an answer depends on. */
function kindOf({ kernelArch, userBits, jit, lsm, cpus, possibleCpus, memoryBytes, understands }: Facts): string {
  return JSON.stringify([kernelArch, userBits, jit, lsm, cpus, possibleCpus, memoryBytes, understands]);
}

function noKernel(arch: string): JudgedTarget {
  const sentence = `No such kernel for ${arch} is known: add one to the lab, or its types with bpfleet btf add.`;
  const reasons = [{ kind: 'no_kernel', sentence }];
  const answer: PreflightAnswer = {
    verdict: 'unknown',
    reasons,
    proof: null,
    resolution: 'impossible',
    types: 'missing',
  };
  return { kernel: null, answer, mapBytes: 0, beside: () => answer };
}
