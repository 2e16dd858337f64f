export interface SourceFile {
  /** `^[a-zA-Z0-9_.-]{1,64}$`, not beginning with a dot or a dash; no folders. */
  name: string;
  bytes: Buffer;
}

/** The `*.bpf.c` files of a probe and its own headers. */
export interface SourcePackage {
  files: SourceFile[];
}

export type ProbeArch = 'x86_64' | 'arm64' | 'arm';

/** A source package that is refused before anything runs. */
export class PackageError extends Error {
  readonly code = 'PACKAGE_INVALID';
  constructor(
    message: string,
    readonly file: string | undefined,
  ) {
    super(message);
    this.name = 'PackageError';
  }
}

export const SOURCE_FILES_MAX = 32;
export const SOURCE_BYTES_MAX = 1024 * 1024;

// No leading dot: `..` is a folder. No leading dash: `-` would be read as an option.
const NAME = /^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}$/;

/** Throws PackageError unless every name and size is in bounds and `entry` is one of the files. */
export function checkPackage(pkg: SourcePackage, entry: string): void {
  if (pkg.files.length > SOURCE_FILES_MAX) {
    throw new PackageError(
      `a package holds at most ${SOURCE_FILES_MAX} source files, this one ${pkg.files.length}`,
      undefined,
    );
  }
  const names = new Set<string>();
  let bytes = 0;
  for (const file of pkg.files) {
    if (!NAME.test(file.name)) {
      const shown = JSON.stringify(file.name.slice(0, 80));
      throw new PackageError(
        `${shown} is not a file name: letters, digits, "_", "." and "-", at most 64, no folders`,
        file.name,
      );
    }
    if (names.has(file.name)) throw new PackageError(`${file.name} is in the package twice`, file.name);
    names.add(file.name);
    bytes += file.bytes.length;
  }
  if (bytes > SOURCE_BYTES_MAX) {
    throw new PackageError(`the sources are ${bytes} bytes, more than ${SOURCE_BYTES_MAX}`, undefined);
  }
  if (!entry.endsWith('.bpf.c'))
    throw new PackageError(`${JSON.stringify(entry.slice(0, 80))} does not end in .bpf.c`, entry);
  if (!names.has(entry)) {
    throw new PackageError(`${entry} is not in the package, which holds ${[...names].join(', ') || 'nothing'}`, entry);
  }
}
