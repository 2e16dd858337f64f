import type { PreflightAnswer, PreflightProof, PreflightVerdict } from '@bpfleet/api';
import { Badge, List, Text, Tooltip } from '@mantine/core';
import { formatTime, printable } from '../../ui/format.js';
import { archText, closenessText } from './answer-text.js';

const verdicts: Record<PreflightVerdict, { color: string; text: string }> = {
  takes: { color: 'teal', text: 'takes it' },
  refuses: { color: 'red', text: 'will refuse' },
  unknown: { color: 'yellow', text: 'unknown' },
};

export function VerdictChip({ verdict }: { verdict: PreflightVerdict }) {
  const { color, text } = verdicts[verdict];
  return (
    // In a narrow table it would be cut rather than the sentences beside it wrapped.
    <Badge color={color} miw="max-content" data-testid="preflight-verdict" data-verdict={verdict}>
      {text}
    </Badge>
  );
}

export function VerdictCounts({ takes, refuses, unknown }: Record<PreflightVerdict, number>) {
  return (
    <>
      <Badge color="teal">{takes} will take it</Badge>
      {refuses > 0 && <Badge color="red">{refuses} will refuse</Badge>}
      {unknown > 0 && <Badge color="yellow">{unknown} unknown</Badge>}
    </>
  );
}

export function Proof({ proof }: { proof: PreflightProof | null }) {
  if (!proof) return <span className="bf-dim">not proven</span>;
  const kernel = `${printable(proof.kernelRelease)} ${printable(proof.kernelArch)}`;
  const where = proof.by === 'lab' ? 'in the lab' : 'by the server’s own kernel';
  return (
    <Tooltip label={`${kernel}, ${where}, ${formatTime(proof.at)}`} multiline maw={420}>
      <span>{closenessText(proof)}</span>
    </Tooltip>
  );
}

/** One sentence each; a single one stands without a bullet. */
export function Reasons({ reasons }: Pick<PreflightAnswer, 'reasons'>) {
  const [only, ...others] = reasons;
  if (only === undefined) return null;
  if (others.length === 0) return <Text size="sm">{printable(only.sentence)}</Text>;
  return (
    <List size="sm" spacing={2}>
      {reasons.map(({ sentence }) => (
        <List.Item key={sentence}>{printable(sentence)}</List.Item>
      ))}
    </List>
  );
}

export function KernelName(props: {
  kernel: { kernelRelease: string; kernelArch: string; userBits: number; jit: string | null };
}) {
  const { kernelRelease, jit } = props.kernel;
  return (
    <>
      {printable(kernelRelease)}{' '}
      <span className="bf-dim">
        {printable(archText(props.kernel))}
        {jit === null ? '' : `, JIT ${printable(jit)}`}
      </span>
    </>
  );
}
