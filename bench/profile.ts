/** What a Node process of ours spends its time on, seen through its inspector, which SIGUSR1 wakes. */
import { interrupted, sleep } from './interruption.ts';

const SAMPLE_US = 200;
const AWAKE_MS = 5_000;
const LOOK_AGAIN_MS = 50;
const IDLE = '(idle)';

/** As the inspector has it (Chrome DevTools Protocol, Profiler.Profile); times in microseconds. */
interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** A call with all that it called. */
export interface Frame {
  readonly name: string;
  /** In it and in what it called. */
  totalUs: number;
  /** In it alone. */
  selfUs: number;
  readonly children: Map<string, Frame>;
}

export interface Findings {
  /** All that it did. */
  readonly root: Frame;
  /** It waited. */
  readonly idleUs: number;
}

/** Where the process was from the beginning of `work` to its end. */
export async function profile(
  of: { pid: number; inspectPort: number },
  work: () => Promise<void>,
): Promise<Findings> {
  process.kill(of.pid, 'SIGUSR1');
  using inspector = await Inspector.connect(of.inspectPort);
  await inspector.call('Profiler.enable');
  await inspector.call('Profiler.setSamplingInterval', { interval: SAMPLE_US });
  await inspector.call('Profiler.start');
  await work();
  const answer = (await inspector.call('Profiler.stop')) as { profile: Profile };
  return fold(answer.profile);
}

class Inspector implements Disposable {
  readonly #socket: WebSocket;
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>();
  #next = 1;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const answer = JSON.parse(String(data)) as {
        id?: number;
        result?: unknown;
        error?: { message: string };
      };
      const call = this.#calls.get(answer.id ?? 0);
      if (answer.error) call?.reject(new Error(answer.error.message));
      else call?.resolve(answer.result);
    });
    socket.addEventListener('close', () => {
      for (const call of this.#calls.values()) call.reject(new Error('the profiled process has gone'));
    });
  }

  static async connect(port: number): Promise<Inspector> {
    const socket = new WebSocket(await addressOn(port));
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error('the inspector refuses')));
    });
    return new Inspector(socket);
  }

  call(method: string, params: object = {}): Promise<unknown> {
    const id = this.#next++;
    const call = Promise.withResolvers<unknown>();
    this.#calls.set(id, call);
    this.#socket.send(JSON.stringify({ id, method, params }));
    return call.promise.finally(() => this.#calls.delete(id));
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

async function addressOn(port: number): Promise<string> {
  for (let waitedMs = 0; waitedMs < AWAKE_MS; waitedMs += LOOK_AGAIN_MS) {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/json/list`, { signal: interrupted });
      const [target] = (await answer.json()) as { webSocketDebuggerUrl: string }[];
      if (target) return target.webSocketDebuggerUrl;
    } catch {
      interrupted.throwIfAborted();
    }
    await sleep(LOOK_AGAIN_MS);
  }
  throw new Error(`no inspector on port ${port} after ${AWAKE_MS} ms`);
}

function fold({ nodes, samples, timeDeltas }: Profile): Findings {
  const selfUs = new Map<number, number>();
  for (const [at, id] of samples.entries()) selfUs.set(id, (selfUs.get(id) ?? 0) + (timeDeltas[at] ?? 0));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const root: Frame = { name: 'all', totalUs: 0, selfUs: 0, children: new Map() };
  const walk = (id: number, parent: Frame): number => {
    const node = byId.get(id);
    if (!node) return 0;
    const { functionName, url, lineNumber } = node.callFrame;
    const place = url === '' ? '' : ` ${url.split('/').slice(-2).join('/')}:${lineNumber + 1}`;
    const name = `${functionName || '(anonymous)'}${place}`;
    const frame = parent.children.get(name) ?? { name, totalUs: 0, selfUs: 0, children: new Map() };
    parent.children.set(name, frame);
    const own = selfUs.get(id) ?? 0;
    const total = (node.children ?? []).reduce((sum, child) => sum + walk(child, frame), own);
    frame.selfUs += own;
    frame.totalUs += total;
    return total;
  };
  const [top] = nodes;
  for (const child of top?.children ?? []) root.totalUs += walk(child, root);
  const idle = root.children.get(IDLE);
  root.children.delete(IDLE);
  root.totalUs -= idle?.totalUs ?? 0;
  return { root, idleUs: idle?.totalUs ?? 0 };
}
