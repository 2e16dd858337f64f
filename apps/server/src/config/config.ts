import { availableParallelism, hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

export const serverRoles = ['broker', 'api', 'control', 'ingest', 'lab'] as const;
export type ServerRole = (typeof serverRoles)[number];

/**
 * Under emulation a boot takes ten seconds on an idle machine and minutes on one with other work, and so does what the verifier
 * of a device does in ten seconds. Less than 30 s would give up kernels that are well.
 */
const labTimeoutS = z.coerce.number().int().min(30).max(3_600).default(300);
const port = z.coerce.number().int().min(0).max(65_535);

/** Environment of the server, parsed once at start. Paths are absolute or relative to the working directory. */
const environmentSchema = z.object({
  BPFLEET_ROLES: z
    .string()
    .default('api,control,ingest')
    .transform((text) => text.split(',').map((role) => role.trim()))
    .pipe(z.array(z.enum(serverRoles)).min(1)),
  BPFLEET_DATABASE_URL: z.string().min(1, 'set it to postgresql://user:password@host:port/database'),
  BPFLEET_DATA_DIR: z.string().min(1, 'set it to the folder that keeps keys and caches'),
  BPFLEET_HTTP_HOST: z.string().default('127.0.0.1'),
  BPFLEET_HTTP_PORT: port.default(8480),
  BPFLEET_PUBLIC_URL: z.string().optional(),
  /**
   * Addresses or networks of the reverse proxies in front, comma separated: whom they forward for is believed of them alone.
   * Without it everybody behind a proxy is one address to what bounds strangers.
   */
  BPFLEET_TRUSTED_PROXIES: z
    .string()
    .default('')
    .transform(splitNames)
    .pipe(
      z.array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'name IP addresses or networks like 10.0.0.0/8')),
    ),
  /** Where the server itself reaches the broker. */
  BPFLEET_MQTT_URL: z.string().default('mqtts://127.0.0.1:8883'),
  /** Where devices reach it, if that is another address: told to them at enrolment. */
  BPFLEET_MQTT_PUBLIC_URL: z.string().optional(),
  BPFLEET_MQTT_HOST: z.string().default('127.0.0.1'),
  BPFLEET_MQTT_PORT: port.default(8883),
  /** Used once, when there is no user yet: makes `admin` with this password. */
  BPFLEET_ADMIN_PASSWORD: z.string().min(12).max(256).optional(),
  BPFLEET_WEB_DIR: z.string().optional(),
  /** Further names and addresses for which the broker's certificate is made, comma separated. */
  BPFLEET_TLS_NAMES: z.string().default(''),
  BPFLEET_PROBE_INCLUDE_DIR: z.string().optional(),
  BPFLEET_VERIFIER_MAIN: z.string().optional(),
  /** Where `npm run package` puts the agent's packages. */
  BPFLEET_PACKAGES_DIR: z.string().optional(),
  /** `missing`: a tailored BTF for kernels that show none; `always`: for all, which spares memory while loading. */
  BPFLEET_TAILORED_BTF: z.enum(['missing', 'always']).default('missing'),
  /** Whose probes are loaded (never attached) into this server's own kernel when they are published. */
  BPFLEET_PROVE_ON_HOST: z.enum(['all', 'admins', 'nobody']).default('admins'),
  /** Of the role lab: how many VMs run at once. Each emulates two CPUs. */
  BPFLEET_LAB_MACHINES: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .default(Math.max(1, Math.floor(availableParallelism() / 2))),
  /** Of the role lab: how long a kernel may take to come up, and to say of one release whether it takes it. */
  BPFLEET_LAB_BOOT_TIMEOUT_S: labTimeoutS,
  BPFLEET_LAB_PROVE_TIMEOUT_S: labTimeoutS,
  /** Types that can change what a device does, comma separated: `lsm` programs may refuse what processes ask for. */
  BPFLEET_FURTHER_PROGRAM_TYPES: z
    .string()
    .default('')
    .transform(splitNames)
    .pipe(z.array(z.enum(['lsm', 'fmod_ret']))),
  BPFLEET_RETENTION_DAYS: z.coerce.number().int().min(1).max(3650).default(30),
});

/** Every variable that the server reads: what a deployment sets beside these is a slip of the pen. */
export const environmentNames: readonly string[] = Object.keys(environmentSchema.shape);

export interface ServerConfig {
  readonly roles: readonly ServerRole[];
  readonly databaseUrl: string;
  readonly dataDir: string;
  readonly httpHost: string;
  readonly httpPort: number;
  readonly publicUrl: string;
  readonly trustedProxies: readonly string[];
  readonly mqttUrl: string;
  readonly mqttPublicUrl: string;
  readonly mqttHost: string;
  readonly mqttPort: number;
  readonly adminPassword: string | undefined;
  readonly webDir: string | undefined;
  readonly tlsNames: readonly string[];
  /** Folder with bpfleet.bpf.h. */
  readonly probeIncludeDir: string;
  /** Entry of apps/verifier, run as a process in the prove jail. */
  readonly verifierMain: string;
  /** What `npm run package` made, for devices to fetch. */
  readonly packagesDir: string;
  /** The script that a device runs to install the agent, with places to fill in. */
  readonly installScript: string;
  readonly retentionDays: number;
  readonly tailoredBtf: 'missing' | 'always';
  readonly proveOnHost: 'all' | 'admins' | 'nobody';
  readonly labMachines: number;
  readonly labBootTimeoutMs: number;
  readonly labProveTimeoutMs: number;
  /** Program types that a release may have beyond those that only observe or can be taken off again. */
  readonly furtherProgramTypes: readonly string[];
}

/** Nest injects by class; a frozen value of this class is the configuration. */
export abstract class Config implements ServerConfig {
  abstract readonly roles: readonly ServerRole[];
  abstract readonly databaseUrl: string;
  abstract readonly dataDir: string;
  abstract readonly httpHost: string;
  abstract readonly httpPort: number;
  abstract readonly publicUrl: string;
  abstract readonly trustedProxies: readonly string[];
  abstract readonly mqttUrl: string;
  abstract readonly mqttPublicUrl: string;
  abstract readonly mqttHost: string;
  abstract readonly mqttPort: number;
  abstract readonly adminPassword: string | undefined;
  abstract readonly webDir: string | undefined;
  abstract readonly tlsNames: readonly string[];
  abstract readonly probeIncludeDir: string;
  abstract readonly verifierMain: string;
  abstract readonly packagesDir: string;
  abstract readonly installScript: string;
  abstract readonly retentionDays: number;
  abstract readonly tailoredBtf: 'missing' | 'always';
  abstract readonly proveOnHost: 'all' | 'admins' | 'nobody';
  abstract readonly labMachines: number;
  abstract readonly labBootTimeoutMs: number;
  abstract readonly labProveTimeoutMs: number;
  abstract readonly furtherProgramTypes: readonly string[];
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'CONFIG_INVALID';
}

/** `repositoryDir` is where libs/ and apps/ lie: defaults for the probe headers and the verifier. Throws ConfigError naming the variable. */
export function parseConfig(environment: NodeJS.ProcessEnv, repositoryDir: string): ServerConfig {
  const parsed = environmentSchema.safeParse(environment);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new ConfigError(`${issue?.path.join('.') ?? 'environment'}: ${issue?.message ?? 'invalid'}`);
  }
  const env = parsed.data;
  return Object.freeze({
    roles: env.BPFLEET_ROLES,
    databaseUrl: env.BPFLEET_DATABASE_URL,
    dataDir: env.BPFLEET_DATA_DIR,
    httpHost: env.BPFLEET_HTTP_HOST,
    httpPort: env.BPFLEET_HTTP_PORT,
    publicUrl: env.BPFLEET_PUBLIC_URL ?? `http://${env.BPFLEET_HTTP_HOST}:${env.BPFLEET_HTTP_PORT}`,
    trustedProxies: env.BPFLEET_TRUSTED_PROXIES,
    mqttUrl: env.BPFLEET_MQTT_URL,
    mqttPublicUrl: env.BPFLEET_MQTT_PUBLIC_URL ?? env.BPFLEET_MQTT_URL,
    mqttHost: env.BPFLEET_MQTT_HOST,
    mqttPort: env.BPFLEET_MQTT_PORT,
    adminPassword: env.BPFLEET_ADMIN_PASSWORD,
    webDir: env.BPFLEET_WEB_DIR,
    tlsNames: [...new Set(['localhost', '127.0.0.1', '::1', hostname(), ...splitNames(env.BPFLEET_TLS_NAMES)])],
    probeIncludeDir: env.BPFLEET_PROBE_INCLUDE_DIR ?? join(repositoryDir, 'libs/probes/include'),
    verifierMain: env.BPFLEET_VERIFIER_MAIN ?? join(repositoryDir, 'apps/verifier/dist/main.js'),
    packagesDir: env.BPFLEET_PACKAGES_DIR ?? join(repositoryDir, 'packages'),
    installScript: join(repositoryDir, 'deploy/agent/install.sh'),
    retentionDays: env.BPFLEET_RETENTION_DAYS,
    tailoredBtf: env.BPFLEET_TAILORED_BTF,
    proveOnHost: env.BPFLEET_PROVE_ON_HOST,
    labMachines: env.BPFLEET_LAB_MACHINES,
    labBootTimeoutMs: env.BPFLEET_LAB_BOOT_TIMEOUT_S * 1_000,
    labProveTimeoutMs: env.BPFLEET_LAB_PROVE_TIMEOUT_S * 1_000,
    furtherProgramTypes: env.BPFLEET_FURTHER_PROGRAM_TYPES,
  });
}

function splitNames(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
