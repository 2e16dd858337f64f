import { realStatePort, type StatePort } from '../store/state-port.js';

/** A real disk that refuses while a fault is set; ENOSPC leaves room for what is overwritten in its place. */
export class FaultyPort implements StatePort {
  fault: string | undefined;
  bytesMax = Infinity;
  attempts = 0;

  replace(path: string, bytes: Uint8Array): void {
    this.check(this.fault ?? (bytes.length > this.bytesMax ? 'ENOSPC' : undefined));
    realStatePort.replace(path, bytes);
  }

  overwrite(path: string, bytes: Uint8Array): void {
    this.check(this.fault === 'ENOSPC' ? undefined : this.fault);
    realStatePort.overwrite(path, bytes);
  }

  remove(path: string): void {
    this.check(this.fault === 'ENOSPC' ? undefined : this.fault);
    realStatePort.remove(path);
  }

  private check(code: string | undefined): void {
    this.attempts += 1;
    if (code) throw Object.assign(new Error(`${code}: as the test wants it`), { code });
  }
}
