import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  digestOf,
  generateSigningKey,
  peekDocument,
  signDocument,
  signingKeyFromPem,
  writeFileAtomic,
  type RootDocument,
  type SigningKey,
} from '@bpfleet/trust';
import { Authority, createAuthority, type KeyAndCertificate } from './authority.js';

const signingRoles = ['root', 'release', 'director', 'btf', 'agent'] as const;
type SigningRole = (typeof signingRoles)[number];

/**
 * The server's keys. On one machine they are all made here at first start: this protects the fleet against a stolen
 * broker, not against a stolen server (docs/adr/0003); keys from elsewhere would replace them by a root rotation.
 */
export class ServerKeys {
  private constructor(
    readonly root: { readonly document: RootDocument; readonly envelope: Buffer; readonly digest: string },
    private readonly signing: Readonly<Record<SigningRole, SigningKey>>,
    private readonly authority: Authority,
    readonly caPem: string,
  ) {}

  get director(): SigningKey {
    return this.signing.director;
  }

  get release(): readonly SigningKey[] {
    return [this.signing.release];
  }

  get btf(): SigningKey {
    return this.signing.btf;
  }

  issueDeviceCertificate(csrPem: string, deviceId: string, now: Date) {
    return this.authority.issueDevice(csrPem, deviceId, now);
  }

  issueServerCertificate(names: readonly string[]): Promise<KeyAndCertificate> {
    return this.authority.issueServer(names);
  }

  /** Opens `<dataDir>/keys`, making it at first start. Processes may start at once: the first rename wins, the others open what it made. */
  static async open(dataDir: string): Promise<ServerKeys> {
    const folder = join(dataDir, 'keys');
    if (!existsSync(folder)) await createFolder(dataDir, folder);
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
    const signing = Object.fromEntries(
      signingRoles.map((role) => [role, signingKeyFromPem(read(`${role}.pem`))]),
    ) as Record<SigningRole, SigningKey>;
    const envelope = readFileSync(join(folder, 'root.1.json'));
    const root = { document: peekDocument('root', envelope), envelope, digest: digestOf(envelope) };
    const certPem = read('ca.cert.pem');
    const authority = await Authority.open({ keyPem: read('ca.key.pem'), certPem });
    return new ServerKeys(root, signing, authority, certPem);
  }
}

async function createFolder(dataDir: string, folder: string): Promise<void> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  // Not named by the process: in containers that share a volume, each has the same number.
  const temporary = mkdtempSync(join(dataDir, 'keys.new-'));
  const keys = Object.fromEntries(signingRoles.map((role) => [role, generateSigningKey()])) as Record<
    SigningRole,
    SigningKey
  >;
  const authority = await createAuthority();
  for (const role of signingRoles) writeFileAtomic(join(temporary, `${role}.pem`), Buffer.from(keys[role].exportPem()));
  writeFileAtomic(join(temporary, 'ca.key.pem'), Buffer.from(authority.keyPem));
  writeFileAtomic(join(temporary, 'ca.cert.pem'), Buffer.from(authority.certPem));
  writeFileAtomic(
    join(temporary, 'root.1.json'),
    signDocument('root', firstRoot(keys, authority.certPem), [keys.root]),
  );
  try {
    renameSync(temporary, folder);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
}

function firstRoot(keys: Record<SigningRole, SigningKey>, caPem: string): RootDocument {
  const role = (name: SigningRole) => ({ keyids: [keys[name].keyid], threshold: 1 });
  return {
    type: 'root',
    version: 1,
    keys: signingRoles.map((name) => ({ keyid: keys[name].keyid, spki: keys[name].spki })),
    roles: { root: role('root'), director: role('director'), btf: role('btf'), agent: role('agent') },
    release: [{ probes: '*', role: role('release') }],
    caBundle: [caPem],
    people: [],
  };
}
