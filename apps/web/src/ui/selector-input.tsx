import { TextInput } from '@mantine/core';
import { IconFilter } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';

export const selectorExample = 'arch=arm64 and kernel>=5.10 and site in (oslo,bergen)';

interface SelectorInputProps {
  value: string;
  onCommit: (selector: string) => void;
  error?: string;
  label?: string;
  description?: string;
  width?: number | string;
  /** What `/` goes to on this page. */
  isSearch?: boolean;
  testId?: string;
}

const settleMs = 350;

/** A selector, given on when typing has paused or Enter is pressed. */
export function SelectorInput(props: SelectorInputProps) {
  const { value, onCommit } = props;
  const [draft, setDraft] = useState(value);
  const committed = useRef(value);
  useEffect(() => {
    // Follows the URL (back, forward, a link), not its own echo.
    if (value !== committed.current) setDraft(value);
    committed.current = value;
  }, [value]);
  useEffect(() => {
    if (draft === committed.current) return;
    const timer = setTimeout(() => {
      committed.current = draft;
      onCommit(draft);
    }, settleMs);
    return () => clearTimeout(timer);
  }, [draft, onCommit]);

  return (
    <TextInput
      label={props.label}
      description={props.description}
      aria-label={props.label ?? 'Selector'}
      placeholder={selectorExample}
      leftSection={<IconFilter size={14} />}
      value={draft}
      error={props.error}
      w={props.width ?? 420}
      spellCheck={false}
      autoComplete="off"
      styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
      onChange={(event) => setDraft(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === 'Enter') {
          committed.current = draft;
          onCommit(draft);
        } else if (event.key === 'Escape') event.currentTarget.blur();
      }}
      data-search={props.isSearch ? '' : undefined}
      data-testid={props.testId ?? 'selector'}
    />
  );
}
