import { applyDecorators, Body, Delete, Get, HttpCode, Patch, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiResponse } from '@nestjs/swagger';
import { routes, type RouteName, type Routes } from '@bpfleet/api';
import type { z } from 'zod';

const methods = { GET: Get, POST: Post, PATCH: Patch, DELETE: Delete };

/** Binds a handler to a route of the contract (libs/api): method, path, and the response's schema for OpenAPI. */
export function Route(name: RouteName): MethodDecorator {
  const { method, path, response } = routes[name];
  return applyDecorators(
    methods[method](path),
    HttpCode(200),
    ApiOperation({ operationId: name }),
    ApiResponse({ status: 200, description: name, standardSchema: response as never }),
  );
}

/** The body, validated and defaulted by the contract's schema (Standard Schema; see http/validation.pipe). */
export function RouteBody(name: RouteName): ParameterDecorator {
  return Body({ schema: routes[name].body as z.ZodType });
}

export function RouteQuery(name: RouteName): ParameterDecorator {
  return Query({ schema: routes[name].query as z.ZodType });
}

export type BodyOf<N extends RouteName> = z.output<Routes[N]['body']>;
export type QueryOf<N extends RouteName> = z.output<Routes[N]['query']>;
export type ResponseOf<N extends RouteName> = z.input<Routes[N]['response']>;
