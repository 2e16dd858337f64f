import type { Kernel } from '@bpfleet/api';
import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { kernelsQuery } from '../../api/queries.js';
import { ErrorPanel } from '../../ui/feedback.js';
import { printable } from '../../ui/format.js';
import { Panel } from '../../ui/pieces.js';
import { VirtualTable, type Column } from '../../ui/virtual-table.js';
import { KernelTypes } from '../devices/kernel-types.js';

const columns: Column<Kernel>[] = [
  { key: 'kernel', title: 'Kernel', width: 'minmax(180px, 1fr)', render: (kernel) => printable(kernel.kernelRelease) },
  {
    key: 'arch',
    title: 'Architecture',
    width: '130px',
    render: ({ kernelArch, userBits }) =>
      `${printable(kernelArch)}${kernelArch !== 'arm' && userBits === 32 ? ', 32-bit programs' : ''}`,
  },
  { key: 'jit', title: 'JIT', width: '90px', render: (kernel) => printable(kernel.jit ?? 'unknown') },
  { key: 'devices', title: 'Devices', width: '90px', right: true, render: (kernel) => kernel.devices },
  { key: 'btf', title: 'BTF', width: '220px', render: (kernel) => <KernelTypes btf={kernel.btf} /> },
  {
    key: 'build',
    title: 'Build id',
    width: 'minmax(140px, 1fr)',
    render: (kernel) => <span className="bf-mono">{printable(kernel.kernelBuildId ?? 'none')}</span>,
  },
  {
    key: 'upgrade',
    title: '',
    width: '130px',
    right: true,
    render: (kernel) => (
      <Link to="/settings" search={(old) => ({ ...old, to: kernel.id })} className="bf-link" data-testid="upgrade-to">
        What breaks here?
      </Link>
    ),
  },
];

/** What the fleet runs on, and whose types are still missing. */
export function KernelsPanel() {
  const kernels = useQuery(kernelsQuery);
  return (
    <Panel title="Kernels of the fleet">
      {kernels.error && <ErrorPanel error={kernels.error} retry={() => void kernels.refetch()} />}
      <VirtualTable
        label="Kernels of the fleet"
        testId="kernels"
        rows={kernels.data ?? []}
        columns={columns}
        rowKey={(kernel) => kernel.id}
        maxHeight="36dvh"
        loading={kernels.isPending}
        empty={
          kernels.error ? null : (
            <Text size="sm" c="dimmed" p={12}>
              No device has told its kernel yet.
            </Text>
          )
        }
      />
    </Panel>
  );
}
