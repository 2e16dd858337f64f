import { requireInteger } from './arguments.js';
import { argumentError, attempt, LibbpfError, succeed } from './errors.js';
import { errnoName } from './errno.js';
import { native } from './native.js';
import { Program } from './program.js';

export interface ClsactOptions {
  ifindex: number;
  direction: 'ingress' | 'egress';
  /** Smaller runs first, 1 to 65535; the kernel chooses when left out. */
  priority?: number;
  /** Distinguishes filters of one priority; the kernel chooses when left out. */
  handle?: number;
}

/** What to write down: the filter outlives every process, and this is all that finds it again. Plain data. */
export interface ClsactRecord {
  ifindex: number;
  direction: 'ingress' | 'egress';
  priority: number;
  handle: number;
  programId: number;
  /** The clsact qdisc was not there before. */
  createdQdisc: boolean;
}

/**
 * A TC program on a clsact qdisc (≥ 4.5), in direct-action mode. Not a link: nothing detaches it but detach(), the end of the
 * interface, or somebody else, who may also have put another program in its place. Where TCX exists (≥ 6.6) prefer attachTcx.
 */
export class ClsactFilter {
  readonly record: Readonly<ClsactRecord>;

  private constructor(record: ClsactRecord) {
    this.record = Object.freeze({ ...record });
  }

  /** Takes the interface's clsact, or makes one. Throws BPF_ATTACH, with EEXIST when priority and handle are taken. */
  static attach(program: Program, options: ClsactOptions): ClsactFilter {
    const operation = `attach ${program instanceof Program ? program.name : 'a program'} to clsact`;
    if (!(program instanceof Program)) throw argumentError(operation, 'expected a Program');
    const { ifindex, direction, priority, handle } = requireHook(operation, options);
    const { fd } = program;
    const created = native.clsactCreate(ifindex, direction);
    if (created < 0 && errnoName(-created) !== 'EEXIST') throw new LibbpfError('BPF_ATTACH', operation, -created);
    // Where attaching fails the empty qdisc stays: someone else may have begun to use it.
    const filter = succeed('BPF_ATTACH', operation, () =>
      native.tcAttach(ifindex, direction, fd, handle, priority, false),
    );
    return new ClsactFilter({
      ifindex,
      direction,
      priority: filter.priority,
      handle: filter.handle,
      programId: filter.programId,
      createdQdisc: created === 0,
    });
  }

  /** The recorded filter, if it is still there with the recorded program; else undefined. */
  static adopt(record: ClsactRecord): ClsactFilter | undefined {
    const operation = 'adopt a clsact filter';
    requireHook(operation, record);
    requireInteger(operation, 'programId', record.programId, 1, 0xffff_ffff);
    const filter = new ClsactFilter(record);
    return filter.attachedProgramId() === record.programId ? filter : undefined;
  }

  /** The program that is there now; undefined when there is none, or the interface is gone. */
  attachedProgramId(): number | undefined {
    const { ifindex, direction, handle, priority } = this.record;
    const found = native.tcQuery(ifindex, direction, handle, priority);
    if (typeof found !== 'number') return found.programId;
    if (['ENOENT', 'ENODEV', 'EINVAL'].includes(errnoName(-found))) return undefined;
    throw new LibbpfError('BPF_LINK', 'query a clsact filter', -found);
  }

  /**
   * Puts another program in its place, in one step, and returns the filter with the new record. Throws BPF_LINK with ESTALE
   * when the recorded program is not the one that is there.
   */
  replace(program: Program): ClsactFilter {
    const operation = 'replace a clsact filter';
    if (!(program instanceof Program)) throw argumentError(operation, 'expected a Program');
    const { ifindex, direction, handle, priority, programId } = this.record;
    const { fd } = program;
    if (this.attachedProgramId() !== programId) throw staleError(operation);
    const filter = succeed('BPF_LINK', operation, () =>
      native.tcAttach(ifindex, direction, fd, handle, priority, true),
    );
    return new ClsactFilter({ ...this.record, programId: filter.programId });
  }

  /**
   * Takes this filter away, and nothing of anybody else's: a filter that holds another program by now stays, and so does the
   * qdisc. Returns whether there was something to detach.
   */
  detach(): boolean {
    const { ifindex, direction, handle, priority, programId } = this.record;
    if (this.attachedProgramId() !== programId) return false;
    attempt('BPF_LINK', 'detach a clsact filter', () => native.tcDetach(ifindex, direction, handle, priority));
    return true;
  }

  /**
   * Removes the clsact that attach() made, if nothing hangs on it in either direction. Returns whether it did. The kernel
   * cannot look and remove in one step: leave the qdisc, which costs nothing, where others attach filters at any time.
   */
  removeEmptyQdisc(): boolean {
    const { ifindex, createdQdisc } = this.record;
    if (!createdQdisc) return false;
    const operation = 'remove an empty clsact';
    for (const direction of ['ingress', 'egress']) {
      if (attempt('BPF_LINK', operation, () => native.tcFilterCount(ifindex, direction)) > 0) return false;
    }
    attempt('BPF_LINK', operation, () => native.clsactDestroy(ifindex));
    return true;
  }
}

function requireHook(operation: string, options: ClsactOptions): Required<ClsactOptions> {
  if (options.direction !== 'ingress' && options.direction !== 'egress') {
    throw argumentError(operation, 'direction must be ingress or egress');
  }
  return {
    ifindex: requireInteger(operation, 'ifindex', options.ifindex, 1, 0x7fff_ffff),
    direction: options.direction,
    priority: options.priority === undefined ? 0 : requireInteger(operation, 'priority', options.priority, 1, 0xffff),
    handle: options.handle === undefined ? 0 : requireInteger(operation, 'handle', options.handle, 1, 0xffff_ffff),
  };
}

function staleError(operation: string): LibbpfError {
  return new LibbpfError('BPF_LINK', operation, 116, 'another program is there now, or none');
}
