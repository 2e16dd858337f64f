import type { Preflight, PreflightGroup } from '@bpfleet/api';
import { Group, Loader, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { EmptyState } from '../../ui/feedback.js';
import { printable } from '../../ui/format.js';
import { Panel } from '../../ui/pieces.js';
import { AnswerTable } from '../preflight/answer-table.js';
import { KernelName, VerdictCounts } from '../preflight/answer.js';

const KERNEL = [
  {
    title: 'Kernel',
    render: ({ kernel }: PreflightGroup) => (kernel ? <KernelName kernel={kernel} /> : 'not told yet'),
  },
];

/** Who will take it, who will not, and why, by kernel group: before anything is sent. */
export function PreflightPanel({ preflight, updating }: { preflight: Preflight; updating: boolean }) {
  const { devices, pending, groups, groupsLeftOff } = preflight;
  return (
    <Panel title="Pre-flight" testId="preflight" right={updating ? <Loader size="xs" /> : undefined}>
      {devices === 0 ? (
        <EmptyState title="No device matches">The assignment would wait until one does.</EmptyState>
      ) : (
        <>
          <Group gap="xs" p={12}>
            <Text fw={600} data-testid="preflight-devices" data-count={devices}>
              {devices} {devices === 1 ? 'device' : 'devices'}
            </Text>
            <VerdictCounts {...preflight} />
            {pending > 0 && (
              <Text size="sm" c="dimmed" role="status">
                The kernels of {pending} are being looked at.
              </Text>
            )}
          </Group>
          <AnswerTable label="Pre-flight by kernel" about={KERNEL} rows={groups} rowTestId="preflight-group" />
          {groupsLeftOff > 0 && (
            <Text size="sm" c="dimmed" px={12}>
              And {groupsLeftOff} more groups with fewer devices.
            </Text>
          )}
          <Sample preflight={preflight} />
        </>
      )}
    </Panel>
  );
}

function Sample({ preflight: { sample, devices } }: { preflight: Preflight }) {
  return (
    <Group gap="sm" p={12}>
      <Text size="xs" c="dimmed">
        {sample.length < devices ? 'Among them:' : 'By name:'}
      </Text>
      {sample.map((device) => (
        <Link key={device.id} to="/devices/$device" params={{ device: device.id }} className="bf-link">
          {printable(device.name)}
        </Link>
      ))}
    </Group>
  );
}
