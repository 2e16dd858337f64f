import { Button, Group, SegmentedControl, Text } from '@mantine/core';
import { formatTime } from '../../ui/format.js';
import { defaultRange, ranges, type Range, type TimeSearch } from '../../ui/time-window.js';

interface TimeRangeProps {
  time: TimeSearch;
  onChange: (time: { range: Range | undefined; from: number | undefined; to: number | undefined }) => void;
}

/** A range that ends now, or the window that was dragged over in a chart. */
export function TimeRange({ time, onChange }: TimeRangeProps) {
  const setRange = (range: string) =>
    onChange({ range: range === defaultRange ? undefined : (range as Range), from: undefined, to: undefined });
  const { from, to } = time;
  return (
    <Group gap="xs">
      {from !== undefined && to !== undefined && (
        <>
          <Text size="xs" c="dimmed">
            {formatTime(new Date(from * 1000).toISOString())} to {formatTime(new Date(to * 1000).toISOString())}
          </Text>
          <Button variant="default" onClick={() => setRange(time.range ?? defaultRange)}>
            Back to now
          </Button>
        </>
      )}
      <SegmentedControl
        aria-label="Time range"
        data-testid="time-range"
        data={[...ranges]}
        value={from === undefined ? (time.range ?? defaultRange) : ''}
        onChange={setRange}
      />
    </Group>
  );
}
