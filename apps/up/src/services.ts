/** Something that was started and must be stopped. */
export interface Service {
  readonly name: string;
  stop(): Promise<void>;
}

/** Stops what was started, newest first, each once, whatever happens to the others. */
export class ServiceStack {
  private readonly started: Service[] = [];
  private stopped: Promise<void> | undefined;

  constructor(private readonly say: (line: string) => void) {}

  /** Called before a service starts, so that a stop in the middle of its start finds it. @throws when already stopping */
  push(service: Service): void {
    if (this.stopped) throw new Error(`${service.name} was to be started while everything stops`);
    this.started.push(service);
  }

  get isEmpty(): boolean {
    return this.started.length === 0;
  }

  get isStopping(): boolean {
    return this.stopped !== undefined;
  }

  stopAll(): Promise<void> {
    this.stopped ??= this.stopInOrder();
    return this.stopped;
  }

  private async stopInOrder(): Promise<void> {
    for (let service = this.started.pop(); service; service = this.started.pop()) {
      try {
        await service.stop();
      } catch (error) {
        this.say(`${service.name} could not be stopped: ${(error as Error).message}`);
      }
    }
  }
}
