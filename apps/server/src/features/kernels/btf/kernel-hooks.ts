import { Injectable } from '@nestjs/common';
import type { Btf } from '@bpfleet/btf';
import { KernelBtfError } from '../../../verify/index.js';
import { KernelBtfs } from './kernel-btfs.js';

/** What a program is attached to by its name in the kernel. */
export interface KernelHook {
  readonly kind: 'function' | 'tracepoint';
  readonly name: string;
}

const REMEMBERED_MAX = 10_000;

/**
 * Which hooks the types of a kernel name. What they do not name may be there all the same: of a module, or a function whose
 * types pahole left out since its compiler had changed how it is called.
 */
@Injectable()
export class KernelHooks {
  /** By types and hook; oldest first. The types of a kernel take a few tenths of a second to read. */
  private readonly named = new Map<string, boolean>();

  constructor(private readonly btfs: KernelBtfs) {}

  /** Whether `unnamed` has its answer at hand. */
  remembers(source: string, hooks: readonly KernelHook[]): boolean {
    return hooks.every((hook) => this.named.has(keyOf(source, hook)));
  }

  /** Those that the types with this digest do not name; undefined where the server has them no more, or cannot read them. */
  async unnamed(source: string, hooks: readonly KernelHook[]): Promise<readonly KernelHook[] | undefined> {
    if (!this.remembers(source, hooks) && !(await this.look(source, hooks))) return undefined;
    return hooks.filter((hook) => this.named.get(keyOf(source, hook)) === false);
  }

  private async look(source: string, hooks: readonly KernelHook[]): Promise<boolean> {
    try {
      const types = await this.btfs.types(source);
      if (types === undefined) return false;
      for (const hook of hooks) this.remember(keyOf(source, hook), isNamed(types.btf, hook));
      return true;
    } catch (error) {
      if (error instanceof KernelBtfError) return false;
      throw error;
    }
  }

  private remember(key: string, named: boolean): void {
    const oldest = this.named.keys().next();
    if (this.named.size >= REMEMBERED_MAX && !oldest.done) this.named.delete(oldest.value);
    this.named.set(key, named);
  }
}

/**
 * Each tracepoint that BPF programs can have is a typedef (`__DEFINE_EVENT` of include/trace/bpf_probe.h, kernel commit
 * e8c423fb31fa, 5.5), also those of which tracefs shows no event.
 */
function isNamed(btf: Btf, { kind, name }: KernelHook): boolean {
  return (kind === 'function' ? btf.idsByName('func', name) : btf.idsByName('typedef', `btf_trace_${name}`)).length > 0;
}

function keyOf(source: string, { kind, name }: KernelHook): string {
  return `${source} ${kind} ${name}`;
}
