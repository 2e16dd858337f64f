import { execFileSync } from 'node:child_process';

const TARGETS = { arm64: 'aarch64-linux-gnu', armv7: 'arm-linux-gnueabihf' } as const;

/** What a module says of itself, compiled for its architecture; nothing that any kernel would load. */
export function makeModule(arch: keyof typeof TARGETS, name: string): Buffer {
  const info = `name=${name}\\0depends=`;
  const source = `const char info[] __attribute__((section(".modinfo"), used)) = "${info}";`;
  const flags = [`--target=${TARGETS[arch]}`, '-c', '-x', 'c', '-', '-o', '-'];
  return execFileSync('clang', flags, { input: source });
}
