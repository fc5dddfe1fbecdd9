/**
 * The head: the process that holds a database. It writes the volume, keeps the filesystem on it and runs the engine. If any
 * part of it fails, all of it ends, and whoever started it starts it anew: what was not durable must not go on. PostgreSQL, and the
 * mount that it stands on, are another process's (shim-process.ts): where a head is killed from outside, they outlive it.
 */
import {
  CodedError,
  Deferred,
  must,
  systemClock,
  systemRandom,
  unreachable,
  type VolumeId,
} from '@rokka/kernel';
import type { ObjectStore } from '@rokka/archive';
import type { DatabaseEngine, DatabaseSource } from '@rokka/databases';
import type { Registry } from '@rokka/registry';
import { unixNetwork } from '@rokka/transport';
import { Volume } from '@rokka/volume';
import { openClusterRegistry } from '../cluster-registry.ts';
import { dataPaths } from '../data-directory.ts';
import { archiveStore } from '../databases/archive-store.ts';
import { writeArchiveEnd } from '../databases/archive-end.ts';
import { Fleet } from '../fleet.ts';
import { demandPlace, type HeldPlace } from '../head-place.ts';
import { clusterNetwork } from '../machines/cluster-network.ts';
import type { MemberTls } from '../machines/member-tls.ts';
import { Archiving } from './archiving.ts';
import { runChild, type ParentChannel } from './channel.ts';
import { ConsistentCut } from './consistent-cut.ts';
import type { Duties, Engine, EngineStart, FilesWish } from './engine.ts';
import { finalityOfHead } from './finality.ts';
import { hasShim, headLegacy } from './legacy-fds.ts';
import type { RemoteAccess } from './node-process.ts';
import { StartSteps } from './start-steps.ts';

export interface HeadProcessOptions {
  directory: string;
  cluster: string;
  /** Of the database. */
  name: string;
  volumeId: VolumeId;
  engine: DatabaseEngine;
  port: number;
  cacheBytes: number;
  postgres?: string;
  settings: Record<string, string>;
  /** Its log goes to the cluster's archive. */
  archives?: boolean;
  databaseName: string;
  userName: string;
  /** The server has a password that nobody knows: it gets that of the secret file. */
  resetPassword?: boolean;
  /** From which PostgreSQL's own cache is sized; the machine's unless given. */
  memoryBytes?: number;
  /** With the engine `files`. */
  files?: FilesWish;
  /** The backup that it began with. */
  source?: DatabaseSource;
  /** This machine, as the records of its nodes name it; absent on the one that made the cluster. */
  machine?: string;
  /** Registry and archive are another machine's, and reached by its desk. */
  byDesk?: boolean;
  /** Absent while the cluster is on one machine. */
  remote?: Pick<RemoteAccess, 'certificate' | 'desk'>;
  /** Held by our supervisor where several machines may run the database (head-place.ts). */
  place?: HeldPlace;
  /** Of a shim: whether another head waits, its code loaded, to take over: 35 MB for a third of a second of clients' time. */
  spareHead?: boolean;
  /** Absolute, of the mount that goes on: the head before this one was killed. */
  takesOver?: { mountPoint: string };
}

/** Of a spare perhaps long ago: what counts is what it is told when it begins. The engine stays the same. */
const launched = JSON.parse(process.argv[2] ?? '{}') as HeadProcessOptions;

await runChild({
  finality: finalityOfHead,
  work: runHead,
});

async function runHead(channel: ParentChannel) {
  const engineCode = loadEngine();
  // Of a spare, too: what it needs later is there then, and of the same version.
  if (launched.remote) await import('../machines/member-tls.ts');
  const { waited, argument } = await channel.begun;
  const options = argument as HeadProcessOptions;
  // The clock began with the process. Of one that has waited nobody waited for the code.
  const steps = new StartSteps(systemClock, waited ? systemClock.nowMs() : 0);
  steps.done('code');
  const resources = new AsyncDisposableStack();
  try {
    const failed = new Deferred<never>();
    // Whatever fails ends the process at once: nobody may be told of anything that is not durable.
    failed.promise.catch((error: unknown) => {
      throw error;
    });
    const opening = new AbortController();
    void channel.stopped.then(() => opening.abort(new CodedError('ROKKA_STOPPED', 'told to stop')));
    const progress = (text: string) => channel.send({ kind: 'progress', text });
    const tls =
      options.remote &&
      resources.use(
        (await import('../machines/member-tls.ts')).MemberTls.open({
          file: options.remote.certificate,
          desk: options.remote.desk,
          log: (level, text) => channel.send({ kind: 'log', level, text }),
        }),
      );
    const desk = options.byDesk ? await openDesk(options, tls) : undefined;
    const registry = resources.use(desk?.registry ?? (await openClusterRegistry(options.directory)));
    // Opening the volume takes it from whoever has it: only who holds the place may do so, at every start anew.
    if (options.place) await demandPlace(registry, options.place);
    const fleet = resources.use(await Fleet.open(registry, { clock: systemClock, machine: options.machine }));
    progress('opening the volume');
    const archiving = new Archiving({
      store: desk?.store ?? archiveStore(options.directory),
      archives: options.archives ?? false,
      adopts: options.source?.materialise ?? false,
      clock: systemClock,
      onEnd: (lsn) =>
        writeArchiveEnd(registry, options.volumeId, { volumeEpoch: volume.tap.volumeEpoch, lsn }),
      log: (level, text) => channel.send({ kind: 'log', level, text }),
    });
    const mounted = options.files?.mountPoint !== undefined;
    const legacy = hasShim({ engine: options.engine, mounted }) ? headLegacy() : undefined;
    const volume: Volume = resources.use(
      await Volume.open({
        ...(legacy && { ramLog: legacy.ramLog }),
        takesOver: options.takesOver !== undefined,
        volumeId: options.volumeId,
        cluster: options.cluster,
        registry,
        network: clusterNetwork({
          socketDirectory: dataPaths.sockets(options.directory),
          unix: unixNetwork({ clock: systemClock }),
          tls: tls?.network,
          whereIs: (node) => fleet.whereIs(node),
        }),
        addressOf: (node) => fleet.addressOf(node),
        fleet: () => fleet.nodes(),
        log: (text) => channel.send({ kind: 'log', level: 'warn', text }),
        clock: systemClock,
        random: systemRandom,
        signal: opening.signal,
        onProgress: progress,
        openBase: (base) => archiving.openBase(base),
        holdsLog: options.archives ?? false,
        crowded: !options.remote,
        onFailed: (error) => failed.reject(error),
      }),
    );
    // Ends before the volume does, and after the engine: its last writes are archived, too.
    resources.use(archiving);
    archiving.begin(volume);
    steps.done('volume');
    const start: EngineStart = {
      ...options,
      ...(legacy && { legacy }),
      volume,
      clock: systemClock,
      random: systemRandom,
      signal: opening.signal,
      steps,
      progress,
      log: (level, text) => channel.send({ kind: 'log', level, text }),
      fail: (error) => failed.reject(error),
    };
    const startEngine = await engineCode;
    const engine = resources.use(await startEngine(start));
    channel.send({ kind: 'log', level: 'info', text: `head ready after ${steps.describe()}` });
    return {
      detail: engine.detail,
      duties: {
        ...engine.duties,
        ...(options.archives &&
          dutiesOfArchive({ archiving, engine, volume, signal: opening.signal, resources })),
      },
      status: () => ({
        ...volume.status(),
        engine: engine.status(),
        archive: archiving.describe(),
        memoryBytes: process.memoryUsage().rss,
      }),
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

/** Where both are another machine's. */
async function openDesk(
  { remote }: HeadProcessOptions,
  tls: MemberTls | undefined,
): Promise<{ registry: Registry; store: ObjectStore }> {
  const { DeskCaller, deskRegistry, deskStore } = await import('../machines/heads/desk-caller.ts');
  const caller = new DeskCaller({ network: must(tls).network, desk: must(remote).desk, clock: systemClock });
  return { registry: deskRegistry(caller), store: deskStore(caller) };
}

/** Snapshots: of this volume alone, or of several at one moment. */
function dutiesOfArchive(of: {
  archiving: Archiving;
  engine: Engine;
  volume: Volume;
  signal: AbortSignal;
  resources: AsyncDisposableStack;
}): Duties {
  const { archiving, engine, volume, signal, resources } = of;
  const archive = async () => ({ lsn: await archiving.flush(signal) });
  if (!engine.gate) return { archive };
  const cut = resources.use(
    new ConsistentCut({
      clock: systemClock,
      gate: engine.gate,
      point: () => volume.tap.applied,
      archive: async (lsn) => {
        await volume.whenDurable(volume.applied);
        return archiving.flush(signal, lsn);
      },
    }),
  );
  return { archive, ...cut.duties };
}

/** Only the engine that is used is loaded: PGlite brings a WebAssembly module along. */
async function loadEngine(): Promise<(start: EngineStart) => Promise<Engine>> {
  switch (launched.engine) {
    case 'native':
      return (await import('./native-files.ts')).startNativeFiles;
    case 'pglite':
      return (await import('./pglite-engine.ts')).startPgliteEngine;
    case 'files':
      return (await import('./files-engine.ts')).startFilesEngine;
    default:
      return unreachable(launched.engine);
  }
}
