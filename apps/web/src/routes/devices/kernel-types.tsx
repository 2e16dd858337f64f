import type { Kernel } from '@bpfleet/api';
import { Group, Text, Tooltip } from '@mantine/core';
import { btfText } from '../../ui/btf-text.js';
import { printable } from '../../ui/format.js';
import { CopyIcon } from '../../ui/pieces.js';

export function KernelTypes({ btf }: { btf: Kernel['btf'] }) {
  const { short, sentence } = btfText(btf);
  return (
    <Tooltip label={printable(sentence)} multiline maw={420}>
      <span data-testid="btf-state" data-state={btf.state}>
        {printable(short)}
        {btf.digest && <span className="bf-mono"> {printable(btf.digest).slice(0, 12)}…</span>}
      </span>
    </Tooltip>
  );
}

/** What to do about a kernel whose types nobody has. */
export function MissingTypes({ kernel }: { kernel: Kernel }) {
  if (kernel.btf.state !== 'missing') return null;
  const build = kernel.kernelBuildId === null ? '' : ` --build-id ${printable(kernel.kernelBuildId)}`;
  const command = `bpfleet btf add <vmlinux, debug package or BTF>${build}`;
  return (
    <Group gap={6} px={12} pb={12} wrap="nowrap" data-testid="btf-missing">
      <Text size="sm">
        {btfText(kernel.btf).sentence} Give it with <code>{command}</code>
      </Text>
      <CopyIcon text={command} label="Copy the command" />
    </Group>
  );
}
