import type { FlameNode } from '@bpfleet/api';
import { Button, Group, Text, TextInput } from '@mantine/core';
import { useElementSize } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useMemo, useState } from 'react';
import { flameColor } from './flame-color.js';
import { layoutFlame, matchedSamples, type FlameBox } from './flame-layout.js';
import { formatCount, formatPercent, printable } from './format.js';

const rowPx = 18;
const narrowestPx = 1.5;

interface FlameGraphProps {
  root: FlameNode;
  focus: string;
  onFocus: (path: string) => void;
  search: string;
  onSearch: (text: string) => void;
}

/** Stacks as boxes, the root on top, a box as wide as its samples. Click or Enter zooms; search marks by name. */
export function FlameGraph({ root, focus, onFocus, search, onSearch }: FlameGraphProps) {
  const { ref, width } = useElementSize();
  const [hover, setHover] = useState<FlameBox | null>(null);
  const layout = useMemo(() => layoutFlame(root, focus, width > 0 ? narrowestPx / width : 0.01), [root, focus, width]);
  const wanted = search.trim().toLowerCase();
  const matches = (name: string) => wanted !== '' && name.toLowerCase().includes(wanted);
  const matched = wanted === '' ? 0 : matchedSamples(root, matches);
  const told = hover ?? layout.boxes.find((box) => box.path === focus) ?? null;

  return (
    <div style={{ padding: 12 }}>
      <Group gap="xs" mb={8}>
        <TextInput
          aria-label="Search frames"
          placeholder="Search frames"
          leftSection={<IconSearch size={14} />}
          value={search}
          onChange={(event) => onSearch(event.currentTarget.value)}
          w={240}
          data-search
        />
        {wanted !== '' && (
          <Text size="xs" c="dimmed">
            {formatPercent(layout.total > 0 ? (matched / layout.total) * 100 : 0)} of samples match
          </Text>
        )}
        {focus !== '' && (
          <Button variant="default" onClick={() => onFocus('')}>
            Show all
          </Button>
        )}
        <Text size="xs" className="bf-mono bf-cell" style={{ flex: 1, textAlign: 'right' }} aria-live="polite">
          {told
            ? `${printable(told.name)}  ${formatCount(told.value)} samples  ${formatPercent(told.share * 100)}`
            : `${formatCount(layout.total)} samples`}
        </Text>
      </Group>
      <div ref={ref} onMouseLeave={() => setHover(null)}>
        <svg
          width="100%"
          height={layout.depth * rowPx}
          role="group"
          aria-label="Flame graph"
          data-testid="flame-graph"
          style={{ display: 'block' }}
        >
          {layout.boxes.map((box) => (
            <Frame
              key={box.path}
              box={box}
              width={width}
              dimmed={box.above || (wanted !== '' && !matches(box.name))}
              marked={matches(box.name)}
              onFocus={onFocus}
              onHover={setHover}
            />
          ))}
        </svg>
      </div>
    </div>
  );
}

interface FrameProps {
  box: FlameBox;
  width: number;
  dimmed: boolean;
  marked: boolean;
  onFocus: (path: string) => void;
  onHover: (box: FlameBox) => void;
}

function Frame({ box, width, dimmed, marked, onFocus, onHover }: FrameProps) {
  const x = box.x * width;
  const wide = box.width * width;
  const letters = Math.floor((wide - 6) / 6.3);
  const name = printable(box.name);
  return (
    <g
      className="bf-frame"
      role="button"
      tabIndex={wide > 40 ? 0 : -1}
      aria-label={`${name}, ${formatPercent(box.share * 100)}`}
      opacity={dimmed ? 0.45 : 1}
      onClick={() => onFocus(box.path)}
      onKeyDown={(event) => {
        if (event.key === 'Enter') onFocus(box.path);
      }}
      onMouseEnter={() => onHover(box)}
      onFocus={() => onHover(box)}
    >
      <rect
        x={x}
        y={box.depth * rowPx}
        width={Math.max(0.5, wide - 0.5)}
        height={rowPx - 1}
        rx={1.5}
        fill={marked ? '#d94fb0' : flameColor(box.name, box.depth)}
      />
      {letters >= 3 && (
        <text x={x + 4} y={box.depth * rowPx + 12.5} fontSize={11} fill="#1a1208" style={{ pointerEvents: 'none' }}>
          {name.length > letters ? `${name.slice(0, letters - 1)}…` : name}
        </text>
      )}
    </g>
  );
}
