import { Command } from 'commander';
import type { CommandHost } from './command.js';
import { addAssign } from './commands/assignments/assign.js';
import { addAssignmentsList } from './commands/assignments/list.js';
import { addAssignmentsWithdraw } from './commands/assignments/withdraw.js';
import { addAudit } from './commands/audit/list.js';
import { addBtfAdd } from './commands/btf/add.js';
import { addBtfList } from './commands/btf/list.js';
import { addCompletionBash } from './commands/completion/bash.js';
import { addDebug } from './commands/debug/start.js';
import { addDevicesAdd } from './commands/devices/add.js';
import { addDevicesList } from './commands/devices/list.js';
import { addDevicesRevoke } from './commands/devices/revoke.js';
import { addKernelsList } from './commands/kernels/list.js';
import { addLabAdd } from './commands/lab/add.js';
import { addLabList } from './commands/lab/list.js';
import { addLabProve } from './commands/lab/prove.js';
import { addLabRemove } from './commands/lab/remove.js';
import { addMetrics } from './commands/metrics/show.js';
import { addPreflight } from './commands/preflight/check.js';
import { addKernelUpgrade } from './commands/preflight/kernel-upgrade.js';
import { addProbesList } from './commands/probes/list.js';
import { addReleasesList } from './commands/releases/list.js';
import { addPublish } from './commands/releases/publish.js';
import { addReleasesShow } from './commands/releases/show.js';
import { addRunsList } from './commands/runs/list.js';
import { addLogin } from './commands/session/login.js';
import { addLogout } from './commands/session/logout.js';

const afterHelp = `
Exit codes:
  0  done
  1  it failed
  2  refused, or bad input
  3  not logged in
  4  the server cannot be reached

Environment:
  BPFLEET_SERVER, BPFLEET_TOKEN   go before what "bpfleet login" stored

With --json the result is one JSON value on standard output (for "debug", one on each line), also for an error:
{"error":{"code":…,"message":…}}. Remarks go to standard error.`;

/** The whole command line. Throws what a command throws, and CommanderError for wrong usage and for --help. */
export function createProgram(host: CommandHost): Command {
  const { context } = host;
  const program = new Command('bpfleet')
    .description('Run signed eBPF probes on a fleet of Linux devices.')
    .version('0.1.0')
    .option('--json', 'results as JSON')
    .addHelpText('after', afterHelp)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: (text) => context.out(text), writeErr: (text) => context.err(text) })
    .showHelpAfterError('(--help says more)')
    .exitOverride();
  const noun = (name: string, description: string) => program.command(name).description(description);

  addLogin(program, host);
  addLogout(program, host);
  const devices = noun('devices', 'devices of the fleet');
  addDevicesList(devices, host);
  addDevicesAdd(devices, host);
  addDevicesRevoke(devices, host);
  addKernelsList(noun('kernels', 'kernels that the fleet runs'), host);
  const btf = noun('btf', 'types of kernels, by which CO-RE probes find their way');
  addBtfList(btf, host);
  addBtfAdd(btf, host);
  const lab = noun('lab', 'kernels in VMs that prove releases before devices get them');
  addLabList(lab, host);
  addLabAdd(lab, host);
  addLabRemove(lab, host);
  addLabProve(lab, host);
  addPublish(program, host);
  addProbesList(noun('probes', 'published probes'), host);
  const releases = noun('releases', 'releases of probes');
  addReleasesList(releases, host);
  addReleasesShow(releases, host);
  addKernelUpgrade(addPreflight(program, host), host);
  addAssign(program, host);
  const assignments = noun('assignments', 'which devices should run what');
  addAssignmentsList(assignments, host);
  addAssignmentsWithdraw(assignments, host);
  addRunsList(noun('runs', 'what runs where'), host);
  addDebug(program, host);
  addMetrics(program, host);
  addAudit(program, host);
  addCompletionBash(noun('completion', 'completion for shells'), program, host);
  return program;
}
