/** Which operation of a restJson1 service a method and a path mean: each has a URI pattern, `/bots/{botId}/sessions?kind=a`. */
import type { StaticOperationSchema } from '@smithy/types';
import { Failure } from '../failures.ts';
import type { Service } from '../service.ts';
import { normalizedPath, type WireRequest } from '../wire.ts';

interface Route {
  readonly method: string;
  readonly pattern: RegExp;
  readonly labels: readonly string[];
  /** Segments that are no labels: of two patterns that match, the one with more of them is meant. */
  readonly literals: number;
  readonly query: URLSearchParams;
  readonly operation: string;
}

export interface RouteMatch {
  readonly operation: string;
  readonly labels: ReadonlyMap<string, string>;
}

const tables = new WeakMap<Service['operations'], Route[]>();

/** @throws Failure malformed, for a label that is no percent-encoded UTF-8 */
export function findRoute(service: Service, request: WireRequest): RouteMatch | undefined {
  const path = normalizedPath(request.path);
  for (const route of tableOf(service)) {
    if (route.method !== request.method) continue;
    const match = route.pattern.exec(path);
    if (!match || ![...route.query].every(([key, value]) => request.query.get(key) === value)) continue;
    const labels = route.labels.map((label, index) => [label, decodeLabel(label, match[index + 1])] as const);
    return { operation: route.operation, labels: new Map(labels) };
  }
  return undefined;
}

function decodeLabel(label: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new Failure('malformed', `${label} in the path is not percent-encoded UTF-8`, error);
  }
}

function tableOf(service: Service): Route[] {
  let table = tables.get(service.operations);
  if (!table) {
    table = [...service.operations.values()]
      .flatMap((operation) => routeOf(operation) ?? [])
      .sort((a, b) => b.literals - a.literals || b.query.size - a.query.size);
    tables.set(service.operations, table);
  }
  return table;
}

export interface HttpTrait {
  readonly http?: readonly [method: string, uri: string, status: number];
}

function routeOf(operation: StaticOperationSchema): Route | undefined {
  const { http } = operation[3] as HttpTrait;
  if (!http) return undefined;
  const [path, search] = http[1].split('?') as [string, string?];
  const labels: string[] = [];
  const pattern = path
    .replace(/[.*^$()|[\]\\]/g, String.raw`\$&`)
    .replace(/\{(\w+)(\+?)\}/g, (_match, label: string, greedy: string) => {
      labels.push(label);
      return greedy ? '(.+)' : '([^/]+)';
    });
  return {
    method: http[0],
    pattern: new RegExp(`^${pattern}/?$`),
    labels,
    literals: path.split('/').filter((segment) => segment !== '' && !segment.startsWith('{')).length,
    query: new URLSearchParams(search),
    operation: operation[2],
  };
}
