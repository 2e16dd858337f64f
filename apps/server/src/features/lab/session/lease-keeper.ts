/** Renews a lease from time to time, and says when it is lost. */
export class LeaseKeeper {
  private readonly gone = new AbortController();
  private readonly timer: NodeJS.Timeout;

  /** `renew` says whether the lease is still held. Where it fails (a database that is away) it is tried again. */
  constructor(renew: () => Promise<boolean>, intervalMs: number) {
    this.timer = setInterval(() => {
      renew().then(
        (held) => (held ? undefined : this.gone.abort(new Error('the lease is lost'))),
        () => undefined,
      );
    }, intervalMs);
    this.timer.unref();
  }

  get lost(): AbortSignal {
    return this.gone.signal;
  }

  stop(): void {
    clearInterval(this.timer);
  }
}
