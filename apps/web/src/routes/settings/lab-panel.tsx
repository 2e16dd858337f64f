import type { Lab, LabKernel } from '@bpfleet/api';
import { Alert, Badge, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { labQuery } from '../../api/queries.js';
import { useNow } from '../../ui/clock.js';
import { EmptyState, ErrorPanel } from '../../ui/feedback.js';
import { formatAgo, printable } from '../../ui/format.js';
import { Fold, Panel } from '../../ui/pieces.js';
import { VirtualTable, type Column } from '../../ui/virtual-table.js';

const stateColors: Record<LabKernel['state'], string> = {
  waiting: 'gray',
  booting: 'blue',
  ready: 'teal',
  failed: 'red',
};

/** The kernels that prove releases in VMs, and how far each has come. */
export function LabPanel() {
  const lab = useQuery(labQuery);
  const now = useNow(10_000);
  const items = lab.data?.items ?? [];
  return (
    <Panel title="Kernel lab" testId="lab">
      {lab.error && <ErrorPanel error={lab.error} retry={() => void lab.refetch()} />}
      <VirtualTable
        label="Kernels of the lab"
        testId="lab-kernels"
        rows={items}
        columns={columns(now)}
        rowKey={(kernel) => kernel.id}
        maxHeight="36dvh"
        loading={lab.isPending}
        empty={
          lab.error ? null : (
            <EmptyState title="No kernels in the lab">
              bpfleet lab add boots one in a VM; it then proves every release before devices like it get it.
            </EmptyState>
          )
        }
      />
      {lab.data && items.length > 0 && <Remarks lab={lab.data} />}
    </Panel>
  );
}

const columns = (now: number): Column<LabKernel>[] => [
  { key: 'name', title: 'Name', width: 'minmax(140px, 1fr)', render: ({ name }) => printable(name) },
  {
    key: 'kernel',
    title: 'Kernel',
    width: 'minmax(160px, 1fr)',
    render: ({ group }) => printable(group?.kernelRelease ?? 'not booted yet'),
  },
  {
    key: 'arch',
    title: 'Architecture',
    width: '150px',
    render: ({ arch, userLand }) => (userLand === arch ? arch : `${arch}, ${userLand} programs`),
  },
  { key: 'jit', title: 'JIT', width: '90px', render: ({ group }) => printable(group?.jit ?? 'unknown') },
  {
    key: 'state',
    title: 'State',
    width: '100px',
    render: ({ state }) => <Badge color={stateColors[state]}>{state}</Badge>,
  },
  {
    key: 'proven',
    title: 'Proven',
    width: '110px',
    right: true,
    render: ({ jobs }) => `${jobs.done} of ${jobs.done + jobs.waiting + jobs.proving + jobs.failed}`,
  },
  {
    key: 'now',
    title: 'Now',
    width: 'minmax(140px, 1fr)',
    render: ({ proving }) => <span className="bf-mono">{proving ? printable(proving) : '–'}</span>,
  },
  { key: 'devices', title: 'Devices', width: '80px', right: true, render: ({ devices }) => devices },
  {
    key: 'seen',
    title: 'Seen',
    width: '110px',
    render: ({ seenAt }) => (seenAt === null ? 'never' : formatAgo(seenAt, now)),
  },
];

/** What is wrong, and with which. */
function Remarks({ lab: { items, hosts } }: { lab: Lab }) {
  const down = items.filter(({ reason }) => reason !== null);
  const why = hosts.find(({ reason }) => reason !== null)?.reason;
  const idle = !hosts.some(({ machines }) => machines > 0);
  if (down.length === 0 && !idle) return null;
  return (
    <Stack gap="xs" p={12}>
      {idle && (
        <Alert color="yellow">
          No server boots them: {printable(why ?? 'none runs with the role lab (BPFLEET_ROLES=lab)')}.
        </Alert>
      )}
      {down.map(({ id, name, state, reason, console }) => (
        <Alert key={id} color={state === 'failed' ? 'red' : 'yellow'} title={printable(name)}>
          <Text size="sm">{printable(reason ?? '')}</Text>
          {console && <Fold label="Its last words" text={console} />}
        </Alert>
      ))}
    </Stack>
  );
}
