import type { RunningVm } from '@bpfleet/vm';
import { NO_IO_URING } from '@bpfleet/vm';

/** What a device did, as its own kernel and its own programs tell it (/proc, and what they return): to compare probes with. */
export interface Witnessed {
  readonly executed: { readonly path: string; readonly pid: number; readonly parent: number; readonly uid: number };
  readonly priorityCalls: number;
  /** Packets that arrived on `lo` since it came up, by /proc/net/dev. */
  readonly loPackets: number;
  readonly loBytes: number;
  readonly pings: number;
  readonly forks: number;
  readonly unlinks: number;
  readonly connection: {
    readonly localAddress: string;
    readonly localPort: number;
    readonly remotePort: number;
    readonly pid: number;
    /** From the call to the callback, which the program hears of later than the kernel. */
    readonly connectMs: number;
  };
  /** Seconds of CPU that the task `spinner` used, by /proc/PID/schedstat. */
  readonly spinnerSeconds: number;
  /** Seconds that tasks waited for a CPU while `spinner`s crowded, on all CPUs, by /proc/schedstat. */
  readonly waitedSeconds: number;
  /** The same over all of this work. */
  readonly waitedInAllSeconds: number;
}

/** Where a VM finds this machine's loopback. */
export const HOST_FROM_VM = '10.0.2.2';

export const PRIORITY_CALLS = 5_000;
export const PINGS = 25;
export const FORKS = 40;
export const UNLINKS = 60;
const USER_ID = 4242;
const WORK_TIMEOUT_MS = 180_000;

const CALL_SCRIPT = `
const os = require('os');
for (let i = 0; i < ${PRIORITY_CALLS}; i++) os.getPriority(0);
const began = performance.now();
const socket = require('net').connect(Number(process.argv[1]), '${HOST_FROM_VM}', () => {
  const { localAddress, localPort, remotePort } = socket;
  const connectMs = performance.now() - began;
  console.log(JSON.stringify({ localAddress, localPort, remotePort, pid: process.pid, connectMs }));
  socket.destroy();
});
`;

// Field 8 of a CPU's line is the time in ns that tasks waited for it (Documentation/scheduler/sched-stats.rst).
const WAITED = `awk '/^cpu[0-9]/ { sum += $9 } END { printf "%.3f", sum / 1e9 }' /proc/schedstat`;

/** Spins for some seconds and says how many ns of CPU it had; without a fork, which would have another name. */
const SPINNER = `
read -r up _ < /proc/uptime; end=$(( \${up%.*} + 6 ))
while [ \${up%.*} -lt $end ]; do
  i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done
  read -r up _ < /proc/uptime
done
read -r used _ < /proc/$$/schedstat; echo $used >> /tmp/used
`;

/** Two for each CPU, so that they wait for each other. */
const SPIN_SCRIPT = `
cp /bin/sh /tmp/spinner; : > /tmp/used
before=$(${WAITED})
for i in 1 2 3 4; do /tmp/spinner -c "$0" & done
wait
awk -v before=$before -v after=$(${WAITED}) '{ used += $1 / 1e9 } END { print used, before, after }' /tmp/used
`;

/** Does on the device what the probes are about, and gathers what the device itself says of it. */
export async function work(vm: RunningVm, hostPort: number): Promise<Witnessed> {
  const path = '/tmp/unique-program';
  const waitedBefore = Number(await vm.sh(WAITED));
  await vm.sh(`install -m 755 /bin/true ${path}`);
  const exec = `setpriv --reuid ${USER_ID} --clear-groups sh -c '${path} & echo $$ $!; wait'`;
  const [parent = 0, pid = 0] = (await vm.sh(exec)).trim().split(' ').map(Number);
  const calls = await vm.output(['node', '-e', CALL_SCRIPT, `${hostPort}`], { env: NO_IO_URING });
  await vm.sh(`ping -q -c ${PINGS} -i 0.1 127.0.0.1 || busybox ping -q -c ${PINGS} 127.0.0.1`, {
    timeoutMs: WORK_TIMEOUT_MS,
  });
  await vm.sh(`i=0; while [ $i -lt ${FORKS} ]; do (:); i=$((i+1)); done`);
  await vm.sh(
    `cd /tmp; i=0; set --; while [ $i -lt ${UNLINKS} ]; do : > gone-$i; set -- "$@" gone-$i; i=$((i+1)); done; rm "$@"`,
  );
  const spun = await vm.output(['sh', '-ec', SPIN_SCRIPT, SPINNER], { timeoutMs: WORK_TIMEOUT_MS });
  const [spinnerSeconds = 0, before = 0, after = 0] = spun.trim().split(' ').map(Number);
  const lo = (await vm.sh('awk \'$1 == "lo:" { print $3, $2 }\' /proc/net/dev')).trim().split(' ').map(Number);
  return {
    executed: { path, pid, parent, uid: USER_ID },
    priorityCalls: PRIORITY_CALLS,
    loPackets: lo[0] ?? 0,
    loBytes: lo[1] ?? 0,
    pings: PINGS,
    forks: FORKS,
    unlinks: UNLINKS,
    connection: JSON.parse(calls) as Witnessed['connection'],
    spinnerSeconds,
    waitedSeconds: after - before,
    waitedInAllSeconds: after - waitedBefore,
  };
}
