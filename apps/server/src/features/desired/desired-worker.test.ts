import { expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { FixedClock } from '../../platform/clock.js';
import type { ControlSql } from '../../platform/sql/control-sql.js';
import { DesiredWorker } from './desired-worker.js';
import type { DesiredWriter } from './desired-writer.js';
import type { WorkSignal } from './queue/index.js';

const START = new Date('2026-03-01T12:00:00.000Z');

/** One device that is due, and a writer that fails as often as it is told to. */
function worker(failing: { times: number }) {
  const clock = new FixedClock(START);
  let dueAt = START;
  const query = (text: string, values: unknown[]) => {
    if (text.startsWith('UPDATE')) dueAt = values[1] as Date;
    const rows = text.startsWith('SELECT') && dueAt <= (values[0] as Date) ? [{ id: 'd1' }] : [];
    return Promise.resolve({ rows });
  };
  const refresh = () => {
    failing.times -= 1;
    return failing.times >= 0 ? Promise.reject(new Error('deadlock detected')) : Promise.resolve(undefined);
  };
  const made = new DesiredWorker(
    { pool: { query } } as unknown as ControlSql,
    clock,
    { refresh } as unknown as DesiredWriter,
    {} as WorkSignal,
  );
  const putOffSeconds = async (): Promise<number> => {
    dueAt = clock.now();
    await made.refreshDue();
    return (dueAt.getTime() - clock.now().getTime()) / 1000;
  };
  return { putOffSeconds };
}

it('tries a device that failed once at once again, one that keeps failing once in a minute, and forgets what is over', async () => {
  jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
  const failing = { times: 8 };
  const { putOffSeconds } = worker(failing);
  const waits = [];
  for (let round = 0; round < 9; round++) waits.push(await putOffSeconds());
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 0]);
  failing.times = 1;
  expect(await putOffSeconds()).toBe(1);
});
