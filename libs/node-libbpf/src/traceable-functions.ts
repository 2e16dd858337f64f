const NEWLINE = 0x0a;
const SPACE = 0x20;
/** What newer kernels list in the place of functions that the linker took out (kernel commit b39181f7c690, 5.19). */
const INVALID = '__ftrace_invalid_address___';

/** The functions in which ftrace can set its hooks, by its own list: `name`, or `name [module]`, in a line each. */
export class TraceableFunctions {
  /** Between two ends of lines each: some 50,000 in a megabyte, which is kept as it is. */
  readonly #lines: Buffer;

  /** `list`: available_filter_functions of tracefs, as it was read. */
  constructor(list: Uint8Array) {
    this.#lines = Buffer.concat([Buffer.from('\n'), list, Buffer.from('\n')]);
  }

  /** Of exactly this name, in the kernel or in a module. */
  has(name: string): boolean {
    const line = Buffer.from(`\n${name}`);
    for (let at = this.#lines.indexOf(line); at !== -1; at = this.#lines.indexOf(line, at + 1)) {
      const next = this.#lines[at + line.length];
      if (next === NEWLINE || next === SPACE) return true;
    }
    return false;
  }

  /** For each function that a pattern stands for, which module has it, as far as the first of the kernel itself: undefined. */
  modulesOf(pattern: string): readonly (string | undefined)[] {
    const found: (string | undefined)[] = [];
    for (const line of this.#lines.toString('latin1').split('\n')) {
      const [name = '', module] = line.split(' ');
      if (name === '' || name.startsWith(INVALID) || !matches(name, pattern)) continue;
      found.push(module?.slice(1, -1));
      if (module === undefined) break;
    }
    return found;
  }
}

/** As libbpf reads patterns: `*` is anything, `?` any character. Each step goes on, or back to the last star: names are short. */
function matches(name: string, pattern: string): boolean {
  let [at, in_, star, resume] = [0, 0, -1, 0];
  while (at < name.length) {
    if (pattern[in_] === '*') [star, resume] = [in_++, at];
    else if (pattern[in_] === '?' || pattern[in_] === name[at]) [at, in_] = [at + 1, in_ + 1];
    else if (star !== -1) [in_, at] = [star + 1, ++resume];
    else return false;
  }
  while (pattern[in_] === '*') in_++;
  return in_ === pattern.length;
}
