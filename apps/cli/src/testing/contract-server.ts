import { routes, type LiveEvent, type RouteName, type Routes } from '@bpfleet/api';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { z } from 'zod';

export interface Call<N extends RouteName> {
  body: z.output<Routes[N]['body']>;
  query: z.output<Routes[N]['query']>;
  path: Record<string, string>;
  headers: IncomingMessage['headers'];
}
export type Answers = { [N in RouteName]?: (call: Call<N>) => z.input<Routes[N]['response']> };

/** Thrown by an answer to refuse a call. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details?: Record<string, unknown>,
  ) {
    super(message);
  }
}

/** A server on loopback that holds both sides to the contract: a request or an answer outside it fails the call. */
export class ContractServer {
  readonly calls: { name: RouteName; call: Call<RouteName> }[] = [];
  answers: Answers = {};
  /** Who follows `GET /api/live`. */
  private readonly followers = new Set<ServerResponse>();
  /** Called when somebody begins to follow; throws a Refusal where it is not let. */
  onFollow: () => void = () => undefined;
  private readonly server: Server = createServer((request, response) => void this.handle(request, response));

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  callsOf<N extends RouteName>(name: N): Call<N>[] {
    return this.calls.filter((one) => one.name === name).map((one) => one.call as Call<N>);
  }

  /** Tells all who follow. */
  say(event: LiveEvent): void {
    for (const one of this.followers) one.write(`data: ${JSON.stringify(event)}\n\n`);
  }

  /** As when a proxy restarts. */
  dropFollowers(): void {
    for (const one of this.followers) one.destroy();
  }

  private follow(response: ServerResponse): void {
    this.onFollow();
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': connected\n\n');
    this.followers.add(response);
    response.on('close', () => this.followers.delete(response));
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (request.url === '/api/live') return this.follow(response);
      const { name, value } = await this.answer(request);
      const headers: Record<string, string> = { 'content-type': 'application/json' };
      if (name === 'login') headers['set-cookie'] = 'bpfleet=session1; Path=/; HttpOnly';
      response.writeHead(200, headers).end(JSON.stringify(value));
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(500, 'TEST_CONTRACT', String(error));
      const { status, code, message, details } = refusal;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { code, message, details } }));
    }
  }

  private async answer(request: IncomingMessage): Promise<{ name: RouteName; value: unknown }> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const found = findRoute(request.method ?? '', url.pathname);
    if (!found) throw new Refusal(404, 'ROUTE_UNKNOWN', `${request.method} ${url.pathname}`);
    const { name, path } = found;
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const binary = request.headers['content-type'] === 'application/octet-stream';
    const pairs = Object.fromEntries(url.searchParams);
    const route = routes[name];
    const takesQuery = !route.query.safeParse(undefined).success;
    const call = {
      body: route.body.parse(binary ? bytes : bytes.length > 0 ? JSON.parse(bytes.toString('utf8')) : undefined),
      query: route.query.parse(takesQuery || Object.keys(pairs).length > 0 ? pairs : undefined),
      path,
      headers: request.headers,
    } as Call<RouteName>;
    this.calls.push({ name, call });
    const answer = this.answers[name] as ((call: Call<RouteName>) => unknown) | undefined;
    if (!answer) throw new Refusal(501, 'TEST_NO_ANSWER', `the test has no answer for ${name}`);
    return { name, value: route.response.parse(answer(call)) };
  }
}

function findRoute(method: string, pathname: string): { name: RouteName; path: Record<string, string> } | undefined {
  for (const [name, route] of Object.entries(routes)) {
    const match = new RegExp(`^${route.path.replace(/:([a-z]+)/g, '(?<$1>[^/]+)')}$`).exec(pathname);
    if (!match || route.method !== method) continue;
    const path = Object.entries(match.groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)]);
    return { name: name as RouteName, path: Object.fromEntries(path) as Record<string, string> };
  }
  return undefined;
}
