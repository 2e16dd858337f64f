import { ActionIcon, Badge, Group, Text, Title, Tooltip } from '@mantine/core';
import type { RunState } from '@bpfleet/api';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { useState, type ReactNode } from 'react';
import { printable } from './format.js';
import { runTone, toneColor } from './run-tone.js';

export function PageTitle({ title, children, note }: { title: ReactNode; children?: ReactNode; note?: ReactNode }) {
  return (
    <Group justify="space-between" align="center" mb={8} wrap="wrap" gap="xs">
      <div style={{ minWidth: 0 }}>
        <Title order={1}>{title}</Title>
        {note && (
          <Text size="sm" c="dimmed" component="div">
            {note}
          </Text>
        )}
      </div>
      <Group gap="xs">{children}</Group>
    </Group>
  );
}

export function Panel(props: { title?: ReactNode; right?: ReactNode; children: ReactNode; testId?: string }) {
  return (
    <section className="bf-panel" data-testid={props.testId}>
      {props.title && (
        <div className="bf-panel-head">
          <Text fw={600} size="sm" component="h2" style={{ flex: 1, margin: 0 }}>
            {props.title}
          </Text>
          {props.right}
        </div>
      )}
      {props.children}
    </section>
  );
}

export function RunStateBadge({ state }: { state: RunState }) {
  return (
    <Badge color={toneColor(runTone(state))} data-testid="run-state" data-state={state}>
      {state.toLowerCase().replace('_', ' ')}
    </Badge>
  );
}

export function OnlineDot({ online }: { online: boolean }) {
  return (
    <span className="bf-dot" data-on={online ? '' : undefined} role="img" aria-label={online ? 'online' : 'offline'} />
  );
}

/** Copies also where the page is served without TLS, where browsers have no clipboard API. */
export function CopyIcon({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    const done = await copyText(text);
    setCopied(done);
    if (done) setTimeout(() => setCopied(false), 1500);
  };
  return (
    <Tooltip label={copied ? 'Copied' : label}>
      <ActionIcon
        variant="subtle"
        color={copied ? 'teal' : 'gray'}
        size="sm"
        aria-label={label}
        onClick={() => void copy()}
      >
        {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
      </ActionIcon>
    </Tooltip>
  );
}

async function copyText(text: string): Promise<boolean> {
  try {
    if (!navigator.clipboard) return copyBySelection(text);
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text: string): boolean {
  const area = document.createElement('textarea');
  area.value = text;
  area.style.position = 'fixed';
  // Inside an open dialog only what the dialog holds can take the focus.
  (document.querySelector('[role=dialog]') ?? document.body).appendChild(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return done;
}

/** Long text that is folded at first: verifier logs, manifests. */
export function Fold({ label, text, open, testId }: { label: string; text: string; open?: boolean; testId?: string }) {
  return (
    <details open={open} data-testid={testId}>
      <summary style={{ cursor: 'pointer', fontSize: '0.75rem' }} className="bf-dim">
        {label}
      </summary>
      <div style={{ position: 'relative', marginTop: 6 }}>
        <pre className="bf-code" style={{ maxHeight: 360 }}>
          {printable(text)}
        </pre>
        <div style={{ position: 'absolute', top: 4, right: 12 }}>
          <CopyIcon text={text} label={`Copy ${label}`} />
        </div>
      </div>
    </details>
  );
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div style={{ minWidth: 0 }}>
      <Text size="xs" c="dimmed">
        {name}
      </Text>
      <Text size="sm" component="div" style={{ overflowWrap: 'anywhere' }}>
        {children}
      </Text>
    </div>
  );
}

export function FactGrid({ children, min = 150 }: { children: ReactNode; min?: number }) {
  return (
    <div
      style={{
        display: 'grid',
        gridTemplateColumns: `repeat(auto-fill, minmax(${min}px, 1fr))`,
        gap: '10px 18px',
        padding: 12,
      }}
    >
      {children}
    </div>
  );
}
