import type { Verdict } from '@bpfleet/api';
import { Alert, Badge, Group, Stack, Table, Text } from '@mantine/core';
import { formatCount, formatTime, printable } from '../../ui/format.js';
import { Fold } from '../../ui/pieces.js';
import { verdictColors } from './verdict-badges.js';

type Program = Verdict['programs'][number];

const programColors: Record<Program['verdict'], string> = {
  accepted: 'teal',
  refused: 'red',
  unsupported: 'yellow',
  skipped: 'gray',
};

/** What one kernel said about every program of a release, and for a refusal: why, where, what to change, the log. */
export function VerdictReport({ verdict }: { verdict: Verdict }) {
  const { kernel, programs } = verdict;
  const number = (value: number | null) => (value === null ? '–' : formatCount(value));
  return (
    <div style={{ padding: 12 }} data-testid="verdict" data-verdict={verdict.verdict}>
      <Group gap="xs" mb={6}>
        <Badge color={verdictColors[verdict.verdict]}>{verdict.verdict}</Badge>
        <Text size="sm" fw={600}>
          {kernel ? `${printable(kernel.release)} ${printable(kernel.arch)}` : 'no kernel'}
        </Text>
        <Text size="xs" c="dimmed">
          {verdict.loadMs !== null && `loaded in ${formatCount(verdict.loadMs)} ms, `}
          {formatTime(verdict.provenAt)}
        </Text>
      </Group>
      {verdict.reason && (
        <Text size="sm" mb={6}>
          {printable(verdict.reason)}
        </Text>
      )}
      {programs.length > 0 && (
        <Table.ScrollContainer minWidth={620}>
          <Table verticalSpacing={4} horizontalSpacing="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Program</Table.Th>
                <Table.Th>Section</Table.Th>
                <Table.Th>Verdict</Table.Th>
                <Table.Th ta="right">Instructions</Table.Th>
                <Table.Th ta="right">Verified</Table.Th>
                <Table.Th ta="right">Stack depth</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {programs.map((program) => (
                <Table.Tr key={program.name}>
                  <Table.Td className="bf-mono">{program.name}</Table.Td>
                  <Table.Td className="bf-mono bf-dim">{program.section}</Table.Td>
                  <Table.Td>
                    <Badge color={programColors[program.verdict]}>{program.verdict}</Badge>
                  </Table.Td>
                  <Table.Td ta="right">{number(program.instructionCount)}</Table.Td>
                  <Table.Td ta="right">{number(program.verifiedInstructions)}</Table.Td>
                  <Table.Td ta="right">
                    {program.stackDepthBytes === null ? '–' : `${program.stackDepthBytes} B`}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      <Stack gap="sm" mt={8}>
        {programs
          .filter((program) => program.explanation || program.log)
          .map((program) => (
            <ProgramReport key={program.name} program={program} />
          ))}
      </Stack>
    </div>
  );
}

/** Why one program was refused, where in its source, what to change, and the verifier's log. */
export function ProgramReport({ program }: { program: Program }) {
  const { explanation, log } = program;
  if (!explanation) return log ? <Fold label={`Verifier log of ${printable(program.name)}`} text={log} /> : null;
  const { source } = explanation;
  return (
    <Alert
      color={program.verdict === 'refused' ? 'red' : 'yellow'}
      title={`${printable(program.name)}: ${printable(explanation.sentence)}`}
    >
      <Stack gap={8}>
        {source && (
          <pre className="bf-code" data-testid="source-line">
            <span className="bf-dim">
              {printable(source.file)}:{source.line}
              {'  '}
            </span>
            {printable(source.text)}
          </pre>
        )}
        <Text size="sm">{printable(explanation.advice)}</Text>
        <Text size="xs" c="dimmed">
          {program.errnoName ? `${program.errnoName}, ` : ''}
          {explanation.class}
        </Text>
        {log && <Fold label="Verifier log" text={log} />}
      </Stack>
    </Alert>
  );
}
