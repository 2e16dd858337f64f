import type { BtfValue } from '@bpfleet/btf';
import { ObjectTypes } from './btf-types.js';
import { argumentError, closedError, succeed } from './errors.js';
import { findNamed } from './find-named.js';
import type { Global } from './global.js';
import { globalsOf } from './global.js';
import { makeLinkOf, StructOpsLink } from './link-kinds.js';
import type { Link } from './link.js';
import { LiveSection } from './live-section.js';
import { BpfMap } from './map.js';
import type { NativeObject } from './native.js';
import type { MapSpec } from './map-spec.js';
import { Program } from './program.js';
import type { ProgramSpec } from './program-spec.js';
import type { VerifierStats } from './verifier-stats.js';
import { parseVerifierStats } from './verifier-stats.js';

/**
 * A loaded object. Owns its programs and maps: close() closes them. Links live on, and so does in the kernel whatever a link
 * or a pin still holds.
 */
export class BpfObject {
  /** The programs that were loaded: those whose autoload was set. */
  readonly programs: readonly Program[];
  readonly maps: readonly BpfMap[];
  readonly #types: ObjectTypes;
  readonly #mapNames: readonly string[];
  readonly #sections: readonly BpfMap[];
  readonly #logs: Record<string, string>;
  #native: NativeObject | undefined;
  #globals: readonly Global[] | undefined;

  /** @internal */
  constructor(
    native: NativeObject,
    programs: readonly ProgramSpec[],
    maps: readonly MapSpec[],
    logs: Record<string, string>,
  ) {
    this.#native = native;
    this.#logs = logs;
    this.#types = new ObjectTypes(() => this.#opened('read the types of the object'));
    const facts = native.programs();
    this.programs = programs.flatMap((spec, index) => {
      if (facts[index]?.autoload !== true) return [];
      const handle = succeed('BPF_LOAD', `open program ${spec.name}`, () => native.openProgram(index));
      return new Program(handle, {
        name: spec.name,
        section: spec.section,
        attachType: facts[index]?.attachType,
        attach: (operation, attach, needs) => {
          const object = this.#opened(operation);
          return succeed('BPF_ATTACH', operation, () => attach(object, index), needs);
        },
      });
    });
    this.#mapNames = maps.map((spec) => spec.name);
    this.maps = maps.flatMap((spec, index) => {
      if (!spec.autocreate) return [];
      const handle = succeed('BPF_LOAD', `open map ${spec.name}`, () => native.openMap(index));
      const types = () => this.#types.of(spec.btfKeyTypeId, spec.btfValueTypeId);
      return new BpfMap(handle, { name: spec.name, pinPath: spec.pinPath, types });
    });
    this.#sections = this.maps.filter(({ name }) => maps.some((spec) => spec.name === name && spec.isGlobalData));
  }

  get closed(): boolean {
    return this.#native === undefined;
  }

  /** Throws BPF_ARGUMENT, which names the programs that were loaded. */
  program(name: string): Program {
    this.#opened(`find program ${name}`);
    return findNamed('program', this.programs, name);
  }

  /** Throws BPF_ARGUMENT, which names the maps that exist. */
  map(name: string): BpfMap {
    this.#opened(`find map ${name}`);
    return findNamed('map', this.maps, name);
  }

  /**
   * The global variables of `.rodata`, `.data` and `.bss`, as programs see them now; empty for an object without BTF. They
   * are read and written where they are (≥ 5.5); `.rodata` cannot change any more. Throws BPF_BTF.
   */
  get globals(): readonly Global[] {
    this.#opened('read globals');
    this.#globals ??= globalsOf(
      this.#types,
      this.#sections.map((map) => new LiveSection(map)),
    );
    return this.#globals;
  }

  /** Throws BPF_ARGUMENT, which names the variables that exist. `Value` is the caller's word: set() checks against BTF. */
  global<Value = BtfValue>(name: string): Global<Value> {
    return findNamed('global', this.globals, name) as unknown as Global<Value>;
  }

  /**
   * Registers a struct_ops map with the kernel; closing the link unregisters. Of `SEC(".struct_ops.link")` (≥ 6.4) the link has
   * an id and can be pinned and updated; of `SEC(".struct_ops")` (≥ 5.6) it cannot. Throws BPF_ATTACH, with EEXIST when the name
   * is taken.
   */
  attachStructOps(name: string): StructOpsLink {
    const operation = `register struct_ops ${name}`;
    const object = this.#opened(operation);
    const index = this.#mapNames.indexOf(this.map(name).name);
    return makeLinkOf<StructOpsLink>(
      succeed('BPF_ATTACH', operation, () => object.attachStructOps(index)),
      'struct_ops',
    );
  }

  /**
   * Puts the struct_ops map `name` (`SEC(".struct_ops.link")`) into the place of the one that `link` registered, in one step:
   * what uses it sees one or the other. Throws BPF_LINK where the kernel's subsystem has no such step (ENOTSUPP), where the two
   * do not go together (EINVAL: TCP wants the same name), and for a link that attachStructOps() of this process did not make.
   */
  updateStructOps(name: string, link: Link): void {
    const operation = `update struct_ops ${name}`;
    const object = this.#opened(operation);
    if (!(link instanceof StructOpsLink)) throw argumentError(operation, 'expected the Link of attachStructOps()');
    const index = this.#mapNames.indexOf(this.map(name).name);
    link.updateMap(operation, (handle) => object.updateStructOps(index, handle));
  }

  /** What the verifier wrote about an accepted program; empty unless `verifierLogLevel` asked for it. */
  verifierLog(program: string): string {
    return this.#logs[program] ?? '';
  }

  /** The verifier's numbers about an accepted program; empty unless `verifierLogLevel` asked for them (4 is enough). */
  verifierStats(program: string): VerifierStats {
    return parseVerifierStats(this.verifierLog(program));
  }

  /** Idempotent. */
  close(): void {
    for (const program of this.programs) program.close();
    for (const map of this.maps) map.close();
    this.#native?.close();
    this.#native = undefined;
  }

  #opened(operation: string): NativeObject {
    if (this.#native === undefined) throw closedError(operation);
    return this.#native;
  }
}
