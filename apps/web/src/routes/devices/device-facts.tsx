import type { Device } from '@bpfleet/api';
import { Badge, Group, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { deviceKernelQuery } from '../../api/queries.js';
import { EmptyState } from '../../ui/feedback.js';
import { formatBytes, formatTime, printable } from '../../ui/format.js';
import { Fact, FactGrid, Panel } from '../../ui/pieces.js';
import { KernelTypes, MissingTypes } from './kernel-types.js';

export function DeviceFacts({ device }: { device: Device }) {
  const { facts } = device;
  const kernel = useQuery(deviceKernelQuery(device.id)).data;
  if (!facts) {
    return <EmptyState title="No facts yet">The agent reports them when it connects for the first time.</EmptyState>;
  }
  const text = (value: string | null) => (value === null ? 'unknown' : printable(value));
  return (
    <Stack gap="sm">
      <Panel title="Kernel group: what decides whether a program loads here">
        <FactGrid min={180}>
          <Fact name="Release">{text(facts.kernelRelease)}</Fact>
          <Fact name="Architecture">{text(facts.kernelArch)}</Fact>
          <Fact name="User land">{facts.userBits} bit</Fact>
          <Fact name="JIT">{text(facts.jit)}</Fact>
          <Fact name="Security modules">{facts.lsm.map(printable).join(', ') || 'none'}</Fact>
          <Fact name="Build id">
            <span className="bf-mono">{text(facts.kernelBuildId)}</span>
          </Fact>
          <Fact name="BTF">{kernel ? <KernelTypes btf={kernel.btf} /> : facts.btfDigest ? 'its own' : 'none'}</Fact>
          {kernel && <Fact name="Devices of this group">{kernel.devices}</Fact>}
        </FactGrid>
        {kernel && <MissingTypes kernel={kernel} />}
      </Panel>
      <Panel title="Features the agent found">
        <Group gap={6} p={12}>
          {facts.features.length === 0
            ? 'none'
            : facts.features.map((feature) => (
                <Badge key={feature} color="gray">
                  {printable(feature)}
                </Badge>
              ))}
        </Group>
      </Panel>
      <Panel title="Machine">
        <FactGrid min={180}>
          <Fact name="Host name">{text(facts.hostname)}</Fact>
          <Fact name="Model">{text(facts.machine)}</Fact>
          <Fact name="Distribution">{text(facts.distribution)}</Fact>
          <Fact name="CPUs">{facts.cpus}</Fact>
          <Fact name="Memory">{formatBytes(facts.memoryBytes)}</Fact>
          <Fact name="Page size">{formatBytes(facts.pageBytes)}</Fact>
          <Fact name="Agent version">{text(facts.agentVersion)}</Fact>
          <Fact name="Enrolled">{formatTime(device.enrolledAt)}</Fact>
        </FactGrid>
      </Panel>
    </Stack>
  );
}
