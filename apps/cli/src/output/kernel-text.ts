/** `arm64/32`: 32-bit programs on a 64-bit kernel. */
export function archText({ kernelArch, userBits }: { kernelArch: string; userBits: number }): string {
  return kernelArch !== 'arm' && userBits === 32 ? `${kernelArch}/32` : kernelArch;
}
