import { digestOf } from '@bpfleet/trust';
import type { BodyOf } from '../../../http/route.js';

/** One digest over everything that was uploaded, whatever its order: the same upload twice is the same release. */
export function contentDigest(body: BodyOf<'publish'>): string {
  const sources = body.sources.map(({ name, text }) => ['source', name, digestOf(Buffer.from(text))]);
  const objects = body.objects.map(({ arch, base64 }) => ['object', arch, digestOf(Buffer.from(base64, 'base64'))]);
  const parts = [...sources, ...objects].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  return digestOf(Buffer.from(JSON.stringify([body.manifest, parts])));
}
