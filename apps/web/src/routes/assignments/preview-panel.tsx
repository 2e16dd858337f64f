import type { Preview } from '@bpfleet/api';
import { Badge, Group, Loader, Table, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { EmptyState } from '../../ui/feedback.js';
import { printable } from '../../ui/format.js';
import { Panel } from '../../ui/pieces.js';

type GroupVerdict = Preview['groups'][number]['verdict'];
const colors: Record<GroupVerdict, string> = { takes: 'teal', refuses: 'red', unknown: 'yellow' };

/** Who will take it, who will not, and why, by kernel group: before anything is sent. */
export function PreviewPanel({ preview, updating }: { preview: Preview; updating: boolean }) {
  const { devices, takes, refuses, unknown, groups, sample } = preview;
  return (
    <Panel title="Preview" testId="preview" right={updating ? <Loader size="xs" /> : undefined}>
      {devices === 0 ? (
        <EmptyState title="No device matches">The assignment would wait until one does.</EmptyState>
      ) : (
        <>
          <Group gap="xs" p={12}>
            <Text fw={600} data-testid="preview-devices" data-count={devices}>
              {devices} {devices === 1 ? 'device' : 'devices'}
            </Text>
            <Badge color="teal">{takes} will take it</Badge>
            {refuses > 0 && <Badge color="red">{refuses} will refuse</Badge>}
            {unknown > 0 && <Badge color="yellow">{unknown} unknown</Badge>}
          </Group>
          <Table verticalSpacing={4}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Kernel</Table.Th>
                <Table.Th ta="right">Devices</Table.Th>
                <Table.Th>Verdict</Table.Th>
                <Table.Th>Why</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {groups.map((group, index) => (
                <Table.Tr key={index}>
                  <Table.Td>
                    {printable(group.kernelRelease)} {printable(group.arch)}
                  </Table.Td>
                  <Table.Td ta="right">{group.devices}</Table.Td>
                  <Table.Td>
                    <Badge color={colors[group.verdict]}>{group.verdict}</Badge>
                  </Table.Td>
                  <Table.Td>{printable(group.reason)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
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
        </>
      )}
    </Panel>
  );
}
