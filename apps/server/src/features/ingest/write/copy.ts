import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

/** One COPY inside of the transaction of `client`. @throws the server's error, after which the transaction is aborted */
export function copyInto(client: pg.Client, sql: string, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = client.query(copyFrom(sql));
    // Not `once`: a second error without a listener would end the process.
    stream.on('error', reject);
    stream.once('finish', () => resolve());
    stream.end(bytes);
  });
}
