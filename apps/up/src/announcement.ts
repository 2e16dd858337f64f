import type { DataFolder } from './data-folder.js';
import type { Fleet } from './bring-up.js';

export interface Announced {
  readonly fleet: Fleet;
  readonly data: DataFolder;
  readonly runsAttached: number;
  readonly passwordWorks: boolean;
  /** How to start an agent here with more privilege. */
  readonly agentCommands: readonly string[];
}

const OPEN =
  'It listens on all addresses of this machine, over plain HTTP: only for a network that you trust. Devices check what they install.';

/** The block printed when everything is up: where to look, how to get in, where things are. */
export function announcement({ fleet, data, runsAttached, passwordWorks, agentCommands }: Announced): string {
  const rows: [string, string][] = [
    ['Web app', fleet.publicUrl],
    ['User', 'admin'],
    ['Password', passwordWorks ? `${data.password}   (first use; change it)` : '(the one you chose)'],
    ['API', `${fleet.publicUrl}/api/docs`],
  ];
  if (fleet.device) rows.push(['Device', `this machine is ${fleet.device}, ${runsAttached} probes attached`]);
  rows.push(['Data', data.root], ['Logs', data.log]);
  const lines = ['', '  bpfleet is up', '', ...rows.map(([name, value]) => `  ${name.padEnd(9)} ${value}`)];
  if (fleet.noAgent) lines.push('', `  ${fleet.noAgent}`);
  if (agentCommands.length > 0) lines.push('', '  To start one:', ...agentCommands.map((command) => `    ${command}`));
  if (fleet.isOpen) lines.push('', `  ${OPEN}`);
  if (fleet.stranded) lines.push('', `  ${fleet.stranded}`);
  for (const problem of fleet.onboarding.problems) lines.push('', `  ${problem}`);
  return [...lines, '', '  Ctrl-C stops everything.', '', ''].join('\n');
}
