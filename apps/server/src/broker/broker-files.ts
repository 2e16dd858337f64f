import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfig } from '../config/config.js';
import { ServerKeys } from '../platform/keys/server-keys.js';

/**
 * Writes what a broker of its own (Mosquitto, EMQX) needs to stand in for the embedded one: the authority, a certificate
 * for BPFLEET_TLS_NAMES, and its key. Usage: node broker-files.js FOLDER, with the server's BPFLEET_DATA_DIR.
 */
async function main(): Promise<void> {
  const folder = process.argv[2];
  if (!folder) throw new Error('name the folder to write ca.pem, broker.pem and broker.key into');
  const config = parseConfig({ BPFLEET_DATABASE_URL: 'unused', ...process.env }, process.cwd());
  const keys = await ServerKeys.open(config.dataDir);
  const own = await keys.issueServerCertificate(config.tlsNames);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  writeFileSync(join(folder, 'ca.pem'), keys.caPem, { mode: 0o644 });
  writeFileSync(join(folder, 'broker.pem'), own.certPem, { mode: 0o644 });
  writeFileSync(join(folder, 'broker.key'), own.keyPem, { mode: 0o600 });
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
