import type { Preflight, PreflightGroup } from '@bpfleet/api';
import { Group, Loader, Table, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { EmptyState } from '../../ui/feedback.js';
import { printable } from '../../ui/format.js';
import { Panel } from '../../ui/pieces.js';
import { KernelName, Proof, Reasons, VerdictChip, VerdictCounts } from '../preflight/answer.js';

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
          <Table.ScrollContainer minWidth={720}>
            <Table verticalSpacing={4}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Kernel</Table.Th>
                  <Table.Th ta="right">Devices</Table.Th>
                  <Table.Th>Verdict</Table.Th>
                  <Table.Th style={{ whiteSpace: 'nowrap' }}>Proven by</Table.Th>
                  <Table.Th>Why</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {groups.map((group, index) => (
                  <GroupRow key={index} group={group} />
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
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

function GroupRow({ group }: { group: PreflightGroup }) {
  const { kernel, devices, verdict, proof, reasons } = group;
  return (
    <Table.Tr style={{ verticalAlign: 'top' }} data-testid="preflight-group">
      <Table.Td>{kernel ? <KernelName kernel={kernel} /> : 'not told yet'}</Table.Td>
      <Table.Td ta="right">{devices}</Table.Td>
      <Table.Td>
        <VerdictChip verdict={verdict} />
      </Table.Td>
      <Table.Td>
        <Proof proof={proof} />
      </Table.Td>
      <Table.Td>
        <Reasons reasons={reasons} />
      </Table.Td>
    </Table.Tr>
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
