import { NumberInput, Stack, Switch, Text, TextInput } from '@mantine/core';
import { paramProblems, type ParamDraft, type ParamSpec } from '../routes/assignments/params.js';
import { printable } from './format.js';

interface ParamsFormProps {
  specs: readonly ParamSpec[];
  draft: ParamDraft;
  onChange: (draft: ParamDraft) => void;
}

export function ParamsForm({ specs, draft, onChange }: ParamsFormProps) {
  const problems = paramProblems(specs, draft);
  if (specs.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        This probe has no parameters.
      </Text>
    );
  }
  return (
    <Stack gap="sm">
      {specs.map((spec) => {
        const value = draft[spec.name] ?? spec.default;
        const set = (next: ParamDraft[string]) => onChange({ ...draft, [spec.name]: next });
        const common = {
          label: spec.name,
          description: [spec.help ? printable(spec.help) : '', `default ${String(spec.default) || 'empty'}`]
            .filter(Boolean)
            .join('; '),
          error: problems[spec.name],
          'data-testid': `param-${spec.name}`,
        };
        if (spec.type === 'boolean')
          return (
            <Switch
              key={spec.name}
              {...common}
              checked={value === true}
              onChange={(event) => set(event.currentTarget.checked)}
            />
          );
        if (spec.type === 'number')
          return (
            <NumberInput
              key={spec.name}
              {...common}
              maw={320}
              suffix={spec.unit ? ` ${spec.unit}` : undefined}
              value={value as number | string}
              onChange={set}
            />
          );
        return (
          <TextInput
            key={spec.name}
            {...common}
            maw={320}
            value={String(value)}
            onChange={(event) => set(event.currentTarget.value)}
          />
        );
      })}
    </Stack>
  );
}
