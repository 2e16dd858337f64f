import type { z } from 'zod';
import { ApiError, errorBodySchema } from './error.js';
import { routes, type RouteName, type Routes } from './routes.js';

type Defined<K extends string, T> = [T] extends [undefined] ? { [P in K]?: undefined } : { [P in K]: T };
type QueryArgument<T> = [T] extends [undefined] ? { query?: undefined } : { query?: T };

/** Arguments of a call: path parameters by name, the query, the body. */
export type CallArguments<N extends RouteName> = { path?: Record<string, string> } & QueryArgument<
  z.input<Routes[N]['query']>
> &
  Defined<'body', z.input<Routes[N]['body']>>;
export type CallResult<N extends RouteName> = z.output<Routes[N]['response']>;

export interface ClientOptions {
  /** `https://host:port`; empty in a browser on the same origin. */
  baseUrl: string;
  /** API token or session, sent as `Authorization: Bearer`; a browser relies on its cookie instead. */
  token?: string;
  fetch?: typeof fetch;
  timeoutMs?: number;
}

export interface ApiClient {
  call<N extends RouteName>(name: N, args: CallArguments<N>): Promise<CallResult<N>>;
}

/** Typed calls over `fetch`. Rejects with ApiError: the server's code and sentence, `API_UNREACHABLE`, or `API_CONTRACT`. */
export function createClient(options: ClientOptions): ApiClient {
  const doFetch = options.fetch ?? fetch;
  return {
    async call(name, args) {
      const { method, path, response } = routes[name];
      const url = options.baseUrl + fillPath(path, args.path ?? {}) + queryText(args.query);
      const result = await send(doFetch, url, method, args.body, options);
      const body = await readJson(result);
      if (!result.ok) throw errorOf(result.status, body);
      const parsed = response.safeParse(body);
      if (!parsed.success) {
        throw new ApiError(
          result.status,
          'API_CONTRACT',
          `${method} ${path} answered something else than the contract says`,
          {
            issues: parsed.error.issues,
          },
        );
      }
      return parsed.data as CallResult<typeof name>;
    },
  };
}

async function send(
  doFetch: typeof fetch,
  url: string,
  method: string,
  body: unknown,
  options: ClientOptions,
): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json' };
  const binary = body instanceof Uint8Array;
  if (body !== undefined) headers['content-type'] = binary ? 'application/octet-stream' : 'application/json';
  if (options.token) headers.authorization = `Bearer ${options.token}`;
  try {
    return await doFetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : binary ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body),
      signal: AbortSignal.timeout(options.timeoutMs ?? 120_000),
    });
  } catch (error) {
    // fetch itself says "fetch failed"; what failed is one deeper.
    const { message, cause } = error as Error & { readonly cause?: { readonly message?: string } };
    throw new ApiError(
      0,
      'API_UNREACHABLE',
      `${options.baseUrl || 'the server'} does not answer: ${cause?.message || message}`,
    );
  }
}

async function readJson(response: Response): Promise<unknown> {
  const text = await response.text();
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(
      response.status,
      'API_CONTRACT',
      `the answer (HTTP ${response.status}) is not JSON: is this a bpfleet server?`,
    );
  }
}

function errorOf(status: number, body: unknown): ApiError {
  const parsed = errorBodySchema.safeParse(body);
  if (!parsed.success) return new ApiError(status, 'API_CONTRACT', `HTTP ${status} without an error body`);
  const { code, message, details } = parsed.data.error;
  return new ApiError(status, code, message, details ?? {});
}

function fillPath(path: string, values: Record<string, string>): string {
  return path.replace(/:([a-z]+)/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new ApiError(0, 'API_CONTRACT', `the path parameter ${name} of ${path} is missing`);
    return encodeURIComponent(value);
  });
}

function queryText(query: unknown): string {
  const pairs = Object.entries((query ?? {}) as Record<string, unknown>).filter(([, value]) => value !== undefined);
  return pairs.length === 0
    ? ''
    : `?${new URLSearchParams(pairs.map(([key, value]): [string, string] => [key, String(value)]))}`;
}
