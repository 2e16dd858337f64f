import { z } from 'zod';
import { normalNameId } from '../../telemetry/index.js';
import { cleanText } from './clean-text.js';
import { BatchRefused, type BatchContext } from './batch-context.js';

const namesSchema = z
  .array(
    z.object({
      kind: z.string().regex(/^[a-z][a-z0-9_]{0,31}$/),
      id: z.string().min(1).max(64),
      name: z.string().max(512),
    }),
  )
  .max(65_536);

/** The device's dictionary: (kind, id, name) for what only it can resolve. */
export function storeNames({ run, boot, rows }: BatchContext, sections: readonly Uint8Array[]): void {
  const parsed = namesSchema.safeParse(readJson(sections[0] ?? new Uint8Array()));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new BatchRefused('body_malformed', `names: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  for (const { kind, id, name } of parsed.data) {
    rows.names.push({
      device: run.device,
      boot,
      kind,
      id: normalNameId(kind, cleanText(id)),
      name: cleanText(name),
    });
  }
}

function readJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new BatchRefused('body_malformed', 'names are not JSON');
  }
}
