import type { PickedFile } from './probe-folder.js';

/** More than any probe has; a wrongly dropped home folder must not be read. */
const filesMax = 64;
const bytesMax = 64 * 1024 * 1024;

export async function pickedFiles(list: FileList | null): Promise<PickedFile[]> {
  return readAll([...(list ?? [])]);
}

/** Files of a drop: of the folder itself, not of folders inside it. Must be called within the drop event. */
export async function droppedFiles(transfer: DataTransfer): Promise<PickedFile[]> {
  const entries = [...transfer.items]
    .map((item) => item.webkitGetAsEntry?.())
    .filter((entry) => entry !== null && entry !== undefined);
  if (entries.length === 0) return readAll([...transfer.files]);
  const files: File[] = [];
  for (const entry of entries) {
    if (entry.isFile) files.push(await fileOf(entry as FileSystemFileEntry));
    else for (const child of await childrenOf(entry as FileSystemDirectoryEntry)) files.push(await fileOf(child));
  }
  return readAll(files);
}

async function readAll(files: readonly File[]): Promise<PickedFile[]> {
  if (files.length > filesMax)
    throw new Error(`These are ${files.length} files; a probe's folder has ${filesMax} at most.`);
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  if (bytes > bytesMax) throw new Error(`These files are larger than ${bytesMax / 1024 / 1024} MiB together.`);
  return Promise.all(files.map(async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) })));
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

async function childrenOf(folder: FileSystemDirectoryEntry): Promise<FileSystemFileEntry[]> {
  const reader = folder.createReader();
  const found: FileSystemFileEntry[] = [];
  // A reader gives its entries in parts and an empty part at the end.
  for (;;) {
    const part = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (part.length === 0 || found.length > filesMax) return found;
    found.push(...(part.filter((entry) => entry.isFile) as FileSystemFileEntry[]));
  }
}
