import { open, type FileHandle } from 'node:fs/promises';
import { CliError } from '../exit-code.js';

/** A regular file, to be closed by the caller. @throws CliError KERNEL_FILE */
export async function openFile(path: string): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path);
  } catch (cause) {
    throw new CliError('KERNEL_FILE', `${path} cannot be read: ${(cause as Error).message}`);
  }
  // A pipe or a device has no size and may have no end.
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new CliError('KERNEL_FILE', `${path} is not a regular file`);
}

/** `length` bytes from `offset`, or fewer where the file ends. */
export async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await file.read(bytes, read, length - read, offset + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return bytes.subarray(0, read);
}
