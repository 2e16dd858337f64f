import type { PreflightAnswer } from '@bpfleet/api';
import { Table } from '@mantine/core';
import type { ReactNode } from 'react';
import { Proof, Reasons, VerdictChip } from './answer.js';

/** One answer, and how many devices it is about. */
export type AnsweredRow = Pick<PreflightAnswer, 'verdict' | 'proof' | 'reasons'> & { readonly devices: number };

interface AnswerTableProps<Row extends AnsweredRow> {
  /** What the table is, for those who do not see the panel around it. */
  readonly label: string;
  /** What an answer is about: the columns before it. */
  readonly about: readonly { readonly title: string; readonly render: (row: Row) => ReactNode }[];
  /** As they come, which is their order: two may read alike. */
  readonly rows: readonly Row[];
  readonly rowTestId: string;
}

/** Answers of pre-flight, each with whom it is about, its verdict, its proof and its reasons. */
export function AnswerTable<Row extends AnsweredRow>({ label, about, rows, rowTestId }: AnswerTableProps<Row>) {
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table verticalSpacing={4} aria-label={label}>
        <Table.Thead>
          <Table.Tr>
            {about.map(({ title }) => (
              <Table.Th key={title}>{title}</Table.Th>
            ))}
            <Table.Th ta="right">Devices</Table.Th>
            <Table.Th>Verdict</Table.Th>
            <Table.Th style={{ whiteSpace: 'nowrap' }}>Proven by</Table.Th>
            <Table.Th>Why</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row, index) => (
            <Table.Tr key={index} style={{ verticalAlign: 'top' }} data-testid={rowTestId}>
              {about.map(({ title, render }) => (
                <Table.Td key={title}>{render(row)}</Table.Td>
              ))}
              <Table.Td ta="right">{row.devices}</Table.Td>
              <Table.Td>
                <VerdictChip verdict={row.verdict} />
              </Table.Td>
              <Table.Td>
                <Proof proof={row.proof} />
              </Table.Td>
              <Table.Td>
                <Reasons reasons={row.reasons} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
