import type { Verdict } from '@bpfleet/api';
import { Badge, Group } from '@mantine/core';

export const verdictColors: Record<Verdict['verdict'], string> = {
  accepted: 'teal',
  refused: 'red',
  unproven: 'yellow',
};

export function VerdictBadges({ verdicts }: { verdicts: readonly Verdict[] }) {
  const counts = (['accepted', 'refused', 'unproven'] as const)
    .map((verdict) => ({ verdict, count: verdicts.filter((one) => one.verdict === verdict).length }))
    .filter(({ count }) => count > 0);
  if (counts.length === 0) return <Badge color="gray">not proven anywhere</Badge>;
  return (
    <Group gap={4} wrap="nowrap">
      {counts.map(({ verdict, count }) => (
        <Badge key={verdict} color={verdictColors[verdict]}>
          {count} {verdict}
        </Badge>
      ))}
    </Group>
  );
}
