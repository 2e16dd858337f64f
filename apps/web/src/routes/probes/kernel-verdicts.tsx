import type { ReleaseOnKernel } from '@bpfleet/api';
import { Badge, Stack, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { releaseKernelsQuery } from '../../api/queries.js';
import { ErrorPanel } from '../../ui/feedback.js';
import { formatBytes, formatCount, printable } from '../../ui/format.js';
import { Panel } from '../../ui/pieces.js';
import { ProgramReport } from './verdict-report.js';

type Word = NonNullable<ReleaseOnKernel['proven']>['verdict'];

const wordColors: Record<Word, string> = { accepted: 'teal', refused: 'red', unknown: 'yellow' };

/** What is known of a release on each kernel that devices or the lab run. */
export function KernelVerdicts({ release }: { release: string }) {
  const kernels = useQuery(releaseKernelsQuery(release));
  if (kernels.error) return <ErrorPanel error={kernels.error} retry={() => void kernels.refetch()} />;
  if (!kernels.data || kernels.data.length === 0) return null;
  return (
    <Panel title="Kernels of the fleet and of the lab" testId="release-kernels">
      <Table.ScrollContainer minWidth={760}>
        <Table verticalSpacing={4} horizontalSpacing="sm">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Kernel</Table.Th>
              <Table.Th ta="right">Devices</Table.Th>
              <Table.Th>By its types</Table.Th>
              <Table.Th>Proven</Table.Th>
              <Table.Th ta="right">Verified</Table.Th>
              <Table.Th ta="right">Stack depth</Table.Th>
              <Table.Th ta="right">Machine code</Table.Th>
              <Table.Th ta="right">Load</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {kernels.data.map((one) => (
              <KernelRow key={one.group.id} one={one} />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Stack gap="xs" p={12}>
        {kernels.data.map((one) => (
          <Reasons key={one.group.id} one={one} />
        ))}
      </Stack>
    </Panel>
  );
}

function KernelRow({ one: { group, devices, resolved, proven, job } }: { one: ReleaseOnKernel }) {
  const number = (value: number | null | undefined, text: (value: number) => string) =>
    value === null || value === undefined ? '–' : text(value);
  return (
    <Table.Tr>
      <Table.Td>
        {printable(group.kernelRelease)} {printable(group.kernelArch)}
        {group.kernelArch !== 'arm' && group.userBits === 32 ? ', 32-bit programs' : ''}
        <Text size="xs" c="dimmed" span>
          {' '}
          JIT {printable(group.jit ?? 'unknown')}
        </Text>
      </Table.Td>
      <Table.Td ta="right">{devices}</Table.Td>
      <Table.Td>{resolved ? <VerdictBadge word={resolved.verdict} /> : '–'}</Table.Td>
      <Table.Td>
        {proven && <VerdictBadge word={proven.verdict} />}{' '}
        {job && (
          <Badge color={job.state === 'failed' ? 'red' : 'blue'}>
            {job.state === 'failed' ? 'gave up' : job.state}
          </Badge>
        )}
        {!proven && !job && '–'}
      </Table.Td>
      <Table.Td ta="right">{number(proven?.instructions, formatCount)}</Table.Td>
      <Table.Td ta="right">{number(proven?.stackDepthBytes, formatBytes)}</Table.Td>
      <Table.Td ta="right">{number(proven?.jitedBytes, formatBytes)}</Table.Td>
      <Table.Td ta="right">{number(proven?.loadMs, (ms) => `${formatCount(ms)} ms`)}</Table.Td>
    </Table.Tr>
  );
}

function VerdictBadge({ word }: { word: Word }) {
  return <Badge color={wordColors[word]}>{word}</Badge>;
}

function Reasons({ one: { group, resolved, proven, job } }: { one: ReleaseOnKernel }) {
  const programs = (proven?.programs ?? []).filter(
    ({ verdict, explanation, log }) => verdict !== 'accepted' && (explanation ?? log),
  );
  const explained = new Set(programs.filter(({ explanation }) => explanation).map(({ name }) => name));
  // The reason of an explained program says the same again, without the line of its source.
  const reasons = proven
    ? proven.reasons.filter(({ program }) => program === undefined || !explained.has(program))
    : (resolved?.reasons ?? []);
  if (reasons.length === 0 && programs.length === 0 && !job?.error) return null;
  return (
    <Stack gap={6} data-testid="kernel-reasons">
      <Text size="sm" fw={600}>
        {printable(group.kernelRelease)}
      </Text>
      {job?.error && <Text size="sm">{printable(job.error)}</Text>}
      {reasons.map(({ sentence, program }, index) => (
        <Text key={index} size="sm">
          {program ? `${printable(program)}: ` : ''}
          {printable(sentence)}
        </Text>
      ))}
      {programs.map((program) => (
        <ProgramReport key={program.name} program={program} />
      ))}
    </Stack>
  );
}
