import { startEmbeddedBroker } from '@bpfleet/embedded';
import type { EmbeddedBroker, EmbeddedBrokerOptions } from '@bpfleet/embedded';
import type { TestCa } from './certificates.js';

/** The embedded broker on a free port, with a listener certificate of the given authority. */
export async function startTestBroker(
  ca: TestCa,
  options: Partial<Omit<EmbeddedBrokerOptions, 'tls'>> & { readonly crl?: string } = {},
): Promise<EmbeddedBroker> {
  const { cert, key } = await ca.issueServer();
  const { crl, ...rest } = options;
  return startEmbeddedBroker({
    port: 0,
    ...rest,
    tls: { ca: ca.ca, cert, key, ...(crl === undefined ? {} : { crl }) },
  });
}
