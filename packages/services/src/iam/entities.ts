/** Documents of the registry, with IAM's exceptions where they are missing or in the way. */
import { type EntityKind, entityKey, entityPrefix, type InstanceProfileDocument } from './documents.ts';
import type { GroupDocument, PolicyDocument, RoleDocument, UserDocument } from './documents.ts';
import type { IamContext } from './iam-context.ts';
import { iamFailures } from './iam-failures.ts';

export interface EntityDocuments {
  users: UserDocument;
  groups: GroupDocument;
  roles: RoleDocument;
  policies: PolicyDocument;
  'instance-profiles': InstanceProfileDocument;
}

type Stored = Pick<IamContext, 'store'>;

/** As it is now. @throws NoSuchEntityException */
export async function loadEntity<K extends EntityKind>(
  { store }: Stored,
  kind: K,
  name: string,
): Promise<EntityDocuments[K]> {
  const found = await store.fresh<EntityDocuments[K]>(entityKey(store.account, kind, name));
  if (!found) throw iamFailures.noSuchEntity(kind, name);
  return found.value;
}

/** @throws EntityAlreadyExistsException */
export async function createEntity<K extends EntityKind>(
  { store }: Stored,
  kind: K,
  document: EntityDocuments[K],
): Promise<EntityDocuments[K]> {
  return store.update<EntityDocuments[K], EntityDocuments[K]>(
    entityKey(store.account, kind, document.name),
    (found) => {
      if (found) throw iamFailures.alreadyExists(kind, document.name);
      return document;
    },
  );
}

/** `change` may throw, and may run several times. @throws NoSuchEntityException */
export async function changeEntity<K extends EntityKind>(
  { store }: Stored,
  kind: K,
  name: string,
  change: (found: EntityDocuments[K]) => EntityDocuments[K],
): Promise<EntityDocuments[K]> {
  return store.update<EntityDocuments[K], EntityDocuments[K]>(
    entityKey(store.account, kind, name),
    (found) => {
      if (!found) throw iamFailures.noSuchEntity(kind, name);
      return change(found);
    },
  );
}

/** `check` throws where it must stay. @throws NoSuchEntityException */
export async function deleteEntity<K extends EntityKind>(
  { store }: Stored,
  kind: K,
  name: string,
  check: (found: EntityDocuments[K]) => void,
): Promise<void> {
  await store.update<EntityDocuments[K], undefined>(entityKey(store.account, kind, name), (found) => {
    if (!found) throw iamFailures.noSuchEntity(kind, name);
    check(found);
    return undefined;
  });
}

/** In the order of their names. */
export async function listEntities<K extends EntityKind>(
  { store }: Stored,
  kind: K,
  pathPrefix: string = '/',
): Promise<EntityDocuments[K][]> {
  const all = await store.list<EntityDocuments[K]>(entityPrefix(store.account, kind));
  return all.filter(({ path }) => path.startsWith(pathPrefix));
}
