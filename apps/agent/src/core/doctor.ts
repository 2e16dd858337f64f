/** What was tried, and what came of it. */
export interface Trial {
  readonly group: 'attach' | 'feature';
  readonly name: string;
  readonly works: boolean;
  /** What is missing, by name: a capability, a setting, something of the kernel. */
  readonly missing: readonly string[];
  /** What was refused and how, where `missing` cannot name it. */
  readonly detail?: string;
}

export interface DoctorReport {
  /** Rises when a field changes its meaning. */
  readonly format: 1;
  readonly kernel: string;
  readonly machine: string;
  readonly user: number;
  readonly capabilities: readonly string[];
  readonly settings: Readonly<Record<string, string>>;
  readonly trials: readonly Trial[];
  readonly canWork: boolean;
  /** One sentence: that all is well, or what to do. */
  readonly verdict: string;
}

/** Without one of these no probe runs at all; any program type will do. */
const ESSENTIAL_FEATURES = ['map', 'ring_buffer'];

/** Whether an agent can do its work with this, and what to do where it cannot. `tooOld`: why the kernel is out of the question. */
export function judgeTrials(
  trials: readonly Trial[],
  tooOld: string | undefined,
): { canWork: boolean; verdict: string } {
  if (tooOld !== undefined) return { canWork: false, verdict: tooOld };
  const broken = trials.find(({ name, works }) => !works && ESSENTIAL_FEATURES.includes(name));
  if (broken !== undefined)
    return { canWork: false, verdict: advice(`no ${broken.name.replace('_', ' ')} can be made`, broken) };
  const attached = trials.filter(({ group }) => group === 'attach');
  const first = attached.find(({ works }) => !works);
  if (first !== undefined && !attached.some(({ works }) => works))
    return { canWork: false, verdict: advice('no program can be attached', first) };
  const lacking = trials.filter(({ works }) => !works).length;
  const rest =
    lacking === 0
      ? 'everything that was tried works'
      : `${lacking} of ${trials.length} things that were tried do not work, and probes that need them will be refused`;
  return { canWork: true, verdict: `the agent can work here: ${rest}` };
}

function advice(what: string, { missing, detail }: Trial): string {
  if (missing.length === 0) return `the agent cannot work here: ${what} (${detail ?? 'no reason was given'})`;
  const names = missing.join(', ');
  const canBeGiven = missing[0]?.startsWith('CAP_') === true;
  const remedy = canBeGiven ? `run it as root or give it ${names}, as its systemd unit does` : `it needs ${names}`;
  return `the agent cannot work here: ${what}; ${remedy}`;
}

/** For people: one line for each trial, what is missing behind it. */
export function doctorText(report: DoctorReport): string {
  const { kernel, machine, user, capabilities, settings, trials, verdict } = report;
  const widest = Math.max(...trials.map(({ name }) => name.length));
  const line = ({ name, works, missing, detail }: Trial): string => {
    const why = works ? 'works' : missing.length > 0 ? `needs ${missing.join(', ')}` : `refused: ${detail ?? ''}`;
    return `  ${works ? '+' : '-'} ${name.padEnd(widest)}  ${why}`;
  };
  const of = (group: Trial['group']): string[] => trials.filter((trial) => trial.group === group).map(line);
  return [
    `kernel        ${kernel} (${machine})`,
    `user          ${user}, ${capabilities.length === 0 ? 'no capabilities that count' : capabilities.join(' ')}`,
    ...Object.entries(settings).map(([name, value]) => `${name.padEnd(14)}${value}`),
    ...['', 'attach', ...of('attach'), '', 'features', ...of('feature'), '', `${verdict}.`, ''],
  ].join('\n');
}
