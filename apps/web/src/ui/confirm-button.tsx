import { Button, Group, Popover, Text } from '@mantine/core';
import { useState } from 'react';

interface ConfirmButtonProps {
  label: string;
  /** Said to those who cannot see in which row it stands. */
  ariaLabel: string;
  question: string;
  onConfirm: () => void;
}

/** A small destructive button that asks once, beside itself. */
export function ConfirmButton({ label, ariaLabel, question, onConfirm }: ConfirmButtonProps) {
  const [asking, setAsking] = useState(false);
  return (
    <Popover opened={asking} onChange={setAsking} position="left" withArrow trapFocus width={280}>
      <Popover.Target>
        <Button size="compact-xs" variant="subtle" color="red" aria-label={ariaLabel} onClick={() => setAsking(true)}>
          {label}
        </Button>
      </Popover.Target>
      <Popover.Dropdown ta="left" style={{ whiteSpace: 'normal' }}>
        <Text size="sm" mb="xs">
          {question}
        </Text>
        <Group gap="xs" justify="flex-end">
          <Button variant="default" onClick={() => setAsking(false)}>
            Cancel
          </Button>
          <Button
            color="red"
            data-testid="confirm"
            onClick={() => {
              setAsking(false);
              onConfirm();
            }}
          >
            {label}
          </Button>
        </Group>
      </Popover.Dropdown>
    </Popover>
  );
}
