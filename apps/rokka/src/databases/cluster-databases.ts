/** The databases of a cluster on the machine that runs them: their records, the controller, and what both need of the data directory. */
import * as fs from 'node:fs';
import { type CodedError, isCoded, must, systemClock, systemRandom, type VolumeId } from '@rokka/kernel';
import { ArchiveReader } from '@rokka/archive';
import {
  type DatabaseRecord,
  Databases,
  DatabaseSecrets,
  type DatabaseSource,
  isPortFree,
  MAIN,
  RegistrySecrets,
  Snapshots,
  StateCopies,
} from '@rokka/databases';
import type { Registry } from '@rokka/registry';
import { unixNetwork } from '@rokka/transport';
import {
  deletedVolumes,
  type DeletionOutcome,
  Volume,
  type VolumeBase,
  type VolumeRecord,
} from '@rokka/volume';
import type { Arguments } from '../arguments.ts';
import { launchChild } from '../child.ts';
import { drawPlaces, listNodes, makeVolume } from '../cluster.ts';
import { type DataDirectory, dataPaths, readIdentity } from '../data-directory.ts';
import { Fleet } from '../fleet.ts';
import type { HeldPlace } from '../head-place.ts';
import { clusterNetwork } from '../machines/cluster-network.ts';
import type { PlacedHeadOptions } from '../machines/heads/head-orders.ts';
import type { PlacedHeads } from '../machines/heads/placed-heads.ts';
import type { HeadProcessOptions } from '../processes/head-process.ts';
import { hasShim, kernelResends } from '../processes/legacy-fds.ts';
import { readArchiveEnd, removeArchiveEnd } from './archive-end.ts';
import { ArchiveKeeper } from './archive-keeper.ts';
import { archiveStore, hasArchive } from './archive-store.ts';
import { DatabaseController } from './controller.ts';
import { headChild, headCommand } from './head-child.ts';
import { NEXT_HEAD_NAME, NextHead } from './next-head.ts';
import { mountPointOf } from './volume-mounts.ts';

const MIB = 2 ** 20;
/** Of a database that is not main. */
const CACHE_MIB = 128;
/** Of a volume without a server: the kernel caches its files, too. */
const FILES_CACHE_MIB = 64;
/** PostgreSQL takes a quarter of it for its own cache. Main sizes itself by the machine's. */
const MEMORY_BYTES = 512 * MIB;
/** For nodes that are away while a volume is deleted. The tombstone waits for those that come later. */
const DROP_MS = 5_000;

export interface ClusterDatabasesOptions {
  data: DataDirectory;
  args: Arguments;
  registry: Registry;
  /** How heads reach nodes of other machines; known when the nodes run. */
  headAccess(): HeadProcessOptions['remote'];
  /** Heads of volumes that are placed on joined machines. */
  placed: PlacedHeads;
  /** Where several machines may run the databases: what this one does it does while it holds the place. */
  place?: HeldPlace;
  onMainFinal(error: CodedError): void;
  onProgress(text: string): void;
  onLog(level: 'info' | 'warn' | 'error', text: string): void;
}

interface Records {
  directory: string;
  registry: Registry;
  onChanged?(): void;
}

export function openDatabases(of: Records): Databases {
  return new Databases({
    registry: of.registry,
    secrets: openSecrets(of),
    clock: systemClock,
    random: systemRandom,
    moves: move(of.directory),
    isPortFree: (port) => isPortFree({ address: '127.0.0.1', port, clock: systemClock }),
    ...(of.onChanged && { onChanged: of.onChanged }),
  });
}

export function openSnapshots(of: Records): Snapshots {
  const identity = readIdentity(of.directory);
  return new Snapshots({
    registry: of.registry,
    secrets: openSecrets(of),
    clock: systemClock,
    random: systemRandom,
    noBucket: identity !== undefined && !hasArchive(identity),
    ...(of.onChanged && { onChanged: of.onChanged }),
  });
}

/** Where databases move between machines, so do their passwords. */
export function openSecrets({ directory, registry }: Records): DatabaseSecrets {
  const files = dataPaths.secrets(directory);
  return new DatabaseSecrets(move(directory) ? new RegistrySecrets({ registry, directory: files }) : files);
}

/** Whether databases move between machines: none of those has the registry. */
const move = (directory: string) => readIdentity(directory)?.registry !== undefined;

/** Lets go of what nobody may ask for any more. */
export function openKeeper(databases: Databases, of: ClusterDatabasesOptions): ArchiveKeeper {
  const { data, registry, onLog } = of;
  const snapshots = openSnapshots({ directory: data.path, registry });
  return new ArchiveKeeper({
    store: archiveStore(data.path),
    clock: systemClock,
    databases: () => databases.list(),
    snapshots: () => snapshots.list(),
    volumes: async () => (await registry.list<VolumeRecord>('volumes/')).map(({ value }) => value),
    log: onLog,
  });
}

export function openController(databases: Databases, of: ClusterDatabasesOptions): DatabaseController {
  const { data, registry, onLog, onProgress, onMainFinal } = of;
  let launched: HeadProcessOptions | undefined;
  const nextHead = new NextHead({
    clock: systemClock,
    launch: () => launchChild({ command: () => headCommand(must(launched)) }),
  });
  return new DatabaseController({
    databases,
    nextHead,
    secrets: openSecrets({ directory: data.path, registry }),
    clock: systemClock,
    random: systemRandom,
    makeHead: ({ record, handedOver, resetPassword, onReady, onLost, onFinal, onProgress: onStep }) => {
      const isMain = record.name === MAIN;
      const isNative = record.engine === 'native';
      const machine = record.files?.machine;
      if (machine !== undefined) {
        const { name, generation } = record;
        const options = placedHeadOptions(record, of);
        return of.placed.head({
          machine,
          name,
          generation,
          options,
          onReady,
          onLost,
          onFinal,
          onProgress: onStep,
        });
      }
      return headChild({
        options: () => ({
          ...headOptions(record, of),
          ...(resetPassword() && { resetPassword: true }),
          spareHead: isMain,
        }),
        name: isMain ? 'head' : `head of database ${record.name}`,
        mount: mountOf(data.cluster, record),
        // One for each would cost more memory than most databases here. A shim has one of its own, for its head.
        spare: (isMain && !hasOwnSpare(record)) || (record.standbys ?? 0) > 0,
        handedOver: isNative ? nextHead.after(handedOver) : handedOver,
        onReady: (detail) => {
          onReady(detail);
          if (!isNative) return;
          launched = { ...headOptions(record, of), name: NEXT_HEAD_NAME };
          nextHead.prepareSoon();
        },
        onLost,
        onFinal,
        onProgress: isMain ? onProgress : onStep,
        onLog: (level, text) => onLog(level, isMain ? text : `database ${record.name}: ${text}`),
      });
    },
    makeVolume: (record) => volumeFor(record, of),
    dropVolume: (volumeId, signal) => dropVolume(volumeId, { ...of, signal }),
    halfDropped: () => deletedVolumes(registry),
    snapshots: openSnapshots({ directory: data.path, registry }),
    copies: new StateCopies({ registry }),
    endOf: (volume) => readArchiveEnd(registry, volume),
    removeSockets: ({ port }) => removeSockets(data.path, port, of.args.port),
    onMainFinal,
    onLog,
  });
}

/** Its shim has one, which can take over. */
function hasOwnSpare({ engine }: DatabaseRecord): boolean {
  return hasShim({ engine, mounted: false }) && kernelResends();
}

/** Undefined where it mounts nowhere that others look. */
function mountOf(
  cluster: string,
  { name, files }: DatabaseRecord,
): { volume: string; at: string } | undefined {
  return files?.mount === undefined ? undefined : { volume: name, at: mountPointOf(cluster, files.mount) };
}

/** What a head is told of its database. */
export function headOptions(
  record: DatabaseRecord,
  { data, args, headAccess, place }: Pick<ClusterDatabasesOptions, 'data' | 'args' | 'headAccess' | 'place'>,
): HeadProcessOptions {
  const { name, volumeId, engine, databaseName, userName, source, settings, files } = record;
  const remote = headAccess();
  const mount = mountOf(data.cluster, record);
  const own =
    name === MAIN
      ? { port: args.port, cacheBytes: args.cacheMiB * MIB, settings: { ...settings, ...args.settings } }
      : {
          port: record.port,
          cacheBytes: (record.cacheMiB ?? (files ? FILES_CACHE_MIB : CACHE_MIB)) * MIB,
          settings,
          memoryBytes: MEMORY_BYTES,
        };
  return {
    directory: data.path,
    cluster: data.cluster,
    name,
    volumeId,
    engine,
    databaseName,
    userName,
    ...own,
    archives: record.retentionDays > 0 && hasArchive(data.identity),
    ...(source && { source }),
    ...(files && {
      files: {
        sizeBytes: files.sizeBytes,
        ...(mount && { mountPoint: mount.at }),
        ...(files.stateCopy !== undefined && { copiesState: true }),
      },
    }),
    ...(args.postgres === undefined ? {} : { postgres: args.postgres }),
    ...(remote && { remote }),
    ...(data.identity.joined && { machine: data.identity.joined.id }),
    ...(place && { place }),
  };
}

/** The same where the head runs on another machine, which adds what is its own. */
function placedHeadOptions(record: DatabaseRecord, of: ClusterDatabasesOptions): PlacedHeadOptions {
  const own = headOptions(record, of);
  const { directory: _, remote: __, machine: ___, postgres: ____, place: _____, ...options } = own;
  return options;
}

/** @throws ARCHIVE_EMPTY, ARCHIVE_NOT_YET and others where it is to be restored, what the registry throws */
async function volumeFor(
  { volumeId, name, source }: DatabaseRecord,
  of: Pick<ClusterDatabasesOptions, 'registry' | 'data'>,
): Promise<void> {
  const { registry, data } = of;
  const places = drawPlaces(await listNodes(registry), systemRandom);
  try {
    await makeVolume(registry, {
      volumeId,
      name,
      places,
      ...(source && { base: await baseOf(source, data) }),
    });
  } catch (error) {
    // Made before a crash, or at an earlier start.
    if (!isCoded(error, 'VOLUME_EXISTS')) throw error;
  }
}

/** What a volume begins with that is restored from a point of an archive. */
async function baseOf({ archive, lsn }: DatabaseSource, data: DataDirectory): Promise<VolumeBase> {
  const reader = await ArchiveReader.open(archiveStore(data.path), { volume: archive, lsn });
  return { volume: archive, lsn, pages: reader.pageCount };
}

async function dropVolume(
  volumeId: VolumeId,
  of: Pick<ClusterDatabasesOptions, 'data' | 'registry' | 'headAccess' | 'onLog'> & { signal: AbortSignal },
): Promise<DeletionOutcome> {
  const { data, registry, headAccess, onLog, signal } = of;
  await removeArchiveEnd(registry, volumeId);
  await using resources = new AsyncDisposableStack();
  const fleet = resources.use(
    await Fleet.open(registry, { clock: systemClock, machine: data.identity.joined?.id }),
  );
  const remote = headAccess();
  const tls =
    remote &&
    resources.use(
      (await import('../machines/member-tls.ts')).MemberTls.open({
        file: remote.certificate,
        desk: remote.desk,
        log: onLog,
      }),
    );
  return await Volume.delete({
    volumeId,
    cluster: data.cluster,
    registry,
    network: clusterNetwork({
      socketDirectory: dataPaths.sockets(data.path),
      unix: unixNetwork({ clock: systemClock }),
      tls: tls?.network,
      whereIs: (node) => fleet.whereIs(node),
    }),
    addressOf: (node) => fleet.addressOf(node),
    isKept: (node) => fleet.keeps(node),
    clock: systemClock,
    random: systemRandom,
    signal,
    timeoutMs: DROP_MS,
  });
}

/** A server that was killed leaves its socket. @param mainPort whose socket it may be instead */
function removeSockets(directory: string, port: number, mainPort: number): void {
  if (port === mainPort) return;
  const socket = `${dataPaths.postgresSockets(directory)}/.s.PGSQL.${port}`;
  for (const file of [socket, `${socket}.lock`]) fs.rmSync(file, { force: true });
}
